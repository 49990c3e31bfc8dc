"""
The state of the exchange that faults change: its ids, its clock, whether it trades, which trades it hides.
"""

from bisect import bisect_right

import numpy as np

from market.arrays import I64
from market.timestamps import MILLISECOND_NS
from simulators.exchange.clock import Clock
from simulators.exchange.faults.script import Script, TriggeredFault
from simulators.exchange.market.engine import DepthDiff
from simulators.exchange.market.trades import AGG_ID, Trades

TRADING = "TRADING"


class IdJumps:
    """Maps internal ids, which the market counts without gaps, to public ids, which the exchange sends, with gaps."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._shifts = [0]

    def jump(self, first: int, size: int) -> None:
        """Raise the public ids of all internal ids from `first` on by `size`; no earlier jump begins above it."""
        self._starts.append(first)
        self._shifts.append(self._shifts[-1] + size)

    def to_public(self, number: int) -> int:
        """The public id of an internal id."""
        return number + self._shifts[bisect_right(self._starts, number)]

    def all_to_public(self, numbers: I64) -> I64:
        """The n public ids of n internal ids."""
        jumps = np.searchsorted(np.array(self._starts, np.int64), numbers, "right")
        public: I64 = numbers + np.array(self._shifts, np.int64)[jumps]
        return public

    def to_internal(self, number: int) -> int:
        """The first internal id whose public id is at or above a number."""
        for start, previous, shift in zip(
            reversed(self._starts), reversed(self._shifts[:-1]), reversed(self._shifts[1:]), strict=True
        ):
            if number >= start + previous:
                return max(start, number - shift)
        return number


class Conditions:
    """
    The state of the exchange that faults change.

    Args:
        clock: the time without faults.
        script: the rules of faults; None for none.

    Attributes:
        script: the rules of faults in force.
        status: the trading status in exchangeInfo.
        hidden_agg_ids: public agg ids that REST never shows.
        agg_ids, update_ids: from internal to public ids.
    """

    def __init__(self, clock: Clock, script: Script | None = None) -> None:
        self.script = script or Script()
        self.status = TRADING
        self.hidden_agg_ids: set[int] = set()
        self.agg_ids = IdJumps()
        self.update_ids = IdJumps()
        self._clock = clock
        self._skew_ns = 0
        self._drift_ppb = 0
        self._drift_since_ns = 0
        self._halt_steps: int | None = 0
        self._halt_ns = 0

    def now_ns(self) -> int:
        """The time on the exchange's clock, ns UTC; its error is included."""
        now_ns = self._clock.now_ns()
        return now_ns + self._clock_error_ns(now_ns)

    @property
    def stamp_shift_ns(self) -> int:
        """What trade times add to the market's own time, ns, whole milliseconds: the clock's error, and halts."""
        shift_ns = self._clock_error_ns(self._clock.now_ns()) + self._halt_ns
        return shift_ns - shift_ns % MILLISECOND_NS

    def apply(self, fault: TriggeredFault, next_agg_id: int, next_update_id: int) -> None:
        """
        Apply a fault of a step.

        Args:
            fault: the fault; one of another place changes nothing.
            next_agg_id: the internal agg id that the market gives next.
            next_update_id: the internal update id that the market gives next.
        """
        match fault.name:
            case "agg_id_jump":
                self.agg_ids.jump(next_agg_id, int(fault.number("by")))
            case "update_id_jump":
                self.update_ids.jump(next_update_id, int(fault.number("by")))
            case "clock_skew":
                self._skew_ns = int(fault.number("ms") * MILLISECOND_NS)
            case "clock_drift":
                now_ns = self._clock.now_ns()
                self._skew_ns = self._clock_error_ns(now_ns)
                self._drift_ppb, self._drift_since_ns = int(fault.number("ms_per_s") * 1_000_000), now_ns
            case "symbol_status":
                self.status = fault.text("status")
                steps = int(fault.number("steps"))
                self._halt_steps = 0 if self.status == TRADING else steps or None

    def halts(self, step_ns: int) -> bool:
        """Whether trading is halted in the step to come; a halted step of `step_ns` is added to the halt."""
        if self._halt_steps == 0:
            self.status = TRADING
            return False
        if self._halt_steps is not None:
            self._halt_steps -= 1
        self._halt_ns += step_ns
        return True

    def publish_trades(self, trades: Trades) -> Trades:
        """Trades with their public ids."""
        columns = trades.columns.copy()
        columns[AGG_ID] = self.agg_ids.all_to_public(columns[AGG_ID])
        return Trades(columns)

    def publish_diff(self, diff: DepthDiff) -> DepthDiff:
        """A diff, which must not be empty, with its public ids."""
        first, last = self.update_ids.to_public(diff.first_update_id), self.update_ids.to_public(diff.last_update_id)
        return DepthDiff(first, last, diff.bids, diff.asks)

    def _clock_error_ns(self, now_ns: int) -> int:
        return self._skew_ns + (now_ns - self._drift_since_ns) * self._drift_ppb // 1_000_000_000
