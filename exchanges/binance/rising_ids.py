"""
Ids of a market rise as time does: a smaller one at a later time is of another market, or the venue began anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventlog.transfer.trade_import import LARGEST_STEP_BACK_NS
from exchanges.errors import BadFile
from market.arrays import I64
from market.timestamps import SECOND_NS, iso

_LARGEST_STRAY_NS = 10 * SECOND_NS
"""How far a venue's stamps stray, at the most."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The largest id so far, and the time it is of."""

    number: int
    at_ns: int

    def is_before(self, number: int, at_ns: int) -> bool:
        """Whether an id of a time shows that ids began anew since."""
        return number < self.number and at_ns - self.at_ns > _LARGEST_STRAY_NS

    def in_words(self, number: int, at_ns: int) -> str:
        """Why such an id cannot be taken, and what to do."""
        return (
            f"id {number} of {iso(at_ns)} comes after id {self.number} of {iso(self.at_ns)}; ids of a market rise, so "
            "it is of another, or the venue began anew: cut the recording there and import what follows into another "
            "--storage"
        )


class RisingTimes:
    """
    Whether the times of a recording's trades rise as their ids do.

    Args:
        file: its name, for what is said. last_trade: the row of the log's last trade, None where it has none.
    """

    def __init__(self, file: str, last_trade: Mapping[str, Any] | None) -> None:
        self._file = file
        self._newest_id = last_trade["agg_id"] if last_trade else -1
        self._newest_ns = last_trade["trade_time_ns"] if last_trade else 0

    def add(self, agg_id: I64, time_ns: I64) -> None:
        """
        Take n trades in whatever order; of an id that comes twice the first counts.

        Raises:
            BadFile: one is stamped long before one of a smaller id.
        """
        if len(agg_id) == 0:
            return
        ids, first = np.unique(agg_id, return_index=True)
        times = time_ns[first]
        newest = np.maximum.accumulate(times)
        later = ids > self._newest_id
        newest[later] = np.maximum(newest[later], self._newest_ns)
        late = np.flatnonzero(newest - times > LARGEST_STEP_BACK_NS)
        if len(late):
            row = int(late[0])
            raise BadFile(
                f"{self._file}: trade {ids[row]} is stamped {iso(int(times[row]))}, after one stamped "
                f"{iso(int(newest[row]))}; one of them is wrong"
            )
        if later[-1]:
            self._newest_id, self._newest_ns = int(ids[-1]), int(newest[-1])
