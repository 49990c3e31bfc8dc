"""
The open gaps of a log's trades, and which of them late trades fill.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from eventlog.facts.capture import GAP
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.chains import FIRST, LAST
from eventlog.proof.check import latest_states
from eventlog.store.cold import ColdLog
from market.arrays import I64


class OpenGaps:
    """
    The open gaps of agg ids that a file's trades touch, and the number of trades that each still lacks.

    Args:
        cold: the log's archive.
        runs: the file's trades, see `TradeChain.runs`.
    """

    def __init__(self, cold: ColdLog, runs: I64) -> None:
        self._gaps = sorted(
            (gap for gap in _load_open_gaps(cold) if _overlaps(gap, runs)), key=lambda gap: int(gap["first"])
        )
        self._firsts = [gap["first"] for gap in self._gaps]
        self._missing = _count_missing(cold, self._gaps)

    def fill(self, agg_id: int) -> dict[str, Any] | None:
        """Count a trade that is new to the log; returns the gap that it completes, None where it completes none."""
        index = bisect_right(self._firsts, agg_id) - 1
        if index < 0 or agg_id > self._gaps[index]["last"]:
            return None
        self._missing[index] -= 1
        return self._gaps[index] if self._missing[index] == 0 else None


def _load_open_gaps(cold: ColdLog) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for segment in cold.catalogue.segments:
        for file in segment.files:
            if file.kind == GAP:
                rows += cold.table(file, ["what", "first", "last", "cause", "state"]).to_pylist()
    return [gap for gap in latest_states(rows) if gap["what"] == "agg_ids" and gap["state"] == "open"]


def _overlaps(gap: dict[str, Any], runs: I64) -> bool:
    return bool(np.any((runs[:, FIRST] <= gap["last"]) & (runs[:, LAST] >= gap["first"])))


def _count_missing(cold: ColdLog, gaps: Sequence[dict[str, Any]]) -> list[int]:
    """The number of trades of each gap, lowest first, that a log does not hold."""
    missing = [gap["last"] - gap["first"] + 1 for gap in gaps]
    if not gaps:
        return missing
    low, high = gaps[0]["first"], max(gap["last"] for gap in gaps)
    for segment in cold.catalogue.segments:
        first, last = segment.first_agg_id, segment.last_agg_id
        if first is None or last is None or first > high or last < low:
            continue
        for ids in (
            cold.table(f, ["agg_id"]).column("agg_id").to_numpy() for f in segment.files if f.kind == AGG_TRADE
        ):
            for index, gap in enumerate(gaps):
                missing[index] -= int(((ids >= gap["first"]) & (ids <= gap["last"])).sum())
    return missing
