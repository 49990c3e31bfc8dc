"""
Binance spot's messages as typed columns; pure.

Source: binance-spot-api-docs, web-socket-streams.md and rest-api.md (July 2026). `m` = true means that the buyer was
the maker, so the seller was the aggressor.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from eventlog.codec import Decode, table_of
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.facts.registry import SCHEMAS
from exchanges.binance import fast_check
from exchanges.binance.instruments import parse_instrument
from exchanges.binance.levels import parse_book_side, parse_levels
from exchanges.binance.messages import (
    UNREADABLE,
    BadMessage,
    Depth,
    Diff,
    SingleTrade,
    SnapshotEnvelope,
    Trade,
    event_name,
)
from market.errors import BadTime, MarketError
from market.fixed_point import DECIMALS, parse_column
from market.timestamps import SECOND_NS, venue_times_ns

MAX_LEAD_NS = 600 * SECOND_NS
"""A trade stamped further ahead of its arrival is quarantined: it would evict days. A clock may be wrong by minutes."""


_PLACEHOLDER_MS = 1_700_000_000_000  # converted in place of a missing time, then masked as null
_diff = msgspec.json.Decoder(Diff)
_trades = msgspec.json.Decoder(list[Trade])


class BinanceMapper:
    """
    Parses one symbol's messages.

    Args:
        symbol: upper case; a message about another symbol is refused.
        quantity_decimals: quantities come out in counts of 10^-quantity_decimals.
    """

    def __init__(self, symbol: str, quantity_decimals: int = 8) -> None:
        self.symbol = symbol
        self.quantity_decimals = quantity_decimals

    @property
    def decoders(self) -> Mapping[str, Decode]:
        """Decoder by kind of fact; each raises BadMessage for the first entry it cannot read."""
        return {
            AGG_TRADE: self.agg_trades,
            SNAPSHOT: self.snapshots,
            DIFF: self.diffs,
            INSTRUMENT: self.instruments,
        }

    def agg_trades(self, entries: Sequence[Entry]) -> pa.Table:
        """Parse aggTrade events, REST rows and `trade` events, mixed, to one row each."""
        trades, extras, columns = self._check_trades(entries)
        columns |= {
            "event_time_ns": _parse_optional_times([t.E for t in trades]),
            "buyer_is_maker": [t.m for t in trades],
            "best_match": [t.M for t in trades],
            "source": ["rest" if t.e is None else "trade" if t.e == "trade" else "stream" for t in trades],
            "extra": extras,
        }
        return table_of(AGG_TRADE, entries, columns)

    def agg_trade_ids(self, entries: Sequence[Entry]) -> list[tuple[int, int]]:
        """Parse the agg ids and trade times (ns) of trades; raises BadMessage where `agg_trades` would."""
        batch = _decode_batch(entries)
        if batch is not None and all(self._is_plain(t, e.recv_ns) for t, e in zip(batch, entries, strict=True)):
            return [(t.a, t.T * 1_000_000) for t in batch]
        trades, _, columns = self._check_trades(entries)
        _parse_optional_times([t.E for t in trades])
        return list(zip(columns["agg_id"].tolist(), columns["trade_time_ns"].tolist(), strict=True))

    def _check_trades(self, entries: Sequence[Entry]) -> tuple[list[Trade], list[str | None], dict[str, Any]]:
        """Trades as Binance wrote them, their unknown fields as JSON, and the columns of their numbers and times."""
        trades, extras = self._trade_structs(entries)
        self._expect_symbol([t.s for t in trades])
        recv_ns = np.array([e.recv_ns for e in entries], np.int64)
        trade_time = _parse_times([t.T for t in trades])
        _expect(trade_time <= recv_ns + MAX_LEAD_NS, "its trade time is more than 10 minutes ahead of its arrival")
        ids, first, last = (_to_int64([getattr(t, name) for t in trades]) for name in ("a", "f", "l"))
        _expect((first <= last) & (ids >= 0) & (first >= 0), "its ids are negative or in the wrong order")
        columns = {
            "trade_time_ns": trade_time,
            "agg_id": ids,
            "price_e8": self._parse_numbers([t.p for t in trades]),
            "quantity_e8": self._parse_numbers([t.q for t in trades], self.quantity_decimals),
            "first_trade_id": first,
            "last_trade_id": last,
        }
        return trades, extras, columns

    def diffs(self, entries: Sequence[Entry]) -> pa.Table:
        """Parse depthUpdate events to one row each."""
        rows, extras = _decode_all(entries, Diff)
        self._expect_symbol([r.s for r in rows])
        _expect(np.array([r.e == "depthUpdate" and 0 <= r.U <= r.u for r in rows]), "its update ids are out of order")
        columns: dict[str, Any] = {
            **self._parse_changes("bid", [r.b for r in rows]),
            **self._parse_changes("ask", [r.a for r in rows]),
            "event_time_ns": pa.array(_parse_times([r.E for r in rows])),
            "first_update_id": pa.array(_to_int64([r.U for r in rows])),
            "last_update_id": pa.array(_to_int64([r.u for r in rows])),
            "extra": extras,
        }
        return table_of(DIFF, entries, columns)

    def diff_ids(self, entry: Entry) -> tuple[int, int]:
        """Parse first and last update id of a diff; raises BadMessage where `diffs` would."""
        try:
            diff = _diff.decode(entry.data)
        except UNREADABLE:
            diff = None
        if (
            diff is not None
            and self.quantity_decimals == DECIMALS
            and (diff.e, diff.s) == ("depthUpdate", self.symbol)
            and fast_check.check_ids(diff.U, diff.u)
            and fast_check.check_time(diff.E)
            and fast_check.check_levels(chain(diff.b, diff.a))
        ):
            return diff.U, diff.u
        table = self.diffs([entry])
        return table.column("first_update_id")[0].as_py(), table.column("last_update_id")[0].as_py()

    def snapshots(self, entries: Sequence[Entry]) -> pa.Table:
        """Parse REST depth bodies packed by `pack_snapshot` to one row each."""
        envelopes = [_unpack(row, entry) for row, entry in enumerate(entries)]
        bodies = [Entry(e.seq, e.kind, e.recv_ns, bytes(v.body)) for e, v in zip(entries, envelopes, strict=True)]
        rows, extras = _decode_all(bodies, Depth)
        bids = [self._parse_levels(row, r.bids, parse_book_side, -1) for row, r in enumerate(rows)]
        asks = [self._parse_levels(row, r.asks, parse_book_side, +1) for row, r in enumerate(rows)]
        is_uncrossed = [not len(b[0]) or not len(a[0]) or b[0][0] < a[0][0] for b, a in zip(bids, asks, strict=True)]
        _expect(np.array(is_uncrossed), "its best bid is not below its best ask")
        columns: dict[str, Any] = {
            "request_ns": pa.array(_to_int64([v.request_ns for v in envelopes])),
            "response_ns": pa.array(_to_int64([v.response_ns for v in envelopes])),
            "limit": pa.array(_to_int64([v.limit for v in envelopes])),
            "last_update_id": pa.array(_to_int64([r.lastUpdateId for r in rows])),
            "extra": extras,
        }
        return table_of(SNAPSHOT, entries, columns | _level_columns(bids, asks))

    def instruments(self, entries: Sequence[Entry]) -> pa.Table:
        """Parse symbol objects of exchangeInfo, or instruments inferred by an import, to one row each."""
        rows = []
        for row, entry in enumerate(entries):
            try:
                instrument = parse_instrument(entry.data)
                np.array(
                    [
                        instrument.tick_size_e8,
                        instrument.step_size_e8,
                        instrument.min_notional_e8,
                        instrument.quantity_decimals,
                    ],
                    np.int64,
                )
                rows.append(instrument)
            except (MarketError, LookupError, TypeError, ValueError, ArithmeticError, *UNREADABLE) as error:
                raise BadMessage(row, f"no symbol of exchangeInfo: {error}") from error
        names = ("symbol", "status", "tick_size_e8", "step_size_e8", "min_notional_e8", "quantity_decimals", "source")
        columns: dict[str, Any] = {name: [getattr(i, name) for i in rows] for name in names}
        return table_of(INSTRUMENT, entries, columns | {"extra": [e.data.decode() for e in entries]})

    def _trade_structs(self, entries: Sequence[Entry]) -> tuple[list[Trade], list[str | None]]:
        batch = _decode_batch(entries)
        if batch is not None:
            return batch, [None] * len(batch)
        trades, extras = [], []
        for row, entry in enumerate(entries):
            single = b'"trade"' in entry.data and _is_single(entry.data)
            message, extra = _decode_one(row, entry.data, SingleTrade if single else Trade)
            if single:
                extra = _add_order_ids(extra, message)
                message = Trade(
                    message.t, message.p, message.q, message.t, message.t, message.T, message.m, message.M,
                    message.e, message.E, message.s,
                )  # fmt: skip
            elif message.e not in (None, "aggTrade"):
                raise BadMessage(row, f"its event is {message.e!r}, expected aggTrade")
            trades.append(message)
            extras.append(extra)
        return trades, extras

    def _is_plain(self, trade: Trade, recv_ns: int) -> bool:
        """Whether cheap checks suffice to know that a trade can be read."""
        return (
            self.quantity_decimals == DECIMALS
            and trade.s in (None, self.symbol)
            and fast_check.check_ids(trade.f, trade.l)
            and fast_check.check_ids(trade.a, trade.a)
            and fast_check.check_time(trade.T)
            and recv_ns + MAX_LEAD_NS >= trade.T * 1_000_000
            and (trade.E is None or fast_check.check_time(trade.E))
            and fast_check.check_trade(trade.p, trade.q)
        )

    def _expect_symbol(self, symbols: Sequence[str | None]) -> None:
        for row, symbol in enumerate(symbols):
            if symbol is not None and symbol != self.symbol:
                raise BadMessage(row, f"it is about {symbol[:20]!r}, expected {self.symbol}")

    def _parse_numbers(self, texts: list[str], decimals: int = 8) -> Any:
        try:
            return parse_column(texts, decimals=decimals)
        except MarketError as error:
            raise BadMessage(getattr(error, "row", 0) or 0, str(error)) from error

    def _parse_changes(self, side: str, levels: Sequence[list[tuple[str, str]]]) -> dict[str, pa.Array]:
        """The changed levels of all rows, parsed at once; on an error row by row, to name the row."""
        try:
            prices, quantities = parse_levels(list(chain.from_iterable(levels)), self.quantity_decimals)
        except MarketError:
            for row, row_levels in enumerate(levels):
                self._parse_levels(row, row_levels, parse_levels)
            raise
        offsets = pa.array(np.cumsum([0, *map(len, levels)]), pa.int32())
        kind = SCHEMAS[DIFF].field(f"{side}_price_e8").type
        columns = (pa.ListArray.from_arrays(offsets, pa.array(c), type=kind) for c in (prices, quantities))
        return dict(zip((f"{side}_price_e8", f"{side}_quantity_e8"), columns, strict=True))

    def _parse_levels(self, row: int, levels: list[tuple[str, str]], read: Any, *order: int) -> Any:
        try:
            return read(levels, self.quantity_decimals, *order)
        except MarketError as error:
            raise BadMessage(row, str(error)) from error


def _decode_all(entries: Sequence[Entry], kind: type[Any]) -> tuple[list[Any], list[str | None]]:
    pairs = [_decode_one(row, entry.data, kind) for row, entry in enumerate(entries)]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def _decode_batch(entries: Sequence[Entry]) -> list[Trade] | None:
    """All trades parsed at once; None where one is unusual or unreadable: parsing one by one then names it."""
    if not all(e.data[:1] == b"{" and e.data[-1:] == b"}" for e in entries):
        return None  # halves of two messages must not join into a valid one
    array = b"[" + b",".join(e.data for e in entries) + b"]"
    try:
        trades = _trades.decode(array)
    except UNREADABLE:
        return None
    is_complete = len(trades) == len(entries) and all(t.e in (None, "aggTrade") for t in trades)
    return trades if is_complete else None


def _decode_one(row: int, data: bytes, kind: type[Any]) -> tuple[Any, str | None]:
    """A message, and as JSON the fields that our structs do not know."""
    try:
        return msgspec.json.decode(data, type=kind), None
    except UNREADABLE:
        return _decode_with_extra(row, data, kind)


def _decode_with_extra(row: int, data: bytes, kind: type[Any]) -> tuple[Any, str]:
    """The slow path: unknown fields are split off; what then still does not match is refused."""
    try:
        fields = msgspec.json.decode(data, type=dict[str, Any])
        own_fields = {name: fields.pop(name) for name in kind.__struct_fields__ if name in fields}
        return msgspec.convert(own_fields, kind), msgspec.json.encode(fields, order="sorted").decode()
    except UNREADABLE as error:
        raise BadMessage(row, f"not as documented: {error}") from error


def _is_single(data: bytes) -> bool:
    try:  # the same text may stand elsewhere in a message
        return event_name(data) == "trade"
    except UNREADABLE:
        return False


def _add_order_ids(extra: str | None, message: SingleTrade) -> str | None:
    ids = {name: value for name, value in (("a", message.a), ("b", message.b)) if value is not None}
    if not ids:
        return extra
    return msgspec.json.encode(ids | (msgspec.json.decode(extra) if extra else {}), order="sorted").decode()


def _unpack(row: int, entry: Entry) -> SnapshotEnvelope:
    try:
        plain = pa.CompressedInputStream(pa.BufferReader(entry.data), "zstd").read()
        envelope = msgspec.json.decode(plain, type=SnapshotEnvelope)
    except (OSError, *UNREADABLE) as error:
        raise BadMessage(row, f"no packed snapshot: {error}") from error
    if plain.partition(b'"body":')[2].rstrip()[:-1].strip() != bytes(envelope.body).strip():
        raise BadMessage(row, "no packed snapshot: its body goes on after its end")
    return envelope


def _to_int64(numbers: Sequence[int], reason: str = "a number does not fit 64 bits") -> Any:
    try:
        return np.array(numbers, np.int64)
    except OverflowError as error:
        row = next(i for i, n in enumerate(numbers) if not -(2**63) <= n < 2**63)
        raise BadMessage(row, reason) from error


def _parse_times(stamps: Sequence[int]) -> Any:
    try:
        return venue_times_ns(_to_int64(stamps, "a time does not fit 64 bits"))
    except BadTime as error:
        raise BadMessage(error.row or 0, str(error)) from error


def _parse_optional_times(stamps: Sequence[int | None]) -> pa.Array:
    missing = np.array([s is None for s in stamps], bool)
    return pa.array(_parse_times([_PLACEHOLDER_MS if s is None else s for s in stamps]), mask=missing)


def _expect(valid: Any, reason: str) -> None:
    if not np.all(valid):
        raise BadMessage(int(np.argmin(valid)), reason)


def _level_columns(bids: Sequence[Any], asks: Sequence[Any]) -> dict[str, list[Any]]:
    return {
        "bid_price_e8": [b[0] for b in bids],
        "bid_quantity_e8": [b[1] for b in bids],
        "ask_price_e8": [a[0] for a in asks],
        "ask_quantity_e8": [a[1] for a in asks],
    }
