"""
The errors of a day and the reasons why it is incomplete, from its reading; pure.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import structs

from eventlog.facts.capture import CONFLICT
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.chains import find_breaks, find_gaps
from eventlog.proof.check import describe_gap, latest_states, permanent_gaps
from eventlog.proof.coverage import CoverageGaps
from eventlog.proof.day_reading import DayReading, day_ids
from market.ranges import Range, remaining_ranges
from market.timestamps import MINUTE_NS, iso

_MAX_LISTED = 3  # items that a line lists


class NamedGap(msgspec.Struct, frozen=True):
    """A gap that concerns the day, in its newest state; `said` is when that state was recorded."""

    what: str
    first: int
    last: int
    cause: str
    state: str
    said: str


class Ticks(msgspec.Struct, frozen=True):
    """Number of boundaries of the day: expected, recorded, and those that found trades and depth live."""

    expected: int
    present: int
    trades_live: int
    depth_live: int


def gaps_of_day(reading: DayReading) -> list[NamedGap]:
    """The gaps that the day's entries name, or that lie in or next to the day's trades, in their newest state."""
    keys_of_day = {_key(g) for g in reading.gaps if reading.day_ns <= g["recv_ns"] < reading.end_ns}
    ids = day_ids(reading)
    gaps = []
    for gap in latest_states(reading.gaps):
        concerns_trades = (
            ids is not None and gap["what"] == "agg_ids" and gap["first"] <= ids[1] and gap["last"] >= ids[0] - 1
        )
        if concerns_trades or _key(gap) in keys_of_day:
            gaps.append(NamedGap(*_key(gap), gap["cause"], gap["state"], iso(gap["recv_ns"])))
    return gaps


def count_ticks(reading: DayReading) -> Ticks:
    """Count the day's ticks by their boundary; the last one arrives after the day's end."""
    ticks = {t[0]: t for t in reading.evidence.ticks if reading.day_ns < t[0] <= reading.end_ns}
    live = [sum(t[i] == "live" for t in ticks.values()) for i in (1, 2)]
    return Ticks((reading.end_ns - reading.day_ns) // reading.tally.interval_ns, len(ticks), *live)


def find_errors(reading: DayReading) -> list[str]:
    """The errors of a day, one line each: damaged files, missing numbers that no gap names, duplicates."""
    gaps = latest_states(reading.gaps)
    seqs = _subtract_gaps(reading.missing_seqs, [g for g in gaps if g["what"] == "seqs"])
    ids = _find_missing_ids(reading, [g for g in gaps if g["what"] == "agg_ids" and g["state"] != "filled"])
    updates = _find_missing_updates(reading, gaps)
    low, high = day_ids(reading) or (0, -1)
    breaks = [i for i in find_breaks(reading.evidence.trades.runs()) if low <= i <= high]
    duplicates = reading.duplicate_seqs + reading.evidence.trades.duplicates
    return [
        *_format_list("damaged", reading.damage),
        *_format_list("missing seqs no gap names", seqs),
        *_format_list("missing agg ids no gap names", ids),
        *_format_list("trade ids out of chain at agg ids", breaks),
        *_format_list("missing update ids nothing names", updates),
        *([f"{duplicates} entries are there twice"] if duplicates else []),
    ]


def find_incomplete_reasons(
    reading: DayReading, coverage_gaps: CoverageGaps, gaps: Sequence[NamedGap], last_archived_ns: int
) -> list[str]:
    """
    Why a day is incomplete though not wrong, one line per reason: gaps, unread trades, unproven ends.

    Args:
        reading: of the day.
        coverage_gaps: of the day.
        gaps: those that concern the day, see `gaps_of_day`.
        last_archived_ns: the largest arrival in the archive, ns UTC.

    Returns:
        No lines where the day is complete.
    """
    if not reading.tally.kinds:
        return ["the log holds nothing of the day"]
    rows = [structs.asdict(gap) for gap in gaps]
    reasons = _format_list("open gaps", [describe_gap(gap) for gap in rows if gap["state"] == "open"])
    reasons += _format_list("missing for good", [describe_gap(gap) for gap in permanent_gaps(rows)])
    reasons += _format_list("trades nobody could read, agg ids", _find_closed_ids(reading))
    if reading.unread_trades:
        reasons.append(f"messages that nobody could read and that may have been trades: {reading.unread_trades}")
    conflicts = reading.tally.quarantine_reasons[CONFLICT] + len(reading.conflicting_trades)
    if conflicts:
        reasons.append(f"facts that contradict others of the same id: {conflicts}")
    if reading.tally.kinds[AGG_TRADE] == 0:
        reasons.append("no trade arrived")
    if last_archived_ns < reading.end_ns:
        reasons.append(f"the archive ends at {iso(last_archived_ns)}, before the day does")
    for start, end in coverage_gaps.trades.tolist():
        if start == reading.day_ns and end - start >= MINUTE_NS:
            reasons.append(f"trades before {iso(end)} are not proven")
        elif end == reading.end_ns and end - start >= MINUTE_NS:
            reasons.append(f"trades after {iso(start)} are not proven")
    return reasons


def _find_missing_ids(reading: DayReading, gaps: list[dict[str, Any]]) -> list[Range]:
    return _subtract_gaps(
        _find_agg_id_gaps(reading), [*gaps, *({"first": i, "last": i} for i in _find_closed_ids(reading))]
    )


def _find_agg_id_gaps(reading: DayReading) -> list[Range]:
    """Missing agg ids among those of the day."""
    low, high = day_ids(reading) or (0, -1)
    return [h for h in find_gaps(reading.evidence.trades.runs()) if h[1] >= low - 1 and h[0] <= high]


def _find_closed_ids(reading: DayReading) -> list[int]:
    """Missing agg ids of trades that arrived and could not be read."""
    missing = _find_agg_id_gaps(reading)
    return [i for i in sorted(reading.closed_ids) if any(first <= i <= last for first, last in missing)]


def _find_missing_updates(reading: DayReading, gaps: list[dict[str, Any]]) -> list[Range]:
    """Missing updates that neither a gap, a reset nor the start of a recorder explains."""
    runs = reading.evidence.updates.runs().tolist()
    named_ranges = [g for g in gaps if g["what"] == "update_ids"]
    named_ranges += [{"first": first, "last": last} for first, last in reading.tally.resets]
    missing = []
    for run, next_run in pairwise(runs):
        if reading.day_ns <= next_run[2] < reading.end_ns and not any(
            run[5] < seq < next_run[4] for seq in reading.tally.starts
        ):
            missing += _subtract_gaps([(run[1] + 1, next_run[0] - 1)], named_ranges)
    return missing


def _subtract_gaps(missing: Sequence[Range], gaps: list[dict[str, Any]]) -> list[Range]:
    return [rest for item in missing for rest in remaining_ranges(item, *((gap["first"], gap["last"]) for gap in gaps))]


def _format_list(label: str, items: Sequence[object]) -> list[str]:
    if not items:
        return []
    text = ", ".join(f"{f[0]}-{f[1]}" if isinstance(f, tuple) else str(f) for f in items[:_MAX_LISTED])
    return [f"{label}: {len(items)}: {text}{' …' if len(items) > _MAX_LISTED else ''}"]


def _key(gap: dict[str, Any]) -> tuple[str, int, int]:
    return gap["what"], gap["first"], gap["last"]
