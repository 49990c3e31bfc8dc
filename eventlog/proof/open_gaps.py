"""
The open gaps of a log's trades, as trades that come late close them.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from eventlog.facts.capture import GAP
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.chains import FIRST, LAST
from eventlog.proof.check import latest
from eventlog.store.cold import ColdLog
from market.arrays import I64


class OpenGaps:
    """
    The open gaps of agg ids in a log, as far as a file brings trades of them, and how many trades of each are missing.

    Args:
        runs: the file's trades, see `TradeChain.runs`.
    """

    def __init__(self, cold: ColdLog, runs: I64) -> None:
        self._gaps = sorted((gap for gap in _open(cold) if _meets(gap, runs)), key=lambda gap: int(gap["first"]))
        self._firsts = [gap["first"] for gap in self._gaps]
        self._missing = _missing(cold, self._gaps)

    def closed_by(self, agg_id: int) -> dict[str, Any] | None:
        """The gap that lacked nothing but this trade, which is new to the log; None where there is none."""
        at = bisect_right(self._firsts, agg_id) - 1
        if at < 0 or agg_id > self._gaps[at]["last"]:
            return None
        self._missing[at] -= 1
        return self._gaps[at] if self._missing[at] == 0 else None


def _open(cold: ColdLog) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for segment in cold.catalogue.segments:
        for file in segment.files:
            if file.kind == GAP:
                rows += cold.table(file, ["what", "first", "last", "cause", "state"]).to_pylist()
    return [gap for gap in latest(rows) if gap["what"] == "agg_ids" and gap["state"] == "open"]


def _meets(gap: dict[str, Any], runs: I64) -> bool:
    return bool(np.any((runs[:, FIRST] <= gap["last"]) & (runs[:, LAST] >= gap["first"])))


def _missing(cold: ColdLog, gaps: Sequence[dict[str, Any]]) -> list[int]:
    """How many trades of each gap, lowest first, a log does not hold."""
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
            for at, gap in enumerate(gaps):
                missing[at] -= int(((ids >= gap["first"]) & (ids <= gap["last"])).sum())
    return missing
