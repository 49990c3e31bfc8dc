"""
Ids of a market rise with time: a smaller id at a later time is of another market, or the exchange restarted its ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventlog.transfer.trade_import import LARGEST_STEP_BACK_NS
from exchanges.errors import BadFile
from market.arrays import I64
from market.timestamps import SECOND_NS, iso

_MAX_STRAY_NS = 10 * SECOND_NS
"""Timestamps of an exchange may be out of order by this much."""


@dataclass(frozen=True, slots=True)
class NewestId:
    """The largest id so far, and its time (ns)."""

    number: int
    time_ns: int

    def shows_restart(self, number: int, time_ns: int) -> bool:
        """Whether a smaller id at a later time shows that ids were restarted."""
        return number < self.number and time_ns - self.time_ns > _MAX_STRAY_NS

    def describe_restart(self, number: int, time_ns: int) -> str:
        """Describe why such an id is refused, and what to do."""
        return (
            f"id {number} of {iso(time_ns)} comes after id {self.number} of {iso(self.time_ns)}; ids of a market rise, "
            "so it is of another, or the venue began anew: cut the recording there and import what follows into "
            "another --storage"
        )


class RisingTimes:
    """
    Checks that the times of a recording's trades rise with their ids.

    Args:
        file: its name, for messages.
        last_trade: the row of the log's last trade, None where it has none.
    """

    def __init__(self, file: str, last_trade: Mapping[str, Any] | None) -> None:
        self._file = file
        self._newest_id = last_trade["agg_id"] if last_trade else -1
        self._newest_ns = last_trade["trade_time_ns"] if last_trade else 0

    def add(self, agg_id: I64, time_ns: I64) -> None:
        """
        Check n trades, in any order; of an id that comes twice the first counts.

        Raises:
            BadFile: one is stamped long before one of a smaller id.
        """
        if len(agg_id) == 0:
            return
        ids, first = np.unique(agg_id, return_index=True)
        times = time_ns[first]
        highest_ns = np.maximum.accumulate(times)
        later = ids > self._newest_id
        highest_ns[later] = np.maximum(highest_ns[later], self._newest_ns)
        late = np.flatnonzero(highest_ns - times > LARGEST_STEP_BACK_NS)
        if len(late):
            row = int(late[0])
            raise BadFile(
                f"{self._file}: trade {ids[row]} is stamped {iso(int(times[row]))}, after one stamped "
                f"{iso(int(highest_ns[row]))}; one of them is wrong"
            )
        if later[-1]:
            self._newest_id, self._newest_ns = int(ids[-1]), int(highest_ns[-1])
