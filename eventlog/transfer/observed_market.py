"""
The grid of a market nobody asked for: told, day by day, by the prices and quantities that an import reads.

Venues change tick sizes, so each UTC day is looked at anew; a change is told before the day's first entry.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from eventlog.errors import ImportRefused
from market.arrays import I64
from market.fixed_point import DECIMALS, LARGEST_E8
from market.instrument import Instrument
from market.observed_grid import ObservedUnit, next_step, passes_sums, quantity_decimals_seen
from market.timestamps import DAY_NS

_LOW_BITS = 32
_FIELDS = ("symbol", "status", "tick_size_e8", "step_size_e8", "min_notional_e8", "quantity_decimals", "source")


@dataclass(slots=True)
class _Day:
    prices: ObservedUnit = field(default_factory=ObservedUnit)
    quantities: ObservedUnit = field(default_factory=ObservedUnit)


class ObservedMarket:
    """
    What an import learns of an instrument before it writes anything.

    Args:
        decimals: in which quantities are handed over, counts of 10^-decimals.
        known: what the log says of the instrument last, None before it says anything.

    Attributes:
        decimals: in which the log keeps quantities; right once `settle` was called.
    """

    def __init__(self, symbol: str, decimals: int, known: Instrument | None) -> None:
        self.decimals = decimals
        self._known = known
        self._symbol = symbol
        self._days: dict[int, _Day] = {}
        self._traded = self._quoted = 0
        self._cheapest_e8 = LARGEST_E8
        self._first_ns = self._last_ns = 0
        self._changes: dict[int, Instrument] = {}

    def add(self, times_ns: I64, prices_e8: I64, quantities: I64) -> None:
        """Take n trades whose times do not fall."""
        if len(times_ns) == 0:
            return
        self._first_ns = self._first_ns or int(times_ns[0])
        self._last_ns = int(times_ns[-1])
        self._traded += _exact_sum(quantities)
        self._cheapest_e8 = min(self._cheapest_e8, int(prices_e8.min()))
        first, last = int(times_ns[0]) // DAY_NS, self._last_ns // DAY_NS
        for day in range(first, last + 1):
            start, stop = times_ns.searchsorted([day * DAY_NS, (day + 1) * DAY_NS])
            if stop > start:
                self._see(day, prices_e8[start:stop], quantities[start:stop])

    def add_levels(self, time_ns: int, prices_e8: I64, quantities: I64) -> None:
        """Take n levels of one side of a book; a quantity of 0 says nothing."""
        self._quoted = max(self._quoted, _exact_sum(quantities))
        self._see(time_ns // DAY_NS, prices_e8, quantities)

    def _see(self, day: int, prices_e8: I64, quantities: I64) -> None:
        seen = self._days.setdefault(day, _Day())
        seen.prices.add(prices_e8)
        seen.quantities.add(quantities)

    def settle(self, file: str) -> None:
        """
        All of a file was handed over: the grid of each day is as all of the day tells.

        Raises:
            ImportRefused: the sums of what was traded do not fit the decimals that the log keeps.
        """
        unit = 10 ** (DECIMALS - self.decimals)
        span_ns = self._last_ns - self._first_ns
        for day in self._days.values():
            day.quantities.divisor *= unit
        if self._known is None:
            steps = ObservedUnit()
            for day in self._days.values():
                steps.merge(day.quantities)
            chosen = quantity_decimals_seen(self._traded * unit, span_ns, steps, self._quoted * unit, self._cheapest_e8)
            self.decimals = min(chosen, self.decimals)
        elif passes_sums(self._traded, span_ns):
            raise ImportRefused(
                f"{file}: so many coins were traded that with the {self.decimals} decimals this log keeps nobody can "
                "sum them; import it into another --storage"
            )
        now = self._known
        for at in sorted(self._days):
            day = self._days[at]
            base = now or Instrument(self._symbol, "unknown", 0, 0, quantity_decimals=self.decimals, source="inferred")
            tick, step = next_step(base.tick_size_e8, day.prices), next_step(base.step_size_e8, day.quantities)
            if (tick, step) != (base.tick_size_e8, base.step_size_e8):
                now = self._changes[at] = replace(base, tick_size_e8=tick, step_size_e8=step, source="inferred")

    def change_before(self, time_ns: int) -> Instrument | None:
        """
        The instrument to be told before the first entry of a day; None where nothing changed, or it was told. What
        changed on a day of which nothing was written, as all of it was known, is told on the next.
        """
        due = [day for day in self._changes if day <= time_ns // DAY_NS]
        return [self._changes.pop(day) for day in sorted(due)][-1] if due else None


def instrument_columns(told: Instrument) -> dict[str, Any]:
    """The columns of an instrument fact of one row, but its place."""
    return {name: [getattr(told, name)] for name in _FIELDS}


def known_instrument(row: dict[str, Any] | None) -> Instrument | None:
    """The instrument that the last instrument fact of a log tells of."""
    return None if row is None else msgspec.convert({k: row[k] for k in _FIELDS}, Instrument)


def _exact_sum(values: I64) -> int:
    """The sum of n numbers, none negative, that may pass 2^63."""
    high, low = values >> _LOW_BITS, values & ((1 << _LOW_BITS) - 1)
    return (int(high.sum()) << _LOW_BITS) + int(low.sum())
