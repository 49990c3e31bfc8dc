"""
The scores of signals as a table for a terminal.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from replay.signals.signal_scores import TARGETS, RandomLevels, SignalScore

_SURE = 0.05  # a corrected p below this is marked
_FEWEST_BLOCKS = 6  # an interval from fewer is far too narrow
_HEAD = f"{'':<16}{'signal':>9}{'control':>9}   {'95 % of difference':<20}{'n':>6}  {'p, corrected':<16}of the targets"


def signal_lines(
    scores: Sequence[SignalScore], random_levels: Sequence[RandomLevels], flow_fits: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """
    Lines for a terminal: a paragraph for each signal, then levels at random prices, then R² of book flow.

    A hit rate is compared with the targets: `55 % no` means it was not reached, `55 % yes` that it was, and `sure` that
    it beats its control as well, with a corrected p below 0.05.

    Args:
        scores: of all signals, those of a signal one after the other.
        random_levels: see `score_random_levels`.
        flow_fits: see `flow_r2`; empty where there was no book.
    """
    yield _HEAD
    for signal, group in groupby(scores, key=lambda s: s.signal):
        rows = list(group)
        if rows[0].sightings == 0:
            yield f"{signal}: not sighted"
            continue
        yield f"{signal}: sighted {rows[0].sightings:,} times; control: {rows[0].control}"
        for row in rows:
            if row.value is not None:
                yield _line(row)
    yield f"{'random levels':<16}{'touched':>9}{'rejected':>10}{'open':>7}{'n':>9}"
    for level in random_levels:
        rate = "–" if level.rejected is None else f"{level.rejected:.3f}"
        touch_share = f"{level.touched / level.levels:.3f}" if level.levels else "–"
        distance = f"{level.from_sigma:g} to {level.to_sigma:g} σ"
        yield f"  {distance:<14}{touch_share:>9}{rate:>10}{level.open:>7,}{level.levels:>9,}"
    if flow_fits:
        yield f"{'R² of flow on the mid':<29}{'same interval':>16}{'next interval':>16}{'n':>9}"
        for flow in flow_fits:
            same, following = (f"{flow[k]:.4f}" if flow[k] is not None else "–" for k in ("r2_same", "r2_next"))
            yield f"  {flow['flow']:<20}{flow['interval_s']:>4} s {same:>16}{following:>16}{flow['intervals']:>9,}"
    else:
        yield "no whole book between ticks: nothing to say about book flow"


def _line(row: SignalScore) -> str:
    unit = "" if row.horizon_s is None else f" {row.horizon_s} s"
    interval = "–" if row.low is None or row.blocks < _FEWEST_BLOCKS else f"{row.low:+.3f} … {row.high:+.3f}"
    chance = "too few blocks" if row.p is None else f"{row.p:.3f}"
    control = "–" if row.control_value is None else f"{row.control_value:.3f}"
    line = f"  {row.figure + unit:<14}{row.value:>9.3f}{control:>9}   {interval:<20}{row.samples:>6,}  {chance:<16}"
    words = (f"{t['rate']:.0%} {_word(t)}" for t in compare_with_targets(row))
    return (line + ", ".join(words)).rstrip()


def compare_with_targets(row: SignalScore) -> list[dict[str, Any]]:
    """
    For each target of a hit rate, whether it was reached, and whether the control was beaten as well ("sure").

    Other figures, and scores without a value, have no targets: the list is empty.
    """
    if row.figure == "move_bp" or row.value is None:
        return []
    sure = row.p is not None and row.p < _SURE and row.low is not None and row.low > 0
    return [{"rate": t, "reached": row.value >= t, "sure": row.value >= t and sure} for t in TARGETS]


def _word(target: dict[str, Any]) -> str:
    return "no" if not target["reached"] else "yes (sure)" if target["sure"] else "yes"
