"""
Two ways of asking a model, scored on the same recorded minutes and compared pair by pair.
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
from replay.runs.run import publish_times
from replay.scoring.episodes import Publication
from replay.scoring.paired import PairedDifference, compare, detectable_difference
from replay.scoring.price_path import PricePath
from replay.scoring.scoring import Rules
from replay.trials.answer import Arm, Totals
from replay.trials.minute_scores import Score, minute_scores
from replay.trials.variants import Comparison, Variant, correct_p_values
from runtime.analysis_config import AnalysisConfig
from runtime.analysts import MakeAnalyst
from runtime.open_log import OpenLog


@dataclass(frozen=True, slots=True)
class Repeat:
    """One time a side was asked about every tick: who decides from the answers, and how long each took."""

    make_analyst: MakeAnalyst
    took_ms: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class ArmScores:
    """
    One side's minutes.

    Attributes:
        scores: by figure, n minutes × k repeats; NaN where the rules decided in the model's place.
        with_zones: the share of answers in which the model advised any.
    """

    scores: Mapping[Score, F64]
    with_zones: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the table: side A against side B, and its p as one of all that were ever tried."""

    score: Score
    difference: PairedDifference
    corrected_p: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        figures = asdict(self.difference) | {
            "corrected_p": self.corrected_p,
            "detectable": detectable_difference(self.difference),
        }
        return asdict(self.score) | figures


def minute_ticks(ticks: Ticks) -> Ticks:
    """The ticks on whole minutes: the ones that are paired."""
    kept = ticks.boundary_ns % MINUTE_NS == 0
    return Ticks(ticks.seq[kept], ticks.boundary_ns[kept], ticks.recv_ns[kept])


def minutes_of(ticks: Ticks) -> I64:
    """The minute each tick ends, counted from 1970."""
    return ticks.boundary_ns // MINUTE_NS


def score_arm(
    open_log: OpenLog,
    ticks: Ticks,
    config: AnalysisConfig,
    repeats: Sequence[Repeat],
    rules: Rules,
    path: PricePath,
    workers: int,
    on_progress: Callable[[int], None],
) -> ArmScores:
    """
    Decide every tick once a repeat from the stored answers, and score each decision by itself. What the rules decided
    in a model's place is no score of its side.

    Raises:
        MissingAnswer: an answer that is needed is not stored.
    """
    columns: list[dict[Score, F64]] = []
    advised = 0
    for repeat in repeats:
        out_ns = publish_times(ticks, rules, repeat.took_ms)
        try:
            decisions = list(decide_all(open_log, ticks, config, workers, on_progress, repeat.make_analyst))
        except MissingCall as error:
            raise MissingAnswer(str(error)) from error
        made = [(d.seq, parse(d.advice)) for d in decisions if d.advice is not None]
        own = [(seq, advice) for seq, advice in made if advice.fallback is None]
        advised += sum(bool(advice.zones) for _, advice in own)
        published = [Publication(advice, out_ns[seq], seq) for seq, advice in own]
        at = np.searchsorted(ticks.seq, [seq for seq, _ in own])
        columns.append({s: _placed(v, at, len(ticks)) for s, v in minute_scores(published, path, rules).items()})
    scores = {score: np.stack([column[score] for column in columns], axis=1) for score in columns[0]}
    return ArmScores(scores, round(advised / max(1, len(ticks) * len(repeats)), 4))


def compare_arms(a: ArmScores, b: ArmScores, minute: I64, scores: Sequence[Score]) -> list[Row]:
    """Every figure of two sides, paired by minute, repeats averaged first."""
    return [Row(score, compare(a.scores[score], b.scores[score], minute, score.horizon_min)) for score in scores]


def variant_of(side: Arm) -> Variant:
    """A side as the ledger of variants knows it."""
    thinking = {True: "thinking", False: "not thinking", None: "as it comes"}[side.asking.thinking]
    return Variant(side.prompt_digest, side.asking.model, f"{side.asking.mode}, {thinking}", side.digest())


def correct_rows(rows: Sequence[Row], looks: Sequence[Comparison], past: Sequence[Comparison]) -> list[Row]:
    """The rows with p-values corrected for everything ever tried; `looks` are the rows as the ledger will keep them."""
    fair = correct_p_values(looks, past)
    return [Row(row.score, row.difference, p) for row, p in zip(rows, fair, strict=True)]


def totals_as_json(totals: Totals) -> dict[str, Any]:
    """What a side's answers amount to, for people and programs."""
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


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _placed(values: F64, at: I64, n: int) -> F64:
    out = np.full(n, np.nan)
    out[at] = values
    return out
