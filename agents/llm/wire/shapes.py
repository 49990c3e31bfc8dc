"""
Normalises replies of other endpoints to the one shape that is used here; each fix has a word for the record.

The shape is DeepSeek's: see its page on chat completions (November 2026). What differs elsewhere: Ollama and Gemini
send arguments as an object, Mistral and vLLM content as parts, Kimi and gpt-oss prefix names of tools, older servers
send `function_call`, several send no ids.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from agents.llm.wire.thoughts import strip_thoughts

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

FIXES = frozenset(
    {
        BYTE_ORDER_MARK, THOUGHTS_IN_TEXT, CONTENT_IN_PARTS, CODE_FENCE, TOOL_NAME, TOOL_CALL_ID, TOOL_CALL_SHAPE,
        FUNCTION_CALL, ARGUMENTS_AS_OBJECT, ARGUMENTS_TWICE_ENCODED, NO_ARGUMENTS, USAGE_AS_TEXT,
    }
)  # fmt: skip
"""All words of fixes among the anomalies of a conversation."""

_MARK = "\ufeff"
_MAX_CALLS = 32  # a message with more stays as it came and cannot be answered
_MAX_DECODED = 3  # times that arguments may be encoded
_LONGEST_NAME = 200  # bounds the work on a tool's name that a server sent
_COUNTS = ("prompt_tokens", "completion_tokens", "prompt_cache_hit_tokens")
_DETAILS = {"prompt_tokens_details": "cached_tokens", "completion_tokens_details": "reasoning_tokens"}
_TOOL_NAME = re.compile(
    r"\s*(?:[\w-]{1,40}(?:\.|::?|/)){0,4}?(?P<name>[A-Za-z_][\w-]{0,63})(?:[:.]\d{1,4})?(?:\(\))?(?:<\|.*)?\s*",
    re.ASCII | re.DOTALL,
)
"""A function's own name holds none of `.`, `:` and `/` (OpenAI, function object): what stands before is a namespace."""

Note = Callable[[str], None]
"""Takes the word of a fix."""


def strip_mark(text: str, note: Note) -> str:
    """Remove leading byte order marks, and the blanks around them, from a text."""
    rest = text.lstrip()
    if not rest.startswith(_MARK):
        return text
    note(BYTE_ORDER_MARK)
    while rest.startswith(_MARK):
        rest = rest.removeprefix(_MARK).lstrip()
    return rest


def extract_answer(text: str, note: Note, was_cut: bool = False) -> str:
    """
    Remove byte order marks and the thoughts before the answer from a text.

    Args:
        text: the content of a reply.
        note: takes the word of each fix.
        was_cut: see `strip_thoughts`.
    """
    rest = strip_mark(text, note)
    answer = strip_thoughts(rest, was_cut)
    if answer == rest:
        return rest
    note(THOUGHTS_IN_TEXT)
    return strip_mark(answer, note).strip()


def normalise_message(message: Mapping[str, Any], was_cut: bool, note: Note) -> dict[str, Any]:
    """
    Normalise an assistant's message: its text as one string and its calls as a list, each with an id, a bare name and
    arguments as JSON text. Parts of that shape stay as they came, and so do those that no fix applies to.

    Args:
        message: the message as it came; not changed.
        was_cut: whether the reply ended because it had no tokens left.
        note: takes the word of each fix.
    """
    fields = dict(message)
    content = fields.get("content")
    if isinstance(content, list | dict):
        content = _text_of(content)
        note(CONTENT_IN_PARTS)
    if isinstance(content, str):
        fields["content"] = extract_answer(content, note, was_cut)
    thoughts = fields.get("reasoning_content")
    if thoughts is not None and not isinstance(thoughts, str):
        fields["reasoning_content"] = _text_of(thoughts)
        note(CONTENT_IN_PARTS)
    calls = _calls(fields, note)
    if isinstance(calls, list) and len(calls) <= _MAX_CALLS:
        fields["tool_calls"] = _with_ids([_normalise_call(call, note) for call in calls], note)
    return fields


def normalise_usage(usage: Any, note: Note) -> Any:
    """Normalise a usage: counts that came as digits become numbers."""
    if not isinstance(usage, dict):
        return usage
    fields = dict(usage)
    for name in _COUNTS:
        if name in fields:
            fields[name] = _number(fields[name], note)
    for name, inner in _DETAILS.items():
        details = fields.get(name)
        if isinstance(details, dict) and inner in details:
            fields[name] = details | {inner: _number(details[inner], note)}
    return fields


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


def _normalise_call(call: Any, note: Note) -> Any:
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
    fields = dict(function)
    if isinstance(fields.get("name"), str):
        fields["name"] = _bare_name(fields["name"], note)
    if "arguments" not in fields:
        fields["arguments"] = fields.pop("parameters", fields.pop("input", None))
    fields["arguments"] = _arguments_text(fields["arguments"], note)
    return call | {"function": fields}


def _bare_name(name: str, note: Note) -> str:
    match = _TOOL_NAME.fullmatch(name) if len(name) <= _LONGEST_NAME else None
    if match is None or match["name"] == name:
        return name
    note(TOOL_NAME)
    return match["name"]


def _arguments_text(arguments: Any, note: Note) -> Any:
    """Arguments as JSON text; other types than objects and text stay."""
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        note(NO_ARGUMENTS)
        return "{}"
    if isinstance(arguments, dict):
        note(ARGUMENTS_AS_OBJECT)
        return msgspec.json.encode(arguments).decode()
    if not isinstance(arguments, str):
        return arguments
    text = inner = strip_mark(arguments, note)
    for _ in range(_MAX_DECODED):
        value = _decode(inner)
        if not isinstance(value, str):
            break
        inner = value
    if inner is text or not isinstance(_decode(inner), dict):
        return text
    note(ARGUMENTS_TWICE_ENCODED)
    return inner


def _decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _with_ids(calls: list[Any], note: Note) -> list[Any]:
    """Calls with an id each; an invalid or repeated id is replaced by one made from the call."""
    used_ids: set[str] = set()
    result = []
    for number, call in enumerate(calls):
        call_id = call.get("id") if isinstance(call, dict) else ""
        if isinstance(call, dict) and not (isinstance(call_id, str) and call_id and call_id not in used_ids):
            note(TOOL_CALL_ID)
            call_id = _new_id(number, call)
            call = call | {"id": call_id}
        used_ids.add(str(call_id))
        result.append(call)
    return result


def _new_id(number: int, call: Mapping[str, Any]) -> str:
    content = msgspec.json.encode([number, call.get("function")])
    return f"c{blake2b(content, digest_size=4).hexdigest()}"  # nine letters and digits: Mistral takes no other
