"""
The control messages of a client: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS (web-socket-streams.md).
"""

import json
import re
from collections.abc import Sequence
from typing import Any

MAX_STREAMS = 1_024  # of a connection, as the exchange documents it

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS")
_TEXT_ID = re.compile(r"[A-Za-z0-9]{1,36}")


def answer(message: str, streams: Sequence[str]) -> tuple[tuple[str, ...], bytes]:
    """
    Answer a control message.

    Args:
        message: the client's JSON.
        streams: the streams the connection is subscribed to.

    Returns:
        The streams it is subscribed to after it, and the reply.
    """
    current = tuple(streams)
    try:
        request = json.loads(message)
    except (ValueError, RecursionError):
        return current, _refusal(3, "Invalid JSON: expected value at line 1 column 1", None)
    if not isinstance(request, dict):
        return current, _refusal(2, "Invalid request: expected an object", None)
    request_id = request.get("id")
    if not _is_id(request_id):
        return current, _refusal(2, "Invalid request: request ID must be an unsigned integer", None)
    method, params = request.get("method"), request.get("params", [])
    if method not in _METHODS:
        expected = ", ".join(f"`{name}`" for name in _METHODS)
        return current, _refusal(
            2, f"Invalid request: unknown variant `{method}`, expected one of {expected}", request_id
        )
    if method == "LIST_SUBSCRIPTIONS":
        return current, _reply({"result": list(current), "id": request_id})
    if not isinstance(params, list) or not params or not all(isinstance(name, str) for name in params):
        return current, _refusal(2, "Invalid request: params must be a list of stream names", request_id)
    subscriptions = (
        _subscribe(current, params) if method == "SUBSCRIBE" else tuple(s for s in current if s not in params)
    )
    if len(subscriptions) > MAX_STREAMS:
        return current, _refusal(2, "Invalid request: too many parameters", request_id)
    return subscriptions, _reply({"result": None, "id": request_id})


def _subscribe(current: tuple[str, ...], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*current, *names]))


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return _TEXT_ID.fullmatch(value) is not None
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _refusal(code: int, message: str, request_id: Any) -> bytes:
    return _reply({"error": {"code": code, "msg": message}, "id": request_id})


def _reply(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
