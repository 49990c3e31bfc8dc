"""
The figures of a run: each of advice, beside that of its placebos or of a price without memory, with what it proves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.arrays import F64, I64
from market.timestamps import DAY_NS, HOUR_NS
from replay.inference.blocks import Difference, Samples, block_gains, difference, holm
from replay.inference.calibration import brier, brier_parts, calibration_error, rate_before
from replay.scoring.episodes import Episode
from replay.scoring.orders import Orders
from replay.scoring.outcomes import BROKEN, HORIZONS_S, OPEN, REJECTED, UNTOUCHED, LevelOutcomes

BLOCK_NS = 2 * HOUR_NS  # an hour that advice is valid, and an hour of the test or of the markout that follows
HEADLINE = "value_60s_bps"
"""The metric that runs are ranked by, orders filled at a touch: what an order is worth after a minute."""

_HEADLINE_S = 60  # its horizon
_NO_RATE = 0.5  # what is stated before the first day has ended


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What became of n zones and their orders: those advised, or their placebos.

    Attributes:
        episode: (n,) the episode that each zone belongs to. outcomes: of the zones.
        expected: (n,) probability of a touched zone's rejection on a price without memory; NaN for the rest.
        orders: of all rungs. fills, worth: by fill model, see `orders.fill` and `orders.worth_of`.
    """

    episode: I64
    outcomes: LevelOutcomes
    expected: F64
    orders: Orders
    fills: Mapping[str, I64]
    worth: Mapping[str, F64]


def figures_of(
    episodes: Sequence[Episode], advice: Trial, placebo: Trial, every_minute: LevelOutcomes,
    others: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """
    All figures, p-values corrected over all of them.

    Args:
        episodes: what both belong to.
        advice, placebo: what became of the advised zones, and of their placebos.
        every_minute: outcomes of the zones of all recommendations, each as if it were new.
        others: further rows, see `rows_against`.
    """
    block = np.array([e.first.published_ns // BLOCK_NS for e in episodes], np.int64)
    rejection, chance = _rejections(advice.outcomes), _rejections(placebo.outcomes)
    own, chances = _samples(rejection, block, advice.episode), _samples(chance, block, placebo.episode)
    decided_expectation = np.where(np.isnan(rejection), np.nan, advice.expected)
    rows = [
        *_shares(advice.outcomes),
        _row("rejected", "episode", None, difference(own, chances)),
        _row("rejected_martingale", "episode", None,
             difference(own, _samples(decided_expectation, block, advice.episode))),
        *_order_rows(advice, placebo, block),
        *_calibration(episodes, rejection, block),
        *others,
        _plain_row("touched", "every minute", _touches(every_minute)),
        _plain_row("rejected", "every minute", _rejections(every_minute)),
    ]  # fmt: skip
    corrected = holm([row.get("p") for row in rows])
    return [row | {"p_corrected": p} for row, p in zip(rows, corrected, strict=True)]


def rows_against(
    name: str, own: tuple[Sequence[Episode], Trial], other: tuple[Sequence[Episode], Trial]
) -> list[dict[str, Any]]:
    """
    The values of advice beside those of a baseline, and its rejections likewise.

    Args:
        name: of the baseline, the rows' unit.
        own, other: episodes of either, and what became of them.
    """
    sides = [
        (trial, np.array([e.first.published_ns // BLOCK_NS for e in episodes], np.int64))
        for episodes, trial in (own, other)
    ]
    rejections = (_samples(_rejections(t.outcomes), block, t.episode) for t, block in sides)
    rows = [_row("rejected", name, None, difference(*rejections))]
    for column, horizon_s in enumerate(HORIZONS_S):
        values = (_samples(_values(t, "touch", column), block, t.orders.episode, t.orders.weight) for t, block in sides)
        rows.append(_row(f"value_{horizon_s}s_bps", name, "touch", difference(*values)))
    return rows


def gains_of(episodes: Sequence[Episode], advice: Trial, placebo: Trial) -> dict[int, float]:
    """
    By block of time, the headline figure of advice less that of its placebos.

    Args:
        episodes: what both belong to.
        advice, placebo: what became of the advised zones, and of their placebos.
    """
    block = np.array([e.first.published_ns // BLOCK_NS for e in episodes], np.int64)
    column = HORIZONS_S.index(_HEADLINE_S)
    return block_gains(
        *(_samples(_values(t, "touch", column), block, t.orders.episode, t.orders.weight) for t in (advice, placebo))
    )


def _samples(values: F64, block: I64, episode: I64, weights: F64 | None = None) -> Samples:
    return Samples(values, block[episode] if len(block) else episode, weights)


def _shares(outcomes: LevelOutcomes) -> list[dict[str, Any]]:
    """How many zones were touched, and how many of those are undecided: what no other figure of zones is about."""
    touched = outcomes.outcome != UNTOUCHED
    still_open = np.where(touched, (outcomes.outcome == OPEN).astype(np.float64), np.nan)
    return [_plain_row("touched", "episode", _touches(outcomes)), _plain_row("open", "touched episode", still_open)]


def _order_rows(advice: Trial, placebo: Trial, block: I64) -> list[dict[str, Any]]:
    """
    Every rung counts by its weight. An order that never fills is worth nothing: a figure of fills alone would flatter
    who only fills when wrong, so only values are compared, and markouts stand beside them.
    """
    orders, weights = advice.orders, advice.orders.weight
    rows = [_plain_row("marketable", "order", orders.marketable.astype(np.float64), weights=weights)]
    for model, index in advice.fills.items():
        rows.append(_plain_row("filled", "order", (index >= 0).astype(np.float64), model, weights))
        for column, horizon_s in enumerate(HORIZONS_S):
            own, others = (
                _samples(_values(t, model, column), block, t.orders.episode, t.orders.weight) for t in (advice, placebo)
            )
            rows.append(_row(f"value_{horizon_s}s_bps", "order", model, difference(own, others)))
            markout = advice.worth[model][:, column]
            rows.append(_plain_row(f"markout_{horizon_s}s_bps", "filled order", markout, model, weights))
    return rows


def _values(trial: Trial, model: str, column: int) -> F64:
    """The markout of an order that filled, 0 of one that did not; NaN where the record ends before the horizon."""
    return np.where(trial.fills[model] < 0, 0.0, trial.worth[model][:, column])


def _calibration(episodes: Sequence[Episode], rejection: F64, block: I64) -> list[dict[str, Any]]:
    """
    The Brier score beside that of the rate known before the day, its parts, and the calibration error.

    One number for all zones is a base rate and no forecast: it cannot tell them apart, so nothing is compared.
    """
    confidence = np.array([e.zone.confidence for e in episodes], np.float64)
    if len(np.unique(confidence)) < 2:
        return [_plain_row("base_rate", "decided episode", np.where(np.isnan(rejection), np.nan, confidence))]
    day = np.array([e.first.published_ns // DAY_NS for e in episodes], np.int64)
    rate = rate_before(rejection, day, _NO_RATE)
    own, known = (Samples(brier(stated, rejection), block) for stated in (confidence, rate))
    unit, samples = "decided episode", int((~np.isnan(rejection)).sum())
    parts = brier_parts(confidence, rejection)
    plain = {"ece": calibration_error(confidence, rejection)}
    for name in ("reliability", "resolution", "uncertainty"):
        plain[name] = None if parts is None else getattr(parts, name)
    rows = [{"metric": name, "unit": unit, "advice": value, "samples": samples} for name, value in plain.items()]
    return [_row("brier", unit, None, difference(own, known)), *rows]


def _touches(outcomes: LevelOutcomes) -> F64:
    return (outcomes.outcome != UNTOUCHED).astype(np.float64)


def _rejections(outcomes: LevelOutcomes) -> F64:
    """1 rejected, 0 broken, NaN for the rest: open tests are counted separately."""
    is_decided = (outcomes.outcome == REJECTED) | (outcomes.outcome == BROKEN)
    return np.where(is_decided, (outcomes.outcome == REJECTED).astype(np.float64), np.nan)


def _plain_row(
    metric: str, unit: str, values: F64, model: str | None = None, weights: F64 | None = None
) -> dict[str, Any]:
    is_defined = ~np.isnan(values)
    samples = Samples(values, np.zeros(len(values), np.int64), weights).where(is_defined)
    return {"metric": metric, "unit": unit, "model": model, "advice": samples.mean(), "samples": int(is_defined.sum())}


def _row(metric: str, unit: str, model: str | None, result: Difference) -> dict[str, Any]:
    return {
        "metric": metric, "unit": unit, "model": model, "advice": result.advice, "placebo": result.control,
        "samples": result.samples, "placebo_samples": result.control_samples, "effective": result.effective,
        "blocks": result.blocks, "difference": result.mean, "low": result.low, "high": result.high, "p": result.p,
        "detectable": result.detectable, "days_for_half": _days(result.blocks_for_half),
    }  # fmt: skip


def _days(blocks: int | None) -> float | None:
    return None if blocks is None else round(blocks * BLOCK_NS / DAY_NS, 1)
