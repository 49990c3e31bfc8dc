"""
What a recorded message is, by its content alone: the order of its fields and blanks between them do not matter.
"""

from typing import Any, NamedTuple

import msgspec

from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from exchanges.binance.messages import UNREADABLE, BadMessage
from exchanges.binance.recordings.recording_addresses import NO_ADDRESS, Address
from exchanges.errors import BadFile
from market.errors import BadTime
from market.timestamps import venue_time_ns

_KINDS = {"aggTrade": AGG_TRADE, "trade": AGG_TRADE, "depthUpdate": DIFF}


class _Message(msgspec.Struct):
    """The fields by which a message is recognised; each may be missing."""

    e: Any = None
    s: Any = None
    U: Any = None
    u: Any = None
    pu: Any = None
    ps: Any = None
    E: Any = None
    T: Any = None
    a: Any = None
    t: Any = None
    f: Any = None
    last_id: Any = msgspec.field(name="l", default=None)
    X: Any = None
    M: Any = None
    stream: Any = None
    data: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    lastUpdateId: Any = None
    bids: msgspec.Raw = msgspec.Raw()
    asks: msgspec.Raw = msgspec.Raw()


class RecordedMessage(NamedTuple):
    """
    A recorded message and what was recognised in it.

    Attributes:
        kind: of the fact it becomes, None for streams that the log has no kind for.
        event: Binance's name of it.
        symbol: its own, else its stream's, else its address's; None where none of them has one.
        body: the message without envelope.
        ids: first and last id of its updates or single trades; None where it has none.
        limit: number of levels of a book's longer side, 0 for other messages.
        stream: that it came on, empty where it does not say.
        like_futures: whether it is a trade without `M`, which all spot trades have and no futures trade has.
        number: its id in a log, agg id or last update id; None where it has none.
        time_ns: when a trade was made or an update was sent; None where it does not say.
    """

    kind: str | None
    event: str
    symbol: str | None
    body: bytes
    ids: tuple[int, int] | None = None
    limit: int = 0
    stream: str = ""
    like_futures: bool = False
    number: int | None = None
    time_ns: int | None = None


_message = msgspec.json.Decoder(_Message)
_levels = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder(msgspec.Raw)


def recognise(raw: bytes, address: Address = NO_ADDRESS) -> RecordedMessage:
    """
    Recognise what a message is.

    Args:
        raw: the message, with or without envelope.
        address: that it came from, for what it does not say itself.

    Raises:
        BadMessage: it is no JSON, or a book without levels. FuturesMessage: it is of a futures market.
    """
    try:
        if raw[:1] == b"[":  # several symbols at once, as no stream of ours sends them
            _anything.decode(raw)
            return RecordedMessage(None, "list", address.symbol, raw)
        outer = _message.decode(raw)
        inner, body, stream = outer, raw, outer.stream
        for wrapper in (outer.data, outer.result):
            if stream is not None or wrapper is outer.result:
                text = bytes(wrapper).strip()
                if text[:1] == b"{":
                    inner, body = _message.decode(text), text
                    break
        name = stream if isinstance(stream, str) else ""
        market, _, kind = name.partition("@")
        stream_symbol = market.upper() if kind and market.isalnum() else address.symbol
        return _classify(inner, body, kind or address.stream, inner.s if isinstance(inner.s, str) else stream_symbol)
    except UNREADABLE as error:
        raise BadMessage(0, f"no message of this venue: {error}") from error


class FuturesMessage(BadFile):
    """The recording is of a futures market, which has other rules for its update ids."""


def _classify(message: _Message, body: bytes, stream: str, symbol: str | None) -> RecordedMessage:
    event = message.e
    kind = _KINDS.get(event) if isinstance(event, str) else None
    if kind is not None:
        if message.pu is not None or message.ps is not None or message.X is not None:
            raise FuturesMessage(event)
        if kind == DIFF and message.T is not None:
            raise FuturesMessage(event)
        if kind == DIFF:
            return RecordedMessage(
                kind, str(event), symbol, body, _to_id_range(message.U, message.u), 0, stream, False, _to_id(message.u),
                _time_ns(message.E),
            )  # fmt: skip
        single = event == "trade"
        ids = _to_id_range(message.t, message.t) if single else _to_id_range(message.f, message.last_id)
        return RecordedMessage(
            kind, str(event), symbol, body, ids, 0, stream, message.M is None,
            _to_id(message.t if single else message.a), _time_ns(message.T),
        )  # fmt: skip
    if event is None and message.lastUpdateId is not None and not stream.startswith("depth"):  # a few best levels
        if message.T is not None:
            raise FuturesMessage("depth")
        number = message.lastUpdateId if isinstance(message.lastUpdateId, int) else 0
        limit = max(len(_side(message.bids)), len(_side(message.asks)))
        return RecordedMessage(SNAPSHOT, "depth", symbol, body, (number, number), limit)
    return RecordedMessage(None, str(event or "other"), symbol, body)


def _to_id(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 63 else None


def _to_id_range(first: Any, last: Any) -> tuple[int, int] | None:
    low, high = _to_id(first), _to_id(last)
    return None if low is None or high is None else (low, high)


def _time_ns(stamp: Any) -> int | None:
    try:
        return None if type(stamp) is not int else venue_time_ns(stamp)
    except BadTime:
        return None  # the mapper reports it


def _side(raw: msgspec.Raw) -> list[msgspec.Raw]:
    if not bytes(raw):
        raise BadMessage(0, "no depth body: it lacks bids or asks")
    return _levels.decode(raw)
