"""
What the API accepts and what it refuses (DeepSeek's reference of create-chat-completion and its guides, 2026-11).
"""

import re
from collections.abc import Mapping
from typing import Any

from agents.llm.wire.api import Request
from simulators.model.checks.order import check_order
from simulators.model.checks.schemas import check_strict
from simulators.model.errors import Refusal
from simulators.model.situation import is_thinking, text_of, tool_choice, tool_names

MODELS = ("deepseek-flash", "deepseek-v4-pro", "deepseek-v4-flash")
DISCONTINUED = ("deepseek-chat", "deepseek-reasoner")
MAX_OUTPUT = 393_216  # as documented for the model

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_ROLES = ("system", "user", "assistant", "tool")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_TOOLS = 128  # as documented for the interface
_SHAPES: Mapping[str, type] = {"thinking": dict, "response_format": dict, "tools": list, "stream_options": dict}
# Of sampling parameters, as documented.
_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}


def check_key(authorization: str | None) -> None:
    """
    Refuse a request without a usable API key; no message repeats the key.

    Raises:
        Refusal: no bearer key, or the key `bad`.
    """
    kind, _, key = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not key.strip():
        raise Refusal(401, "Authentication Fails (no api key in the Authorization header)", "authentication_error")
    if key.strip() == "bad":
        raise Refusal(401, "Authentication Fails, your api key is invalid", "authentication_error")


def check_request(body: Any, beta: bool) -> Request:
    """
    Refuse what the API would refuse.

    Args:
        body: the decoded JSON.
        beta: whether it was sent to a path below /beta.

    Returns:
        The same body, now known to have the shape of a request.

    Raises:
        Refusal: with the status and message of the API.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "Failed to parse the request body as JSON: expected an object")
    for name, shape in _SHAPES.items():
        if body.get(name) is not None and not isinstance(body[name], shape):
            raise _type_error(name, f"invalid type, expected {'a sequence' if shape is list else 'an object'}")
    _check_model(body.get("model"))
    _check_messages(body.get("messages"))
    _check_thinking(body)
    _check_numbers(body)
    _check_stream(body)
    _check_tools(body, beta)
    _check_choice(body)
    _check_format(body)
    check_order(body["messages"], needs_reasoning=is_thinking(body) and bool(body.get("tools")))
    return body


def _check_model(model: Any) -> None:
    if model in DISCONTINUED:
        raise Refusal(400, f"Model {model} was discontinued on 2026-07-24; use deepseek-flash", param="model")
    if model not in MODELS:
        raise Refusal(400, "Model Not Exist", param="model")


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "Empty input messages", param="messages")
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if not isinstance(message, dict):
            raise _type_error(where, "invalid type, expected an object")
        role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls")
        if role not in _ROLES:
            raise _type_error(where, f"role: unknown variant, expected one of {', '.join(_ROLES)}")
        parts = content if isinstance(content, list) else []
        if not isinstance(content, str | list | None) or not all(isinstance(part, dict) for part in parts):
            raise _type_error(where, "content: invalid type, expected a string")
        if content is None and not (role == "assistant" and calls):
            raise Refusal(400, f"{where}: content or tool_calls must be set", param="messages")
        if role == "tool" and not isinstance(message.get("tool_call_id"), str):
            raise _type_error(where, "missing field `tool_call_id`")
        if calls and not (role == "assistant" and isinstance(calls, list) and all(map(_is_call, calls))):
            raise _type_error(where, "tool_calls: not a list of function calls of an assistant")


def _is_call(call: Any) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    return (
        isinstance(function, dict)
        and call.get("type") == "function"
        and all(isinstance(text, str) for text in (call.get("id"), function.get("name"), function.get("arguments")))
    )


def _check_thinking(body: Request) -> None:
    if (body.get("thinking") or {"type": "enabled"}).get("type") not in ("enabled", "disabled"):
        raise _type_error("thinking.type", "unknown variant, expected enabled or disabled")
    if body.get("reasoning_effort") not in (None, *_EFFORTS):
        raise _type_error("reasoning_effort", f"unknown variant, expected one of {', '.join(_EFFORTS)}")


def _check_numbers(body: Request) -> None:
    tokens = body.get("max_tokens")
    if tokens is not None and (type(tokens) is not int or not 1 <= tokens <= MAX_OUTPUT):
        text = f"Invalid max_tokens value, the valid range of max_tokens is [1, {MAX_OUTPUT}]"
        raise Refusal(400, text, param="max_tokens")
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if value is not None and (type(value) not in (int, float) or not low <= value <= high):
            raise Refusal(400, f"Invalid {name} value, the valid range of {name} is [{low:g}, {high:g}]", param=name)
    if body.get("n") not in (None, 1):
        raise Refusal(400, "Invalid n value (currently only n = 1 is supported)", param="n")


def _check_stream(body: Request) -> None:
    if body.get("stream"):
        raise Refusal(400, "stream is not supported by this simulator", param="stream")
    if body.get("stream_options") is not None:
        raise Refusal(400, "stream_options is only allowed with stream", param="stream_options")


def _check_tools(body: Request, beta: bool) -> None:
    tools = body.get("tools") or []
    if len(tools) > _MAX_TOOLS:
        raise Refusal(400, f"At most {_MAX_TOOLS} tools may be given", param="tools")
    for i, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict) or not isinstance(function.get("parameters", {}), dict):
            raise _type_error(f"tools[{i}]", "expected a function with parameters")
        if not isinstance(function.get("name"), str) or _NAME.fullmatch(function["name"]) is None:
            raise Refusal(400, f"Invalid tools[{i}].function.name: a-z, A-Z, 0-9, _ and -, at most 64", param="tools")
    if len(set(tool_names(body))) < len(tools):
        raise Refusal(400, "Tool names must be unique", param="tools")
    strict = [tool["function"] for tool in tools if tool["function"].get("strict")]
    if strict and not beta:
        raise Refusal(400, "strict functions are only available with the base_url of /beta", param="tools")
    if strict and len(strict) < len(tools):
        raise Refusal(400, "All functions must be strict, or none", param="tools")
    for function in strict:
        check_strict(function["name"], function.get("parameters"))


def _check_choice(body: Request) -> None:
    choice = body.get("tool_choice")
    if choice is None:
        return
    if isinstance(choice, dict):
        function = choice.get("function")
        valid = (
            choice.get("type") == "function" and isinstance(function, dict) and isinstance(function.get("name"), str)
        )
    else:
        valid = choice in ("none", "auto", "required")
    if not valid:
        raise _type_error("tool_choice", "expected none, auto, required or a named function")
    word = tool_choice(body)
    if word in ("none", "auto"):
        return
    if is_thinking(body):
        raise Refusal(400, "Thinking mode does not support this tool_choice", param="tool_choice")
    if not body.get("tools"):
        raise Refusal(400, "tool_choice is only allowed with tools", param="tool_choice")
    if word != "required" and word[1:] not in tool_names(body):
        raise Refusal(400, "tool_choice names a function that is not in tools", param="tool_choice")


def _check_format(body: Request) -> None:
    kind = (body.get("response_format") or {"type": "text"}).get("type")
    if kind not in ("text", "json_object"):
        raise Refusal(400, "This response_format type is unavailable now", param="response_format")
    if kind == "json_object" and not any("json" in text_of(m).lower() for m in body["messages"]):
        text = "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'."
        raise Refusal(400, text, param="response_format")


def _type_error(path: str, problem: str) -> Refusal:
    return Refusal(422, f"Failed to deserialize the JSON body into the target type: {path}: {problem}", param=path)
