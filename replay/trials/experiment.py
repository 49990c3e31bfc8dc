"""
An experiment with two ways of asking a model: both answered, scored, compared, and written into the ledger.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from eventlog.clock import Clock
from replay.decisions import Ticks
from replay.scoring.scoring import Rules
from replay.signals.signal_scores import load_price_path
from replay.trials.ab import (
    ArmScores,
    Repeat,
    Row,
    compare_arms,
    correct_rows,
    minutes_of,
    score_arm,
    totals_as_json,
    variant_of,
)
from replay.trials.answer import Totals
from replay.trials.asking import CollectedAnswers, ModelSetup, SpendPolicy, get_answers
from replay.trials.minute_scores import Score
from replay.trials.variants import Comparison, Ledger

LEDGER = "variants.jsonl"
"""The ledger's name in the folder of all runs."""

SAME = "A and B ask the same: what differs is the model's own noise, and the ledger does not count it"


@dataclass(frozen=True, slots=True)
class ExperimentConfig:
    """How two sides are compared: when something is out and what it pays, how often each is asked, what is scored."""

    rules: Rules
    repeats: int
    scores: Sequence[Score]
    workers: int


@dataclass(frozen=True)
class Experiment:
    """
    A finished one.

    Attributes:
        is_same: whether both sides ask the same. tried: how many comparisons the ledger holds, these included.
    """

    a: CollectedAnswers
    b: CollectedAnswers
    spent: tuple[Totals, Totals]
    with_zones: tuple[float, float]
    minutes: int
    is_same: bool
    rows: Sequence[Row]
    comparisons_ever: int

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        sides = zip((self.a, self.b), self.spent, self.with_zones, strict=True)
        described = [
            {"variant": s.arm.variant, "digest": s.arm.digest(), "prompts": s.arm.prompt_digest,
             "model": s.arm.asking.model, "mode": s.arm.asking.mode, **totals_as_json(spent), "with_zones": share}
            for s, spent, share in sides
        ]  # fmt: skip
        rows = [row.as_json() for row in self.rows]
        return {"a": described[0], "b": described[1], "minutes": self.minutes, "same": self.is_same,
                "comparisons_ever": self.comparisons_ever, "scores": rows}  # fmt: skip


def run_experiment(
    a: ModelSetup,
    b: ModelSetup,
    ticks: Ticks,
    terms: ExperimentConfig,
    patience: SpendPolicy,
    clock: Clock,
    scoring: Callable[[int], AbstractContextManager[Callable[[int], None]]],
) -> Experiment:
    """
    Ask what is missing of both sides, score every answer, compare them minute by minute.

    Args:
        ticks: on whole minutes. scoring: opens a progress bar over so many decisions.

    Raises:
        NothingDecided: the model of a side decided at no tick; nothing is compared, and the ledger stays as it is.
        ReplayError: see `get_answers`.
    """
    k, started_ns = terms.repeats, clock.now_ns()
    one = get_answers(a, ticks, k, patience, clock)
    _expect_any(one, range(k), "A")
    with b.open_log() as log:
        is_same = b.arm(log).digest() == one.arm.digest()
        path = load_price_path(log, ticks)
    again = range(k, 2 * k) if is_same else range(k)
    two = get_answers(b, ticks, again.stop, patience, clock)
    _expect_any(two, again, "B")
    sides: list[ArmScores] = []
    with scoring(2 * k * len(one.ticks)) as advance:
        for way, found, repeats in ((a, one, range(k)), (b, two, again)):
            asked = [Repeat(found.make_analyst(r, way.questions), found.took_ms(r)) for r in repeats]
            scored = score_arm(way.open_log, found.ticks, way.config, asked, terms.rules, path, terms.workers, advance)
            sides.append(scored)
    rows = compare_arms(sides[0], sides[1], minutes_of(one.ticks), terms.scores)
    spent = (one.totals(range(k)), two.totals(again))
    ledger = Ledger(a.runs_dir / LEDGER)
    if not is_same:
        cost = one.spent_since(started_ns, range(k)) + two.spent_since(started_ns, again)
        looks = [_look(row, one, two, k, cost if n == 0 else 0, clock.now_ns()) for n, row in enumerate(rows)]
        rows = correct_rows(rows, looks, ledger.comparisons())
        for look in looks:
            ledger.record(look)
    tried = len({c.key for c in ledger.comparisons()})
    zones = (sides[0].with_zones, sides[1].with_zones)
    return Experiment(one, two, spent, zones, len(one.ticks), is_same, rows, tried)


def _expect_any(found: CollectedAnswers, repeats: range, name: str) -> None:
    """See `ModelShare.expect_any`."""
    what = f"Side {name} has no answer of its own to compare: mend why, or choose another stretch"
    found.totals(repeats).share.expect_any(found.complaint(repeats), what)


def _look(
    row: Row, one: CollectedAnswers, two: CollectedAnswers, repeats: int, cost_usd_e12: int, now_ns: int
) -> Comparison:
    first, last = int(one.ticks.boundary_ns[0]), int(one.ticks.boundary_ns[-1])
    return Comparison(
        a=variant_of(one.arm),
        b=variant_of(two.arm),
        metric=row.score.name,
        market=one.arm.market,
        from_ns=first,
        to_ns=last,
        repeats=repeats,
        at_ns=now_ns,
        p=row.difference.p,
        cost_usd_e12=cost_usd_e12,
    )


def experiment_lines(found: Experiment) -> Iterator[str]:
    """The table for a terminal."""
    for name, side, spent, share in zip("AB", (found.a, found.b), found.spent, found.with_zones, strict=True):
        told = totals_as_json(spent)
        yield (
            f"{name}: prompts {side.arm.variant} ({side.arm.prompt_digest}), {side.arm.asking.model}, "
            f"{side.arm.asking.mode}: {spent.answers:,} answers, {told['cost_usd']:.4f} USD, {spent.share.sentence}, "
            f"fallback {_percent(told['fallback_rate'])}, ungrounded numbers {_percent(told['ungrounded_rate'])}, "
            f"with zones {_percent(share)}"
        )
    if found.is_same:
        yield SAME
    heads = f"{'A':>10}{'B':>10}{'A - B':>10}   {'95 % of difference':<24}{'minutes':>8}"
    yield f"{'figure':<22}{'model':<9}{heads}  p, corrected"
    for row in found.rows:
        yield _line(row)
    for reason in dict.fromkeys(row.difference.too_few for row in found.rows if row.difference.too_few is not None):
        yield f"too few: {reason}"
    if not found.is_same:
        yield f"p is corrected for all {found.comparisons_ever:,} comparisons ever made in this folder of runs"


def _line(row: Row) -> str:
    paired = row.difference
    cells = "".join(f"{'–' if v is None else f'{v:.4f}':>10}" for v in (paired.a, paired.b, paired.mean))
    interval = f"{paired.low:+.4f} … {paired.high:+.4f}" if paired.low is not None else "–"
    return (
        f"{row.score.metric:<22}{row.score.model or '':<9}{cells}   {interval:<24}{paired.minutes:>8,}  {_chance(row)}"
    )


def _chance(row: Row) -> str:
    if row.difference.p is None:
        return "too few"
    return f"{row.difference.p:.4f}" + ("" if row.corrected_p is None else f", {row.corrected_p:.4f}")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
