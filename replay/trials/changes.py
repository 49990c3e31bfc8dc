"""
Changes to a recorded market before any projection: other prices, another symbol and date, or mirrored.

An analyst that decides on structure alone must decide the same about all of them, once its answer is mapped back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from agents.recommendation import Side, Stance, Zone
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.store.batch import Batch
from market.timestamps import DAY_NS

_PRICES = {AGG_TRADE: ("price_e8",)} | dict.fromkeys((SNAPSHOT, DIFF), ("bid_price_e8", "ask_price_e8"))
_NO_TIMES = {"interval_ns"}
_SIDES = ("price_e8", "quantity_e8")
_MIRROR_STANCE: Mapping[Stance, Stance] = {
    "bid_only": "ask_only", "ask_only": "bid_only", "two_sided": "two_sided", "stand_aside": "stand_aside"
}  # fmt: skip

OTHER_SYMBOL = "ZZZFDUSD"
YEAR_NS = 364 * DAY_NS
"""52 weeks: days of the week stay the same, dates do not."""


@dataclass(frozen=True, slots=True)
class MarketChange:
    """
    One way to change a market.

    Attributes:
        name: as it is printed. shift_e8: added to every price. symbol: in place of its own, None to keep it.
        later_ns: added to every time. mirror_e8: what a price and its image sum to, None for no mirror.
    """

    name: str
    shift_e8: int = 0
    symbol: str | None = None
    later_ns: int = 0
    mirror_e8: int | None = None

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Change a log's batches; seqs stay the same."""
        for batch in batches:
            tables = {k: self._table(k, r.table()) for k, r in batch.rows.items()}
            yield Batch.from_tables(batch.first_seq, batch.last_seq, tables)

    def original_zone(self, zone: Zone) -> tuple[Side, int, int]:
        """The side, low and high of a zone of the changed market, mapped back to the original market."""
        low, high = zone.low_e8 - self.shift_e8, zone.high_e8 - self.shift_e8
        if self.mirror_e8 is None:
            return zone.side, low, high
        return "sell" if zone.side == "buy" else "buy", self.mirror_e8 - high, self.mirror_e8 - low

    def original_stance(self, stance: Stance) -> Stance:
        """The stance of advice about the changed market, mapped back to the original market."""
        return stance if self.mirror_e8 is None else _MIRROR_STANCE[stance]

    def _table(self, kind: str, table: pa.Table) -> pa.Table:
        if self.shift_e8:
            table = _map_columns(table, _PRICES.get(kind, ()), lambda prices: pc.add_checked(prices, self.shift_e8))
        if self.mirror_e8 is not None:
            table = self._mirror(kind, table)
        if self.later_ns:
            times = [n for n in table.column_names if n.endswith("_ns") and n not in _NO_TIMES]
            table = _map_columns(table, times, lambda values: pc.add_checked(values, self.later_ns))
        if self.symbol is not None and kind == INSTRUMENT:
            table = _replace_column(table, "symbol", pa.array([self.symbol] * table.num_rows, pa.string()))
        return table

    def _mirror(self, kind: str, table: pa.Table) -> pa.Table:
        table = _map_columns(table, _PRICES.get(kind, ()), lambda prices: pc.subtract_checked(self.mirror_e8, prices))
        if kind == AGG_TRADE:
            return _replace_column(table, "buyer_is_maker", pc.invert(table.column("buyer_is_maker")))
        if kind in (SNAPSHOT, DIFF):
            for part in _SIDES:
                bid, ask = table.column(f"bid_{part}"), table.column(f"ask_{part}")
                table = _replace_column(_replace_column(table, f"bid_{part}", ask), f"ask_{part}", bid)
        return table


NO_CHANGE = MarketChange("as it was")
"""No change."""


def mirror_sum_e8(reference_e8: int, coarse_e8: int, tick_e8: int) -> int:
    """
    The sum of a price and its mirror image: the mirror lies half a tick below a coarse round price near the
    reference, so that ticks map to ticks, and price levels and rows to levels and rows.

    Args:
        reference_e8: a price near the middle, 1e-8 quote.
        coarse_e8: a step that is a multiple of all levels and rows, 1e-8 quote.
        tick_e8: the step of prices, 1e-8 quote.

    >>> mirror_sum_e8(20123, 1000, 1)
    39999
    """
    return 2 * (round(reference_e8 / coarse_e8) * coarse_e8) - tick_e8


def _map_columns(table: pa.Table, names: Iterable[str], change: Callable[[pa.Array], pa.Array]) -> pa.Table:
    for name in names:
        if name not in table.column_names:
            continue
        column = table.column(name).combine_chunks()
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if pa.types.is_list(column.type):
            values = change(column.flatten())
            starts = pc.subtract(column.offsets, column.offsets[0])
            result = pa.ListArray.from_arrays(starts, values, type=column.type)
        else:
            result = change(column)
        table = _replace_column(table, name, result)
    return table


def _replace_column(table: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    index = table.schema.get_field_index(name)
    return table.set_column(index, table.schema.field(name), column)
