"""
The grid of a market without an instrument message: inferred, per UTC day, from the prices and quantities of an import.

Venues change tick sizes, so each day is inferred separately; a change is written before the day's first entry.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from eventlog.errors import ImportRefused
from market.arrays import I64
from market.fixed_point import DECIMALS, LARGEST_E8
from market.instrument import Instrument
from market.observed_grid import ObservedUnit, exceeds_sum_limit, infer_quantity_decimals, next_step
from market.timestamps import DAY_NS

_LOW_BITS = 32  # sums are taken in halves, so that none wraps
_FIELDS = ("symbol", "status", "tick_size_e8", "step_size_e8", "min_notional_e8", "quantity_decimals", "source")


@dataclass(slots=True)
class _Day:
    prices: ObservedUnit = field(default_factory=ObservedUnit)
    quantities: ObservedUnit = field(default_factory=ObservedUnit)


class ObservedMarket:
    """
    Infers an instrument from the data of an import, before anything is written.

    Args:
        symbol: of the market.
        decimals: quantities are given in counts of 10^-decimals.
        instrument: the last one in the log, None where the log has none.

    Attributes:
        decimals: of the log's quantities, once `finalize` was called.
    """

    def __init__(self, symbol: str, decimals: int, instrument: Instrument | None) -> None:
        self.decimals = decimals
        self._instrument = instrument
        self._symbol = symbol
        self._days: dict[int, _Day] = {}
        self._traded_sum = self._max_quoted_sum = 0
        self._cheapest_e8 = LARGEST_E8
        self._first_ns = self._last_ns = 0
        self._changes: dict[int, Instrument] = {}

    def add(self, times_ns: I64, prices_e8: I64, quantities: I64) -> None:
        """
        Add n trades.

        Args:
            times_ns: n trade times, ns UTC, not falling.
            prices_e8: n prices, 1e-8 quote per base.
            quantities: n quantities, counts of 10^-decimals base.
        """
        if len(times_ns) == 0:
            return
        self._first_ns = self._first_ns or int(times_ns[0])
        self._last_ns = int(times_ns[-1])
        self._traded_sum += _exact_sum(quantities)
        self._cheapest_e8 = min(self._cheapest_e8, int(prices_e8.min()))
        first, last = int(times_ns[0]) // DAY_NS, self._last_ns // DAY_NS
        for day in range(first, last + 1):
            start, stop = times_ns.searchsorted([day * DAY_NS, (day + 1) * DAY_NS])
            if stop > start:
                self._observe(day, prices_e8[start:stop], quantities[start:stop])

    def add_levels(self, time_ns: int, prices_e8: I64, quantities: I64) -> None:
        """
        Add n levels of one side of a book.

        Args:
            time_ns: arrival, ns UTC.
            prices_e8: n prices, 1e-8 quote per base.
            quantities: n quantities, counts of 10^-decimals base; 0 for a level that is removed.
        """
        self._max_quoted_sum = max(self._max_quoted_sum, _exact_sum(quantities))
        self._observe(time_ns // DAY_NS, prices_e8, quantities)

    def _observe(self, day: int, prices_e8: I64, quantities: I64) -> None:
        units = self._days.setdefault(day, _Day())
        units.prices.add(prices_e8)
        units.quantities.add(quantities)

    def finalize(self, file: str) -> None:
        """
        Infer the grid of each day, once all of a file was added.

        Args:
            file: its name, for the message.

        Raises:
            ImportRefused: the sums of what was traded do not fit the decimals that the log keeps.
        """
        unit = 10 ** (DECIMALS - self.decimals)
        span_ns = self._last_ns - self._first_ns
        for day in self._days.values():
            day.quantities.divisor *= unit
        if self._instrument is None:
            steps = ObservedUnit()
            for day in self._days.values():
                steps.merge(day.quantities)
            decimals = infer_quantity_decimals(
                self._traded_sum * unit, span_ns, steps, self._max_quoted_sum * unit, self._cheapest_e8
            )
            self.decimals = min(decimals, self.decimals)
        elif exceeds_sum_limit(self._traded_sum, span_ns):
            raise ImportRefused(
                f"{file}: so many coins were traded that with the {self.decimals} decimals this log keeps nobody can "
                "sum them; import it into another --storage"
            )
        current = self._instrument
        for day_number in sorted(self._days):
            day = self._days[day_number]
            base = current or Instrument(
                self._symbol, "unknown", 0, 0, quantity_decimals=self.decimals, source="inferred"
            )
            tick, step = next_step(base.tick_size_e8, day.prices), next_step(base.step_size_e8, day.quantities)
            if (tick, step) != (base.tick_size_e8, base.step_size_e8):
                current = self._changes[day_number] = replace(
                    base, tick_size_e8=tick, step_size_e8=step, source="inferred"
                )

    def pop_change(self, time_ns: int) -> Instrument | None:
        """
        Take the instrument that must be written before the first entry of a day, None where it did not change since
        the last one taken. A change on a day without new entries is returned for the next day.
        """
        days = [day for day in self._changes if day <= time_ns // DAY_NS]
        return [self._changes.pop(day) for day in sorted(days)][-1] if days else None


def instrument_columns(instrument: Instrument) -> dict[str, Any]:
    """The columns of an instrument fact of one row, without seq and recv_ns."""
    return {name: [getattr(instrument, name)] for name in _FIELDS}


def parse_instrument(row: dict[str, Any] | None) -> Instrument | None:
    """The instrument of a row of an instrument fact, None for None."""
    return None if row is None else msgspec.convert({k: row[k] for k in _FIELDS}, Instrument)


def _exact_sum(values: I64) -> int:
    """The sum of n numbers, none negative, that may pass 2^63."""
    high, low = values >> _LOW_BITS, values & ((1 << _LOW_BITS) - 1)
    return (int(high.sum()) << _LOW_BITS) + int(low.sum())
