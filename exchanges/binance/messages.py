"""
Binance's messages as structs, and the envelopes they come in; pure.

Source: binance-spot-api-docs, web-socket-streams.md and rest-api.md (July 2026).
"""

import msgspec
import pyarrow as pa

from eventlog.errors import BadEntry

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for unreadable bytes; RecursionError for JSON that is nested too deeply."""


class BadMessage(BadEntry):
    """The exchange broke its contract in one message; `row` is its index in the batch that was parsed."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


class Trade(msgspec.Struct, forbid_unknown_fields=True):
    """An aggTrade event, or a REST row, which lacks e, E and s."""

    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741 - the venue's name
    T: int
    m: bool
    M: bool | None = None
    e: str | None = None
    E: int | None = None
    s: str | None = None


class SingleTrade(msgspec.Struct, forbid_unknown_fields=True):
    """A `trade` event, logged as an aggTrade of one trade."""

    t: int
    p: str
    q: str
    T: int
    m: bool
    e: str
    E: int
    s: str
    M: bool | None = None
    b: int | None = None
    a: int | None = None


class Diff(msgspec.Struct, forbid_unknown_fields=True):
    """A depthUpdate event."""

    e: str
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class Depth(msgspec.Struct, forbid_unknown_fields=True):
    """The body of REST depth."""

    lastUpdateId: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class SnapshotEnvelope(msgspec.Struct, frozen=True):
    """A REST depth body with the times and the limit of its request."""

    request_ns: int
    response_ns: int
    limit: int
    body: msgspec.Raw


class _Combined(msgspec.Struct):
    stream: str
    data: msgspec.Raw


class _Event(msgspec.Struct):
    e: str = ""


_STREAM_EVENTS = {"aggTrade": "aggTrade", "depth@100ms": "depthUpdate", "depth": "depthUpdate", "trade": "trade"}
_combined_decoder = msgspec.json.Decoder(_Combined)
_event_decoder = msgspec.json.Decoder(_Event)


def unwrap(raw: bytes) -> tuple[str, bytes]:
    """
    Split a combined-stream message into its event name ("aggTrade", "depthUpdate", "serverShutdown", …) and payload.

    Raises:
        BadMessage: no JSON object that names an event.

    >>> unwrap(b'{"stream":"btcfdusd@aggTrade","data":{"e":"aggTrade"}}')
    ('aggTrade', b'{"e":"aggTrade"}')
    """
    try:
        if not raw.startswith(b'{"stream"'):
            name = _event_decoder.decode(raw).e
            if name or b'"stream"' not in raw or b'"data"' not in raw:  # its fields may come in another order
                return name, raw
        message = _combined_decoder.decode(raw)
        inner = bytes(message.data)
        return _STREAM_EVENTS.get(message.stream.partition("@")[2]) or _event_decoder.decode(inner).e, inner
    except UNREADABLE as error:
        raise BadMessage(0, f"no message of this venue: {error}") from error


def event_name(raw: bytes) -> str:
    """
    Name of the event of a message without envelope, empty where it names none.

    Raises:
        msgspec.DecodeError: no JSON object.
    """
    return _event_decoder.decode(raw).e


def stream_name(raw: bytes) -> str:
    """Name of the stream of a combined-stream message, wherever it stands in it; empty where it names none."""
    try:
        return _combined_decoder.decode(raw).stream
    except UNREADABLE:
        return ""


def pack_snapshot(request_ns: int, response_ns: int, limit: int, body: bytes) -> bytes:
    """
    Pack a REST depth body into the compressed bytes of a snapshot fact.

    Args:
        request_ns: when the request was sent.
        response_ns: when the response was complete.
        limit: levels per side that were asked for.
        body: the response as it came, a JSON object.
    """
    envelope = SnapshotEnvelope(request_ns, response_ns, limit, msgspec.Raw(body))
    return bytes(pa.compress(msgspec.json.encode(envelope), codec="zstd", asbytes=True))
