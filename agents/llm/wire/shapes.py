"""
Replies of other endpoints brought into the one shape that is read on; every mend has a word for the record.

The shape is DeepSeek's: see its page on chat completions (November 2026). What differs elsewhere: Ollama and Gemini
send arguments as an object, Mistral and vLLM content as parts, Kimi and gpt-oss prefix names of tools, older servers
send `function_call`, several send no ids.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from agents.llm.wire.thoughts import after_thoughts

BYTE_ORDER_MARK = "byte_order_mark"
THOUGHTS_IN_TEXT = "thoughts_in_text"
CONTENT_IN_PARTS = "content_in_parts"
CODE_FENCE = "code_fence"
TOOL_NAME = "tool_name"
TOOL_CALL_ID = "tool_call_id"
TOOL_CALL_SHAPE = "tool_call_shape"
FUNCTION_CALL = "function_call"
ARGUMENTS_AS_OBJECT = "arguments_as_object"
ARGUMENTS_TWICE_ENCODED = "arguments_twice_encoded"
NO_ARGUMENTS = "no_arguments"
USAGE_AS_TEXT = "usage_as_text"

MENDS = frozenset(
    {
        BYTE_ORDER_MARK, THOUGHTS_IN_TEXT, CONTENT_IN_PARTS, CODE_FENCE, TOOL_NAME, TOOL_CALL_ID, TOOL_CALL_SHAPE,
        FUNCTION_CALL, ARGUMENTS_AS_OBJECT, ARGUMENTS_TWICE_ENCODED, NO_ARGUMENTS, USAGE_AS_TEXT,
    }
)  # fmt: skip
"""Every word that a mend can leave among the anomalies of a conversation."""

_MARK = "\ufeff"
_MAX_CALLS = 32
_MAX_DECODED = 3
_LONGEST_NAME = 200
_COUNTS = ("prompt_tokens", "completion_tokens", "prompt_cache_hit_tokens")
_DETAILS = {"prompt_tokens_details": "cached_tokens", "completion_tokens_details": "reasoning_tokens"}
_TOOL_NAME = re.compile(
    r"\s*(?:[\w-]{1,40}(?:\.|::?|/)){0,4}?(?P<name>[A-Za-z_][\w-]{0,63})(?:[:.]\d{1,4})?(?:\(\))?(?:<\|.*)?\s*",
    re.ASCII | re.DOTALL,
)
"""A function's own name holds none of `.`, `:` and `/` (OpenAI, function object): what stands before is a namespace."""

Note = Callable[[str], None]
"""Takes the word of a mend."""


def without_mark(text: str, note: Note) -> str:
    """A text without the byte order marks that it begins with, and the blanks around them."""
    bare = text.lstrip()
    if not bare.startswith(_MARK):
        return text
    note(BYTE_ORDER_MARK)
    while bare.startswith(_MARK):
        bare = bare.removeprefix(_MARK).lstrip()
    return bare


def answer_in(text: str, note: Note, was_cut: bool = False) -> str:
    """
    A text without byte order marks and without the thoughts in front of the answer.

    Args:
        was_cut: see `after_thoughts`.
    """
    marked = without_mark(text, note)
    answer = after_thoughts(marked, was_cut)
    if answer == marked:
        return marked
    note(THOUGHTS_IN_TEXT)
    return without_mark(answer, note).strip()


def mended_message(message: Mapping[str, Any], was_cut: bool, note: Note) -> dict[str, Any]:
    """
    An assistant's message with its text as one string and its calls as a list, each with an id, a bare name and
    arguments as JSON text. What is in that shape already stays as it came, and so does what no mend fits.
    """
    mended = dict(message)
    content = mended.get("content")
    if isinstance(content, list | dict):
        content = _text_of(content)
        note(CONTENT_IN_PARTS)
    if isinstance(content, str):
        mended["content"] = answer_in(content, note, was_cut)
    thoughts = mended.get("reasoning_content")
    if thoughts is not None and not isinstance(thoughts, str):
        mended["reasoning_content"] = _text_of(thoughts)
        note(CONTENT_IN_PARTS)
    calls = _calls(mended, note)
    if isinstance(calls, list) and len(calls) <= _MAX_CALLS:
        mended["tool_calls"] = _with_ids([_mended_call(call, note) for call in calls], note)
    return mended


def mended_usage(usage: Any, note: Note) -> Any:
    """A usage with its counts as numbers where they came as digits."""
    if not isinstance(usage, dict):
        return usage
    mended = dict(usage)
    for name in _COUNTS:
        if name in mended:
            mended[name] = _number(mended[name], note)
    for name, inner in _DETAILS.items():
        details = mended.get(name)
        if isinstance(details, dict) and inner in details:
            mended[name] = details | {inner: _number(details[inner], note)}
    return mended


def _number(value: Any, note: Note) -> Any:
    if isinstance(value, str) and value.isascii() and value.strip().isdigit() and len(value) <= 12:
        note(USAGE_AS_TEXT)
        return int(value)
    if isinstance(value, float) and value.is_integer():
        note(USAGE_AS_TEXT)
        return int(value)
    return value


def _text_of(content: Any) -> str:
    """The text of a list of parts, thoughts left out; of a part alone as well."""
    parts = content if isinstance(content, list) else [content]
    return "".join(map(_text_of_part, parts))


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type", "text") not in ("text", "output_text"):
        return ""
    text = part.get("text")
    if isinstance(text, dict):  # as assistants say it
        text = text.get("value")
    return text if isinstance(text, str) else ""


def _calls(message: dict[str, Any], note: Note) -> Any:
    """The calls of a message, taken from the older field where only that is there; the older field goes."""
    calls, older = message.get("tool_calls"), message.get("function_call")
    if isinstance(older, dict):
        del message["function_call"]
        note(FUNCTION_CALL)
        calls = calls or [{"function": older}]
    if isinstance(calls, dict):
        note(TOOL_CALL_SHAPE)
        calls = [calls]
    return calls


def _mended_call(call: Any, note: Note) -> Any:
    if not isinstance(call, dict):
        return call
    function = call.get("function")
    if function is None and isinstance(call.get("name"), str):
        note(TOOL_CALL_SHAPE)
        function = {name: call[name] for name in ("name", "arguments", "parameters", "input") if name in call}
        call = {"id": call.get("id")}
    if not isinstance(function, dict):
        return call
    if call.get("type") != "function":
        note(TOOL_CALL_SHAPE)
        call = call | {"type": "function"}
    mended = dict(function)
    if isinstance(mended.get("name"), str):
        mended["name"] = _bare_name(mended["name"], note)
    if "arguments" not in mended:
        mended["arguments"] = mended.pop("parameters", mended.pop("input", None))
    mended["arguments"] = _arguments(mended["arguments"], note)
    return call | {"function": mended}


def _bare_name(name: str, note: Note) -> str:
    found = _TOOL_NAME.fullmatch(name) if len(name) <= _LONGEST_NAME else None
    if found is None or found["name"] == name:
        return name
    note(TOOL_NAME)
    return found["name"]


def _arguments(given: Any, note: Note) -> Any:
    """Arguments as JSON text; what is neither an object nor text stays."""
    if given is None or (isinstance(given, str) and not given.strip()):
        note(NO_ARGUMENTS)
        return "{}"
    if isinstance(given, dict):
        note(ARGUMENTS_AS_OBJECT)
        return msgspec.json.encode(given).decode()
    if not isinstance(given, str):
        return given
    text = inner = without_mark(given, note)
    for _ in range(_MAX_DECODED):
        found = _decoded(inner)
        if not isinstance(found, str):
            break
        inner = found
    if inner is text or not isinstance(_decoded(inner), dict):
        return text
    note(ARGUMENTS_TWICE_ENCODED)
    return inner


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _with_ids(calls: list[Any], note: Note) -> list[Any]:
    """Calls with an id each: what no server would take back, or what stands twice, is named by what is called."""
    taken: set[str] = set()
    named = []
    for number, call in enumerate(calls):
        known = call.get("id") if isinstance(call, dict) else ""
        if isinstance(call, dict) and not (isinstance(known, str) and known and known not in taken):
            note(TOOL_CALL_ID)
            known = _new_id(number, call)
            call = call | {"id": known}
        taken.add(str(known))
        named.append(call)
    return named


def _new_id(number: int, call: Mapping[str, Any]) -> str:
    what = msgspec.json.encode([number, call.get("function")])
    return f"c{blake2b(what, digest_size=4).hexdigest()}"  # nine letters and digits: Mistral takes no other
