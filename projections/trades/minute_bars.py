"""
Minute bars of a log: open, high, low, close, volumes, trades and VWAP, exact, a row for each known minute.

A minute in which a tick says that trades were live and none came is known, too: its prices are the close before it and
its volumes zero, as in a venue's own klines. A minute that the log does not cover has no row, and no price is carried
over it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch, Rows
from market.arrays import I64
from market.errors import SumOverflow
from market.fixed_point import LARGEST_E8
from market.timestamps import DAY_NS, MINUTE_NS

COLUMNS = {
    AGG_TRADE: (
        "trade_time_ns", "agg_id", "price_e8", "quantity_e8", "buyer_is_maker", "first_trade_id", "last_trade_id",
    ),
    TICK: ("boundary_ns", "interval_ns", "trades"),
}  # fmt: skip
"""The columns of each kind that are read."""

SCHEMA = pa.schema(
    [
        pa.field(name, pa.int64(), nullable=name == "vwap_e8")
        for name in (
            "minute", "open_e8", "high_e8", "low_e8", "close_e8", "buy_vol_e8", "sell_vol_e8", "total_vol_e8", "trades",
            "vwap_e8",
        )
    ]
)  # fmt: skip
"""Minute in ns; prices in 1e-8 quote; volumes in the log's quantity unit; vwap null where nothing was traded."""

_ROWS = 10_000  # bounds the memory of one table


@dataclass(frozen=True, slots=True)
class _Bar:
    """A minute with trades; `notional` is the sum of price times quantity, in the product of their units."""

    first_id: int
    last_id: int
    open: int
    high: int
    low: int
    close: int
    buy: int
    sell: int
    trades: int
    notional: int

    def merge(self, other: "_Bar") -> "_Bar":
        first, last = min(self, other, key=lambda bar: bar.first_id), max(self, other, key=lambda bar: bar.last_id)
        return _Bar(
            first.first_id, last.last_id, first.open, max(self.high, other.high), min(self.low, other.low), last.close,
            self.buy + other.buy, self.sell + other.sell, self.trades + other.trades, self.notional + other.notional,
        )  # fmt: skip


class MinuteBars:
    """The bars of all batches applied; trades may come in any order and in batches of any size."""

    def __init__(self) -> None:
        self._bars: dict[int, _Bar] = {}
        self._live: set[int] = set()

    def apply(self, batch: Batch) -> None:
        """Apply a batch's trades and ticks."""
        if AGG_TRADE in batch.rows:
            for minute, bar in _bars_of(batch.rows[AGG_TRADE]):
                previous = self._bars.get(minute)
                self._bars[minute] = bar if previous is None else previous.merge(bar)
        if TICK in batch.rows:
            self._live.update(_live_minutes(batch.rows[TICK]))

    def tables(self) -> Iterator[pa.Table]:
        """
        The bars of each known minute, oldest first, in tables of `SCHEMA`; one at least, which may be empty.

        Raises:
            SumOverflow: a minute's volume passed 2^62.
        """
        rows: list[tuple[int | None, ...]] = []
        for row in self._rows():
            rows.append(row)
            if len(rows) == _ROWS:
                yield _table(rows)
                rows = []
        yield _table(rows)

    def _rows(self) -> Iterator[tuple[int | None, ...]]:
        close, expected = 0, None
        for minute in sorted(self._bars.keys() | self._live):
            bar = self._bars.get(minute)
            if bar is not None:
                close, total = bar.close, bar.buy + bar.sell
                if max(total, bar.trades) > LARGEST_E8:
                    raise SumOverflow("a minute's quantity")
                vwap = (2 * bar.notional + total) // (2 * total) if total > 0 else None
                yield minute, bar.open, bar.high, bar.low, close, bar.buy, bar.sell, total, bar.trades, vwap
            elif minute == expected:
                yield minute, close, close, close, close, 0, 0, 0, 0, None
            else:
                continue  # live, but after minutes that the log does not cover: the price is not known
            expected = minute + MINUTE_NS


def _table(rows: Iterable[tuple[int | None, ...]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


def _bars_of(rows: Rows) -> Iterator[tuple[int, _Bar]]:
    minutes = rows["trade_time_ns"] - rows["trade_time_ns"] % MINUTE_NS
    order = np.lexsort((rows["agg_id"], minutes))
    if not len(order):
        return
    minutes, ids, prices, quantities = (
        column[order] for column in (minutes, rows["agg_id"], rows["price_e8"], rows["quantity_e8"])
    )
    sold = rows["buyer_is_maker"][order]
    starts = np.concatenate(([0], np.flatnonzero(np.diff(minutes)) + 1))
    ends = np.concatenate((starts[1:], [len(order)])) - 1
    counts = (rows["last_trade_id"] - rows["first_trade_id"])[order] + 1
    columns = (
        ids[starts], ids[ends], prices[starts], np.maximum.reduceat(prices, starts),
        np.minimum.reduceat(prices, starts), prices[ends], _sums(np.where(sold, 0, quantities), starts),
        _sums(np.where(sold, quantities, 0), starts), _sums(counts, starts), _sums(prices, starts, quantities),
    )  # fmt: skip
    for minute, *values in zip(minutes[starts].tolist(), *(column.tolist() for column in columns), strict=True):
        yield minute, _Bar(*values)


def _sums(values: I64, starts: I64, factors: I64 | None = None) -> npt.NDArray[Any]:
    """Exact sums of stretches of values, or of products, however large."""
    if factors is None and int(np.abs(values).max()) <= LARGEST_E8 // len(values):
        return np.add.reduceat(values, starts)
    exact = values.astype(object)
    return np.add.reduceat(exact if factors is None else exact * factors.astype(object), starts)


def _live_minutes(ticks: Rows) -> Iterator[int]:
    """The minutes of intervals at whose end trades were live."""
    table = ticks.columns.table.select(["boundary_ns", "interval_ns", "trades"]).slice(ticks.start, len(ticks))
    for tick in table.to_pylist():
        if tick["trades"] == "live":
            start = tick["boundary_ns"] - min(max(tick["interval_ns"], 1), DAY_NS)
            yield from range(start - start % MINUTE_NS, tick["boundary_ns"], MINUTE_NS)
