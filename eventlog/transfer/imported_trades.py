"""
Aggregated trades of an archive as columns, a block at a time.
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
from market.timestamps import iso

_BLOCK = 500_000
_MILLISECOND_NS = 1_000_000


class QuantityTooLarge(ImportRefused):
    """A quantity passes 2^62 counts of the decimals asked for; with fewer it may fit."""


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
        """The same columns at some rows."""
        picked: dict[str, Any] = {name: None if c is None else c[rows] for name, c in self.columns().items()}
        return replace(self, **picked)

    def columns(self) -> dict[str, Any]:
        """The columns by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "decimals"}

    def blocks(self, decimals: int) -> Iterator["ImportedTrades"]:
        """
        The trades a few at a time, quantities in counts of 10^-decimals.

        Raises:
            ImportRefused: a quantity has more decimals.
        """
        for start in range(0, len(self), _BLOCK):
            yield self.take(slice(start, start + _BLOCK)).rescaled(decimals)

    def rescaled(self, decimals: int) -> "ImportedTrades":
        """
        The same trades, quantities in counts of 10^-decimals.

        Raises:
            QuantityTooLarge: they do not fit. ImportRefused: a quantity has more decimals.
        """
        unit = 10 ** abs(self.decimals - decimals)
        if decimals > self.decimals:
            if np.any(self.quantity_e8 > LARGEST_E8 // unit):
                raise QuantityTooLarge(f"a quantity is too large to be kept with {decimals} decimals")
            return replace(self, quantity_e8=self.quantity_e8 * unit, decimals=decimals)
        odd = np.flatnonzero(self.quantity_e8 % unit)
        if len(odd):
            text = format_e8(int(self.quantity_e8[odd[0]]), self.decimals)
            raise ImportRefused(
                f"quantity {text} has more decimals than the {decimals} this log keeps; import into another --storage"
            )
        return replace(self, quantity_e8=self.quantity_e8 // unit, decimals=decimals)

    def text_of(self, row: int) -> dict[str, Any]:
        """One trade for people to read."""
        return {
            "agg_id": int(self.agg_id[row]),
            "price": format_e8(int(self.price_e8[row])),
            "quantity": format_e8(int(self.quantity_e8[row]), self.decimals),
            "trade_ids": [int(self.first_trade_id[row]), int(self.last_trade_id[row])],
            "trade_time": iso(int(self.trade_time_ns[row])),
            "buyer_is_maker": bool(self.buyer_is_maker[row]),
        }


class TradeSource(Protocol):
    """What trades come from: a file, or columns in memory."""

    def blocks(self, decimals: int) -> Iterator[ImportedTrades]:
        """All trades from the first on, each time it is called; quantities in counts of 10^-decimals."""
        ...


def joined(blocks: Sequence[ImportedTrades]) -> ImportedTrades:
    """One block of several, at least one."""
    parts = [block.columns() for block in blocks]
    whole: dict[str, Any] = {}
    for name in parts[0]:
        columns = [part[name] for part in parts]
        whole[name] = None if any(column is None for column in columns) else np.concatenate(columns)
    return ImportedTrades(**whole, decimals=blocks[0].decimals)


def trades_of(stored: pa.Table, decimals: int) -> ImportedTrades:
    """Rows of a log's `agg_trade` table as an archive has them."""
    names = ("agg_id", "price_e8", "quantity_e8", "first_trade_id", "last_trade_id", "trade_time_ns")
    columns = {name: stored.column(name).to_numpy() for name in names}
    return ImportedTrades(
        **columns,
        buyer_is_maker=stored.column("buyer_is_maker").to_numpy(zero_copy_only=False),
        best_match=None,
        decimals=decimals,
    )


def stored_trades(cold: ColdLog, segments: Sequence[Segment], low: int, high: int) -> pa.Table | None:
    """The rows of some segments with agg ids from low to high, lowest id first; None for none."""
    found = []
    for segment in segments:
        if segment.first_agg_id is None or segment.last_agg_id is None:
            continue
        if segment.last_agg_id < low or segment.first_agg_id > high:
            continue
        for stored in (cold.table(f) for f in segment.files if f.kind == AGG_TRADE):
            ids = stored.column("agg_id").to_numpy()
            found.append(stored.filter(pa.array((ids >= low) & (ids <= high))))
    whole = pa.concat_tables(found) if found else None
    return whole.sort_by("agg_id") if whole is not None and whole.num_rows else None


def equal_rows(one: ImportedTrades, other: ImportedTrades) -> Bools:
    """
    Whether the trades of two columns of n are the same, row by row; a time in ms is that of µs without its µs.
    """
    same = one.agg_id == other.agg_id
    for name in ("price_e8", "quantity_e8", "first_trade_id", "last_trade_id", "buyer_is_maker"):
        same &= getattr(one, name) == getattr(other, name)
    times, others = one.trade_time_ns, other.trade_time_ns
    coarse = (times % _MILLISECOND_NS == 0) | (others % _MILLISECOND_NS == 0)
    near = coarse & (times // _MILLISECOND_NS == others // _MILLISECOND_NS)
    return np.asarray(same & ((times == others) | near), bool)
