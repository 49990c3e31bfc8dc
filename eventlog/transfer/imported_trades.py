"""
Aggregated trades of an archive as columns, in blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from eventlog.errors import ImportRefused
from eventlog.facts.market import AGG_TRADE
from eventlog.store.catalogue import Segment
from eventlog.store.cold import ColdLog
from market.arrays import I64, Bools
from market.fixed_point import DECIMALS, LARGEST_E8, format_e8
from market.timestamps import MILLISECOND_NS, iso

_BLOCK = 500_000  # trades


class QuantityTooLarge(ImportRefused):
    """A quantity passes 2^62 counts of the requested decimals; with fewer decimals it may fit."""


@dataclass(frozen=True, slots=True)
class ImportedTrades:
    """
    n aggregated trades in the file's order, columns of shape (n,).

    Attributes:
        quantity_e8: counts of 10^-decimals. best_match: None where the file has no such column.
    """

    agg_id: I64
    price_e8: I64
    quantity_e8: I64
    first_trade_id: I64
    last_trade_id: I64
    trade_time_ns: I64
    buyer_is_maker: Bools
    best_match: Bools | None
    decimals: int = DECIMALS

    def __len__(self) -> int:
        return len(self.agg_id)

    def take(self, rows: Any) -> "ImportedTrades":
        """The trades at some rows: a slice, indices or a mask."""
        columns: dict[str, Any] = {name: None if c is None else c[rows] for name, c in self.columns().items()}
        return replace(self, **columns)

    def columns(self) -> dict[str, Any]:
        """The columns by name; `best_match` may be None."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "decimals"}

    def blocks(self, decimals: int) -> Iterator["ImportedTrades"]:
        """
        The trades in blocks, quantities in counts of 10^-decimals.

        Raises:
            ImportRefused: a quantity has more decimals.
        """
        for start in range(0, len(self), _BLOCK):
            yield self.take(slice(start, start + _BLOCK)).rescale(decimals)

    def rescale(self, decimals: int) -> "ImportedTrades":
        """
        The same trades, quantities in counts of 10^-decimals.

        Raises:
            QuantityTooLarge: a quantity does not fit. ImportRefused: a quantity has more decimals.
        """
        unit = 10 ** abs(self.decimals - decimals)
        if decimals > self.decimals:
            if np.any(self.quantity_e8 > LARGEST_E8 // unit):
                raise QuantityTooLarge(f"a quantity is too large to be kept with {decimals} decimals")
            return replace(self, quantity_e8=self.quantity_e8 * unit, decimals=decimals)
        misfits = np.flatnonzero(self.quantity_e8 % unit)
        if len(misfits):
            text = format_e8(int(self.quantity_e8[misfits[0]]), self.decimals)
            raise ImportRefused(
                f"quantity {text} has more decimals than the {decimals} this log keeps; import into another --storage"
            )
        return replace(self, quantity_e8=self.quantity_e8 // unit, decimals=decimals)

    def describe_trade(self, row: int) -> dict[str, Any]:
        """The trade at a row as text fields, for JSON."""
        return {
            "agg_id": int(self.agg_id[row]),
            "price": format_e8(int(self.price_e8[row])),
            "quantity": format_e8(int(self.quantity_e8[row]), self.decimals),
            "trade_ids": [int(self.first_trade_id[row]), int(self.last_trade_id[row])],
            "trade_time": iso(int(self.trade_time_ns[row])),
            "buyer_is_maker": bool(self.buyer_is_maker[row]),
        }


class TradeSource(Protocol):
    """A source of trades: a file, or columns in memory."""

    def blocks(self, decimals: int) -> Iterator[ImportedTrades]:
        """Each call reads all trades from the first on; quantities in counts of 10^-decimals."""
        ...


def concatenate(blocks: Sequence[ImportedTrades]) -> ImportedTrades:
    """Join blocks, at least one, all with the same decimals; a column that one lacks is None."""
    parts = [block.columns() for block in blocks]
    all_columns: dict[str, Any] = {}
    for name in parts[0]:
        columns = [part[name] for part in parts]
        all_columns[name] = None if any(column is None for column in columns) else np.concatenate(columns)
    return ImportedTrades(**all_columns, decimals=blocks[0].decimals)


def to_imported_trades(table: pa.Table, decimals: int) -> ImportedTrades:
    """Rows of a log's `agg_trade` table as imported trades, quantities in counts of 10^-decimals."""
    names = ("agg_id", "price_e8", "quantity_e8", "first_trade_id", "last_trade_id", "trade_time_ns")
    columns = {name: table.column(name).to_numpy() for name in names}
    return ImportedTrades(
        **columns,
        buyer_is_maker=table.column("buyer_is_maker").to_numpy(zero_copy_only=False),
        best_match=None,
        decimals=decimals,
    )


def load_trades(cold: ColdLog, segments: Sequence[Segment], low: int, high: int) -> pa.Table | None:
    """
    Read the trades of some segments with agg ids in a range.

    Args:
        cold: the log's archive. segments: of it.
        low, high: the range of agg ids, both inclusive.

    Returns:
        Rows of `agg_trade`, lowest id first; None where there are none.
    """
    tables = []
    for segment in segments:
        if segment.first_agg_id is None or segment.last_agg_id is None:
            continue
        if segment.last_agg_id < low or segment.first_agg_id > high:
            continue
        for table in (cold.table(f) for f in segment.files if f.kind == AGG_TRADE):
            ids = table.column("agg_id").to_numpy()
            tables.append(table.filter(pa.array((ids >= low) & (ids <= high))))
    rows = pa.concat_tables(tables) if tables else None
    return rows.sort_by("agg_id") if rows is not None and rows.num_rows else None


def equal_rows(first: ImportedTrades, second: ImportedTrades) -> Bools:
    """
    Whether n trades equal n others, row by row; times where one has no µs are compared in ms.
    """
    equal = first.agg_id == second.agg_id
    for name in ("price_e8", "quantity_e8", "first_trade_id", "last_trade_id", "buyer_is_maker"):
        equal &= getattr(first, name) == getattr(second, name)
    first_times, second_times = first.trade_time_ns, second.trade_time_ns
    has_ms_only = (first_times % MILLISECOND_NS == 0) | (second_times % MILLISECOND_NS == 0)
    equal_in_ms = has_ms_only & (first_times // MILLISECOND_NS == second_times // MILLISECOND_NS)
    return np.asarray(equal & ((first_times == second_times) | equal_in_ms), bool)
