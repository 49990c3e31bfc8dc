"""
A recording as a market: its messages one by one, and the REST answers after each.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import gcd
from pathlib import Path
from typing import Any

import msgspec

from exchanges.binance.messages import BadMessage, unwrap
from exchanges.binance.recordings.recording_lines import read_lines
from exchanges.errors import BadFile
from market.errors import MarketError
from market.fixed_point import parse_e8
from market.timestamps import MILLISECOND_NS
from simulators.exchange.errors import ApiError
from simulators.exchange.faults.conditions import TRADING
from simulators.exchange.faults.faults import Stream
from simulators.exchange.market.parameters import split_symbol
from simulators.exchange.playback.rebuilt_book import RebuiltBook
from simulators.exchange.streams.listener import Message
from simulators.exchange.venue import wire
from simulators.exchange.venue.queries import AggTradesQuery

_KINDS: dict[str, Stream] = {"depth@100ms": "diffs", "depth": "slow_diffs", "depth@1000ms": "slow_diffs"}


class _Envelope(msgspec.Struct):
    stream: str
    data: msgspec.Raw


@dataclass(slots=True)
class _Row:
    time_ms: int
    json: bytes


@dataclass(slots=True)
class Survey:
    """
    What a recording holds.

    Attributes:
        symbol: in upper case. tick_size_e8, step_size_e8: greatest common divisor of prices and of quantities, 1e-8.
        start_price_e8: price of the first trade, 1e-8. lines: number of lines. first_ns: first receive time, ns UTC.
        has_agg_trades: whether it has an aggTrade stream. names: the names of its streams.
        first_trades: the first message of each stream of trades, by the stream's name without its symbol.
    """

    symbol: str = ""
    tick_size_e8: int = 0
    step_size_e8: int = 0
    start_price_e8: int = 0
    lines: int = 0
    first_ns: int = 0
    has_agg_trades: bool = False
    names: set[str] = field(default_factory=set)
    first_trades: dict[str, bytes] = field(default_factory=dict)


def survey(paths: Sequence[Path]) -> Survey:
    """
    Read a recording once, for its symbol, grid and streams.

    Args:
        paths: its files in the order in which they are played.

    Raises:
        BadFile: one cannot be read, or they hold no message of a combined stream with a trade.
    """
    result = Survey()
    for recv_ns, message in all_lines(paths):
        result.first_ns = result.first_ns or recv_ns
        result.lines += 1
        name = _envelope(message)
        if name is None:
            continue
        result.names.add(name.stream)
        result.symbol = result.symbol or name.stream.partition("@")[0].upper()
        if name.stream.endswith(("@aggTrade", "@trade")):
            result.first_trades.setdefault(name.stream.rpartition("@")[2], message)
            _add_to_grid(result, name.data)
    result.has_agg_trades = any(name.endswith("@aggTrade") for name in result.names)
    if not result.start_price_e8:
        names = ", ".join(str(path) for path in paths)
        raise BadFile(f"{names}: no trade of a combined stream; give a recording of `<time, ns> <message>` lines")
    return result


def all_lines(paths: Sequence[Path]) -> Iterator[tuple[int, bytes]]:
    """The lines of several files, one file after the other, as `recording_lines.lines` reads them."""
    for path in paths:
        yield from read_lines(path)


class Playback:
    """
    The REST answers of a recording up to the line played last.

    Where a recording holds `trade` messages and no aggTrade, each trade is sent on the aggTrade stream too, as an
    aggTrade of one trade, and REST answers it as such. REST knows the first trade before anything is played: a
    recorder that asks for the beginning of the market gets it.

    Args:
        info: the result of `survey` for the recording.
        rebuild: answer depth with the newest recorded book and the diffs since, not with that book as it is.

    Raises:
        ParameterError: base and quote of the symbol are not known.

    Attributes:
        skipped: number of lines that are neither a message of a stream nor a book.
    """

    def __init__(self, info: Survey, rebuild: bool = False) -> None:
        split_symbol(info.symbol)
        self._info = info
        self._has_only_trades = not info.has_agg_trades
        self._book: bytes | None = None
        self._rebuilt = RebuiltBook() if rebuild else None
        self._ids: list[int] = []
        self._times_ms: list[int] = []
        self._rows: list[bytes] = []
        self.play(info.first_trades["trade" if self._has_only_trades else "aggTrade"])
        self.skipped_lines = 0

    @property
    def symbol(self) -> str:
        """The symbol of the recording."""
        return self._info.symbol

    def play(self, message: bytes) -> Sequence[Message]:
        """Play a line: REST answers include it from now on; returns the messages for the streams."""
        if message.startswith(b'{"lastUpdateId"'):
            self._book = message
            if self._rebuilt is not None:
                self._rebuilt.restart(message)
            return ()
        envelope = _envelope(message)
        if envelope is None:
            self.skipped_lines += 1
            return ()
        try:
            return self._messages(envelope.stream, bytes(envelope.data))
        except (BadMessage, msgspec.DecodeError, KeyError, TypeError, ValueError):
            # A message that cannot be parsed is sent as it is; REST answers do not include it.
            return (Message(envelope.stream, "other", 0, 0, bytes(envelope.data)),)

    def depth(self, limit: int) -> bytes:
        """See `Answers.depth`."""
        if self._book is None:
            raise ApiError(-1000, "The recording has no book yet.", status=503)
        if self._rebuilt is not None:
            return self._rebuilt.body(limit)
        sides: dict[str, Any] = msgspec.json.decode(self._book)
        if max(len(sides["bids"]), len(sides["asks"])) <= limit:
            return self._book
        return msgspec.json.encode({**sides, "bids": sides["bids"][:limit], "asks": sides["asks"][:limit]})

    def agg_trades(self, query: AggTradesQuery, skip_newest: int) -> bytes:
        """See `Answers.agg_trades`."""
        count = max(0, len(self._ids) - skip_newest)
        start, stop = 0, count
        if query.from_id is not None:
            start = bisect_left(self._ids, query.from_id)
        if query.end_ns is not None:
            stop = min(count, bisect_right(self._times_ms, query.end_ns // MILLISECOND_NS))
        if query.start_ns is not None:
            start = bisect_left(self._times_ms, -(-query.start_ns // MILLISECOND_NS))
        elif query.from_id is None:
            start = max(0, stop - query.limit)
        return b"[" + b",".join(self._rows[start : min(stop, start + query.limit)]) + b"]"

    def symbol_info(self) -> tuple[wire.SymbolInfo, str]:
        """See `Answers.symbol_info`; the grid is that of the recorded trades."""
        return self._info, TRADING

    def _messages(self, stream: str, payload: bytes) -> Sequence[Message]:
        symbol, _, suffix = stream.partition("@")
        name, _ = unwrap(payload)
        kind = _KINDS.get(suffix, "other")
        if name == "aggTrade" and suffix == "aggTrade":
            return (self._trade(stream, payload, msgspec.json.decode(payload)),)
        if name == "trade" and suffix == "trade" and self._has_only_trades:
            fields = _to_agg_trade(msgspec.json.decode(payload))
            number = fields["a"]
            agg_trade = self._trade(f"{symbol}@aggTrade", msgspec.json.encode(fields), fields)
            return (Message(stream, "trades", number, number, payload), agg_trade)
        if name == "depthUpdate" and kind != "other":
            fields = msgspec.json.decode(payload)
            if self._rebuilt is not None:
                self._rebuilt.apply(fields)
            return (Message(stream, kind, int(fields["U"]), int(fields["u"]), payload),)
        return (Message(stream, "other", 0, 0, payload),)

    def _trade(self, stream: str, payload: bytes, fields: dict[str, Any]) -> Message:
        number = int(fields["a"])
        row = msgspec.json.encode({name: value for name, value in fields.items() if name not in {"e", "E", "s"}})
        if not self._ids or number > self._ids[-1]:
            self._ids.append(number)
            self._times_ms.append(int(fields["T"]))
            self._rows.append(row)
        return Message(stream, "trades", number, number, payload)


def _to_agg_trade(trade: dict[str, Any]) -> dict[str, Any]:
    number = trade["t"]
    head = {"e": "aggTrade", "E": trade["E"], "s": trade["s"], "a": number, "p": trade["p"], "q": trade["q"]}
    return {**head, "f": number, "l": number, "T": trade["T"], "m": trade["m"], "M": trade.get("M", True)}


def _envelope(message: bytes) -> _Envelope | None:
    try:
        return msgspec.json.decode(message, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _add_to_grid(result: Survey, payload: msgspec.Raw) -> None:
    try:
        fields = msgspec.json.decode(payload)
        price, quantity = parse_e8(fields["p"]), parse_e8(fields["q"])
    except (msgspec.DecodeError, MarketError, KeyError, TypeError, ValueError):
        return
    result.start_price_e8 = result.start_price_e8 or price
    result.tick_size_e8 = gcd(result.tick_size_e8, price)
    result.step_size_e8 = gcd(result.step_size_e8, quantity)
