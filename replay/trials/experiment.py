"""
An experiment with two arms: the answers of both are collected, scored, compared, and recorded in the ledger.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from eventlog.clock import Clock
from replay.decisions import Ticks
from replay.inference.paired import PairedDifference
from replay.scoring.rules import ScoringRules
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
_HOUR_MIN = 60


@dataclass(frozen=True, slots=True)
class ExperimentConfig:
    """
    How two sides are compared.

    Attributes:
        rules: delays, fee and distances of the scoring. repeats: how often each side is asked about a tick.
        scores: the figures to compare. workers: number of processes that share the ticks.
    """

    rules: ScoringRules
    repeats: int
    scores: Sequence[Score]
    workers: int


@dataclass(frozen=True)
class Experiment:
    """
    A finished experiment.

    Attributes:
        a, b: the answers of both sides. spent: their totals. with_zones: shares of answers that advise a zone.
        minutes: the number of ticks. is_same: whether both sides are the same arm. rows: the figures.
        comparisons_ever: the number of comparisons in the ledger, these included.
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
        descriptions = [
            {"variant": s.arm.variant, "digest": s.arm.digest(), "prompts": s.arm.prompt_digest,
             "model": s.arm.asking.model, "mode": s.arm.asking.mode, **totals_as_json(spent), "with_zones": share}
            for s, spent, share in sides
        ]  # fmt: skip
        rows = [row.as_json() for row in self.rows]
        return {"a": descriptions[0], "b": descriptions[1], "minutes": self.minutes, "same": self.is_same,
                "comparisons_ever": self.comparisons_ever, "scores": rows}  # fmt: skip


def run_experiment(
    a: ModelSetup,
    b: ModelSetup,
    ticks: Ticks,
    config: ExperimentConfig,
    policy: SpendPolicy,
    clock: Clock,
    scoring: Callable[[int], AbstractContextManager[Callable[[int], None]]],
) -> Experiment:
    """
    Ask for the missing answers of both sides, score all answers, compare them minute by minute.

    Args:
        a, b: the two sides.
        ticks: on whole minutes.
        config: how they are compared.
        policy: what the user allows when a model is asked.
        clock: see `get_answers`.
        scoring: opens a progress bar over a number of decisions.

    Raises:
        NothingDecided: the model of a side decided at no tick; nothing is compared, and the ledger stays as it is.
        ReplayError: see `get_answers`.
    """
    repeat_count, started_ns = config.repeats, clock.now_ns()
    one = get_answers(a, ticks, repeat_count, policy, clock)
    _expect_any(one, range(repeat_count), "A")
    with b.open_log() as log:
        is_same = b.arm(log).digest() == one.arm.digest()
        path = load_price_path(log, ticks)
    second_repeats = range(repeat_count, 2 * repeat_count) if is_same else range(repeat_count)
    two = get_answers(b, ticks, second_repeats.stop, policy, clock)
    _expect_any(two, second_repeats, "B")
    scores_by_arm: list[ArmScores] = []
    with scoring(2 * repeat_count * len(one.ticks)) as advance:
        for setup, answers, repeats in ((a, one, range(repeat_count)), (b, two, second_repeats)):
            repeat_runs = [Repeat(answers.make_analyst(r, setup.questions), answers.took_ms(r)) for r in repeats]
            arm_scores = score_arm(
                setup.open_log, answers.ticks, setup.config, repeat_runs, config.rules, path, config.workers, advance
            )
            scores_by_arm.append(arm_scores)
    rows = compare_arms(scores_by_arm[0], scores_by_arm[1], minutes_of(one.ticks), config.scores)
    spent = (one.totals(range(repeat_count)), two.totals(second_repeats))
    ledger = Ledger(a.runs_dir / LEDGER)
    if not is_same:
        cost = one.spent_since(started_ns, range(repeat_count)) + two.spent_since(started_ns, second_repeats)
        comparisons = [
            _comparison(row, one, two, repeat_count, cost if n == 0 else 0, clock.now_ns())
            for n, row in enumerate(rows)
        ]
        rows = correct_rows(rows, comparisons, ledger.comparisons())
        for comparison in comparisons:
            ledger.record(comparison)
    comparisons_ever = len({c.key for c in ledger.comparisons()})
    zones = (scores_by_arm[0].with_zones, scores_by_arm[1].with_zones)
    return Experiment(one, two, spent, zones, len(one.ticks), is_same, rows, comparisons_ever)


def _expect_any(answers: CollectedAnswers, repeats: range, name: str) -> None:
    """See `ModelShare.expect_any`."""
    consequence = f"Side {name} has no answer of its own to compare: fix the cause, or choose another stretch"
    answers.totals(repeats).share.expect_any(answers.complaint(repeats), consequence)


def _comparison(
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


def experiment_lines(result: Experiment) -> Iterator[str]:
    """Lines for a terminal: both sides, then a row for each figure."""
    for name, answers, spent, share in zip("AB", (result.a, result.b), result.spent, result.with_zones, strict=True):
        arm, rates = answers.arm, totals_as_json(spent)
        yield (
            f"{name}: prompts {arm.variant} ({arm.prompt_digest}), {arm.asking.model}, "
            f"{arm.asking.mode}: {spent.answers:,} answers, {rates['cost_usd']:.4f} USD, {spent.share.sentence}, "
            f"fallback {_percent(rates['fallback_rate'])}, ungrounded numbers {_percent(rates['ungrounded_rate'])}, "
            f"with zones {_percent(share)}"
        )
    if result.is_same:
        yield SAME
    heads = f"{'A':>10}{'B':>10}{'A - B':>10}   {'95 % of difference':<20}{'minutes (independent)':>22}"
    yield f"{'figure':<22}{'model':<9}{heads}  {'p, corrected':<15}detectable (half in)"
    for row in result.rows:
        yield _line(row).rstrip()
    yield from _block_lines([row.difference for row in result.rows])
    if result.is_same:
        yield "p is corrected for the figures of this table"
    else:
        yield f"p is corrected for all {result.comparisons_ever:,} comparisons ever made in this folder of runs"


def _block_lines(differences: Sequence[PairedDifference]) -> Iterator[str]:
    """What the errors are taken from, and why there are none."""
    tested = [d for d in differences if d.too_few is None]
    for blocks, block_min in dict.fromkeys((d.blocks, d.block_min) for d in tested):
        yield f"errors: jackknife that leaves out one of {blocks} blocks of {block_min / _HOUR_MIN:.1f} h"
    for reason in dict.fromkeys(d.too_few for d in differences if d.too_few is not None):
        yield f"too few: {reason}"


def _line(row: Row) -> str:
    score, difference = row.score, row.difference
    cells = "".join(f"{'–' if v is None else f'{v:.4f}':>10}" for v in (difference.a, difference.b, difference.mean))
    interval = f"{difference.low:+.4f} … {difference.high:+.4f}" if difference.low is not None else "–"
    minutes = f"{difference.minutes:,}" + ("" if difference.effective is None else f" ({difference.effective:,})")
    figures = f"{score.metric:<22}{score.model or '':<9}{cells}   {interval:<20}{minutes:>22}"
    return f"{figures}  {_chance(row):<15}{_power(row)}"


def _chance(row: Row) -> str:
    if row.difference.p is None:
        return "too few"
    return f"{row.difference.p:.4f}" + ("" if row.corrected_p is None else f", {row.corrected_p:.4f}")


def _power(row: Row) -> str:
    """The smallest difference that these minutes could have shown, and how many recorded days show half of it."""
    detectable, days = row.difference.detectable, row.difference.days_for_half
    return "" if detectable is None else f"{detectable:.4f} ({days:g} d)"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
