"""
What faults have done to the exchange as a whole: its ids, its clock, whether it trades, what it keeps to itself.
"""

from bisect import bisect_right

import numpy as np

from market.arrays import I64
from simulators.exchange.clock import Clock
from simulators.exchange.faults.script import Script, Struck
from simulators.exchange.market.engine import DepthDiff
from simulators.exchange.market.trades import AGG_ID, Trades

TRADING = "TRADING"

_MILLISECOND_NS = 1_000_000


class IdJumps:
    """Ids as the market counts them to ids as the exchange gives them out; both rise, the latter with holes."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._shifts = [0]

    def jump(self, at: int, by: int) -> None:
        """Ids of the market from `at` on, which no earlier jump lies above, are given out higher by so much more."""
        self._starts.append(at)
        self._shifts.append(self._shifts[-1] + by)

    def outer(self, number: int) -> int:
        """The id given out for an id of the market."""
        return number + self._shifts[bisect_right(self._starts, number)]

    def outer_all(self, numbers: I64) -> I64:
        """The ids given out for n ids of the market."""
        places = np.searchsorted(np.array(self._starts, np.int64), numbers, "right")
        shifted: I64 = numbers + np.array(self._shifts, np.int64)[places]
        return shifted

    def inner(self, number: int) -> int:
        """The first id of the market that is given out at or above a number."""
        for start, before, shift in zip(
            reversed(self._starts), reversed(self._shifts[:-1]), reversed(self._shifts[1:]), strict=True
        ):
            if number >= start + before:
                return max(start, number - shift)
        return number


class Conditions:
    """
    The state that faults of the whole exchange leave behind.

    Attributes:
        script: the faults there are.
        status: what exchangeInfo says.
        hidden: agg ids, as given out, that no request ever shows.
    """

    def __init__(self, clock: Clock, script: Script | None = None) -> None:
        self.script = script or Script()
        self.status = TRADING
        self.hidden: set[int] = set()
        self.agg_ids = IdJumps()
        self.update_ids = IdJumps()
        self._clock = clock
        self._skew_ns = 0
        self._drift_ppb = 0
        self._drift_since_ns = 0
        self._stopped_steps: int | None = 0
        self._stopped_ns = 0

    def now_ns(self) -> int:
        """The time as the exchange has it."""
        now_ns = self._clock.now_ns()
        return now_ns + self._off_ns(now_ns)

    @property
    def stamp_shift_ns(self) -> int:
        """What is added to the market's own time for the stamps of trades: the clock's error, and halts."""
        shift_ns = self._off_ns(self._clock.now_ns()) + self._stopped_ns
        return shift_ns - shift_ns % _MILLISECOND_NS

    def strike(self, struck: Struck, next_agg_id: int, next_update_id: int) -> None:
        """Take a fault of a step; the ids are those the market gives next."""
        match struck.fault.name:
            case "agg_id_jump":
                self.agg_ids.jump(next_agg_id, int(struck.number("by")))
            case "update_id_jump":
                self.update_ids.jump(next_update_id, int(struck.number("by")))
            case "clock_skew":
                self._skew_ns = int(struck.number("ms") * _MILLISECOND_NS)
            case "clock_drift":
                now_ns = self._clock.now_ns()
                self._skew_ns = self._off_ns(now_ns)
                self._drift_ppb, self._drift_since_ns = int(struck.number("ms_per_s") * 1_000_000), now_ns
            case "symbol_status":
                self.status = struck.text("status")
                steps = int(struck.number("steps"))
                self._stopped_steps = 0 if self.status == TRADING else steps or None

    def stands_still(self, step_ns: int) -> bool:
        """Whether the market does not trade in this step, which is then counted as stopped."""
        if self._stopped_steps == 0:
            self.status = TRADING
            return False
        if self._stopped_steps is not None:
            self._stopped_steps -= 1
        self._stopped_ns += step_ns
        return True

    def trades(self, trades: Trades) -> Trades:
        """Trades with the ids that are given out."""
        columns = trades.columns.copy()
        columns[AGG_ID] = self.agg_ids.outer_all(columns[AGG_ID])
        return Trades(columns)

    def diff(self, diff: DepthDiff) -> DepthDiff:
        """A diff that is not empty, with the ids that are given out."""
        first, last = self.update_ids.outer(diff.first_update_id), self.update_ids.outer(diff.last_update_id)
        return DepthDiff(first, last, diff.bids, diff.asks)

    def _off_ns(self, now_ns: int) -> int:
        return self._skew_ns + (now_ns - self._drift_since_ns) * self._drift_ppb // 1_000_000_000
