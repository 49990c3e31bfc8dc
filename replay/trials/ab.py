"""
Two arms of an experiment, scored on the same recorded minutes and compared minute by minute.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from agents.llm.recorded import MissingCall
from agents.recommendation import parse
from market.arrays import F64, I64
from market.timestamps import MINUTE_NS
from replay.decisions import Ticks, decide_all
from replay.errors import MissingAnswer
from replay.inference.blocks import holm
from replay.inference.paired import PairedDifference, compare
from replay.recorded.price_path import PricePath
from replay.runs.publications import publish_times
from replay.scoring.episodes import Publication
from replay.scoring.rules import ScoringRules
from replay.trials.answer import Arm, Totals
from replay.trials.minute_scores import Score, minute_scores
from replay.trials.variants import Comparison, Variant, correct_p_values
from runtime.analysis_config import AnalysisConfig
from runtime.analysts import MakeAnalyst
from runtime.open_log import OpenLog


@dataclass(frozen=True, slots=True)
class Repeat:
    """
    One round of asking about all ticks.

    Attributes:
        make_analyst: makes the analyst that decides from the answers. took_ms: by seq, how long each answer took.
    """

    make_analyst: MakeAnalyst
    took_ms: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class ArmScores:
    """
    The scores of one arm.

    Attributes:
        scores: by figure, n minutes × k repeats; NaN where the rules decided in the model's place.
        with_zones: the share of answers in which the model advised any.
    """

    scores: Mapping[Score, F64]
    with_zones: float


@dataclass(frozen=True, slots=True)
class Row:
    """
    One figure of the table: side A against side B.

    Attributes:
        corrected_p: p as one of all comparisons ever made, or of its table alone, None where there is no p.
    """

    score: Score
    difference: PairedDifference
    corrected_p: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self.score) | asdict(self.difference) | {"corrected_p": self.corrected_p}


def minute_ticks(ticks: Ticks) -> Ticks:
    """The ticks on whole minutes, which are those that are compared."""
    on_minute = ticks.boundary_ns % MINUTE_NS == 0
    return Ticks(ticks.seq[on_minute], ticks.boundary_ns[on_minute], ticks.recv_ns[on_minute])


def minutes_of(ticks: Ticks) -> I64:
    """The minute that each tick ends, counted from 1970."""
    return ticks.boundary_ns // MINUTE_NS


def score_arm(
    open_log: OpenLog,
    ticks: Ticks,
    config: AnalysisConfig,
    repeats: Sequence[Repeat],
    rules: ScoringRules,
    path: PricePath,
    workers: int,
    on_progress: Callable[[int], None],
) -> ArmScores:
    """
    Decide every tick once per repeat from the stored answers, and score each decision by itself.

    Args:
        open_log: opens the market log; picklable where workers > 1.
        ticks: the n ticks that were asked about, in seq order.
        config: the symbol, windows and thresholds that the model was shown.
        repeats: the k rounds of asking, at least one.
        rules: delays, fee and distances of the scoring.
        path: the trades from the first tick on.
        workers: number of processes that share the ticks.
        on_progress: called with 1 for each decision.

    Returns:
        Scores of the model's own decisions; NaN where the rules decided in its place.

    Raises:
        MissingAnswer: an answer that is needed is not stored.
    """
    columns: list[dict[Score, F64]] = []
    with_zones = 0
    for repeat in repeats:
        out_ns = publish_times(ticks, rules, repeat.took_ms)
        try:
            decisions = list(decide_all(open_log, ticks, config, workers, on_progress, repeat.make_analyst))
        except MissingCall as error:
            raise MissingAnswer(str(error)) from error
        all_advice = [(d.seq, parse(d.advice)) for d in decisions if d.advice is not None]
        own_advice = [(seq, advice) for seq, advice in all_advice if advice.fallback is None]
        with_zones += sum(bool(advice.zones) for _, advice in own_advice)
        publications = [Publication(advice, out_ns[seq], seq) for seq, advice in own_advice]
        rows = np.searchsorted(ticks.seq, [seq for seq, _ in own_advice])
        columns.append({s: _spread(v, rows, len(ticks)) for s, v in minute_scores(publications, path, rules).items()})
    scores = {score: np.stack([column[score] for column in columns], axis=1) for score in columns[0]}
    return ArmScores(scores, round(with_zones / max(1, len(ticks) * len(repeats)), 4))


def compare_arms(a: ArmScores, b: ArmScores, minute: I64, scores: Sequence[Score]) -> list[Row]:
    """
    Compare every figure of two arms, paired by minute, repeats averaged first; p is corrected for these figures.

    Args:
        a, b: scores of the same n minutes.
        minute: the n minutes, counted from anywhere.
        scores: the figures to compare.
    """
    differences = [compare(a.scores[score], b.scores[score], minute, score.horizon_min) for score in scores]
    corrected = holm([difference.p for difference in differences])
    return [Row(*row) for row in zip(scores, differences, corrected, strict=True)]


def variant_of(arm: Arm) -> Variant:
    """The entry of an arm in the ledger of variants."""
    thinking = {True: "thinking", False: "not thinking", None: "as it comes"}[arm.asking.thinking]
    return Variant(arm.prompt_digest, arm.asking.model, f"{arm.asking.mode}, {thinking}", arm.digest())


def correct_rows(rows: Sequence[Row], comparisons: Sequence[Comparison], ledger: Sequence[Comparison]) -> list[Row]:
    """
    The rows with p-values corrected for all comparisons ever made.

    Args:
        rows: of one experiment.
        comparisons: the same rows as entries of the ledger.
        ledger: all entries before.
    """
    p_values = correct_p_values(comparisons, ledger)
    return [Row(row.score, row.difference, p) for row, p in zip(rows, p_values, strict=True)]


def totals_as_json(totals: Totals) -> dict[str, Any]:
    """The totals of an arm's answers as JSON: costs in USD, and rates to 4 decimals, None without answers."""
    return {
        "answers": totals.answers,
        "share": totals.share.as_json(),
        "cost_usd": round(totals.cost_usd_e12 / 1e12, 6),
        "prompt_tokens": totals.prompt_tokens,
        "cached_tokens": totals.cached_tokens,
        "completion_tokens": totals.completion_tokens,
        "fallback_rate": _share(totals.fallbacks, totals.answers),
        "ungrounded_rate": _share(totals.ungrounded, totals.numbers),
        "models": totals.models,
    }


def _share(count: int, total: int) -> float | None:
    return round(count / total, 4) if total else None


def _spread(values: F64, rows: I64, n: int) -> F64:
    column = np.full(n, np.nan)
    column[rows] = values
    return column
