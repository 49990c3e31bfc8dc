"""
The figures of a run: each of advice, beside that of its placebos or of a price without memory, with what it proves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fills.interval import interval_over_models
from fills.outcome import NO_BOOK
from market.arrays import F64, I64
from market.timestamps import DAY_NS, HOUR_NS
from replay.inference.blocks import Difference, Samples, block_gains, difference, holm
from replay.inference.calibration import brier, brier_parts, calibration_error, rate_before
from replay.scoring.episodes import Episode
from replay.scoring.orders import OrderResults, ZoneOrders
from replay.scoring.outcomes import BROKEN, HORIZONS_S, OPEN, REJECTED, UNTOUCHED, LevelOutcomes

BLOCK_NS = 2 * HOUR_NS  # an hour that advice is valid, and an hour of the test or of the markout that follows
_HEADLINE_S = 60  # the horizon of what runs are ranked by: what an order is worth after a minute
_NO_RATE = 0.5  # what is stated before the first day has ended


def _value_name(horizon_s: int) -> str:
    return f"value_{horizon_s}s_bps"


HEADLINE = _value_name(_HEADLINE_S)
"""The metric that runs are ranked by, under the model of the queue that leaves them the least."""

ADVERSE_SELECTION = f"adverse_selection_{_HEADLINE_S}s_bps"
"""What fills alone were worth a minute later, beside those of placebos: below 0 for who fills only when wrong."""

MARTINGALE = "rejected_martingale"
"""Rejections beside what a price without memory gives: the size of an edge, where there is one."""

ALL_MODELS = "all"
"""The model of a row that says what holds under every model of the queue."""

SHOWN_MODELS = (None, ALL_MODELS, "touch", "through")
"""The models whose rows people are shown: what holds under all, and the two that bound them; files have the rest."""


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What became of n zones and their orders: those advised, their placebos, or a baseline's.

    Attributes:
        block: (n,) the block of time in which each zone's episode was published. outcomes: of the zones.
        expected: (n,) probability of a touched zone's rejection on a price without memory; NaN for the rest.
        orders: of all rungs. results: what became of them.
    """

    block: I64
    outcomes: LevelOutcomes
    expected: F64
    orders: ZoneOrders
    results: OrderResults

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the queue, by name."""
        return self.results.outcome.models

    def rejections(self) -> Samples:
        """Of each zone: 1 rejected, 0 broken, NaN for the rest; expected is what a price without memory gives."""
        return Samples(_rejections(self.outcomes), self.block, expected=self.expected)

    def values(self, model: str, horizon_s: int) -> Samples:
        """
        What each order was worth under a model of the queue.

        Args:
            model: its name.
            horizon_s: one of `outcomes.HORIZONS_S`.

        Returns:
            The markout times the share that was filled, by the order's weight; 0 where it never filled, NaN where the
            record ends before the horizon. Expected is what the trade that filled it was worth at once.
        """
        place = self.models.index(model)
        values, at_once = self.results.values(place, horizon_s), self.results.values_at_once(place)
        return Samples(values, self._block_of_orders, self.orders.weight, at_once)

    def fills(self, model: str, horizon_s: int) -> Samples:
        """
        What the fills alone were worth, under a model of the queue.

        Args:
            model: its name.
            horizon_s: one of `outcomes.HORIZONS_S`.

        Returns:
            The markout of each order, by what was filled of its weight; NaN where it never filled. Expected is what
            the trade that filled it was worth at once.
        """
        place = self.models.index(model)
        markout = self.results.markout[place, :, HORIZONS_S.index(horizon_s)]
        weights = self.orders.weight * self.results.share[place]
        return Samples(markout, self._block_of_orders, weights, self.results.at_once[place])

    @property
    def _block_of_orders(self) -> I64:
        return self.block[self.orders.zone] if len(self.block) else self.orders.zone


def block_of(episode: Episode) -> int:
    """The block of time in which an episode was published."""
    return episode.first.published_ns // BLOCK_NS


def figures_of(
    episodes: Sequence[Episode], advice: Trial, placebo: Trial, every_minute: LevelOutcomes,
    baselines: Mapping[str, Trial],
) -> list[dict[str, Any]]:  # fmt: skip
    """
    All figures, p-values corrected over all of them.

    Args:
        episodes: of the advice.
        advice, placebo: what became of the advised zones, and of their placebos.
        every_minute: outcomes of the zones of all recommendations, each as if it were new.
        baselines: what became of other zones, by name; one without zones has no rows.
    """
    rows = [
        *_shares(advice.outcomes),
        _row("rejected", "episode", None, difference(advice.rejections(), placebo.rejections())),
        _row(MARTINGALE, "episode", None, _beside_martingale(advice)),
        *_order_rows(advice, placebo),
        *_calibration(episodes, advice),
        *(row for name, other in baselines.items() if len(other.block) for row in _rows_against(name, advice, other)),
        _plain_row("touched", "every minute", _touches(every_minute)),
        _plain_row("rejected", "every minute", _rejections(every_minute)),
    ]
    corrected = holm([row.get("p") for row in rows])
    return [row | {"p_corrected": p} for row, p in zip(rows, corrected, strict=True)]


def gains_of(advice: Trial, placebo: Trial) -> dict[int, float]:
    """
    By block of time, the headline figure of advice less that of its placebos, under the model of the queue that leaves
    the least: what holds then holds under the others.
    """
    by_model = [
        block_gains(*(trial.values(model, _HEADLINE_S) for trial in (advice, placebo))) for model in advice.models
    ]
    return min(by_model, key=lambda gains: sum(gains.values()))


def _rows_against(name: str, advice: Trial, baseline: Trial) -> list[dict[str, Any]]:
    """Rejections and values of advice beside those of a baseline, whose name is the rows' unit."""
    rows = [_row("rejected", name, None, difference(advice.rejections(), baseline.rejections()))]
    for horizon_s in HORIZONS_S:
        rows.append(_row_of_all(_value_name(horizon_s), name, _differences(advice, baseline, horizon_s)))
    return rows


def _beside_martingale(advice: Trial) -> Difference:
    """Rejections beside what a price without memory gives the same zones."""
    rejections = _rejections(advice.outcomes)
    expected = np.where(np.isnan(rejections), np.nan, advice.expected)
    return difference(Samples(rejections, advice.block), Samples(expected, advice.block))


def _differences(advice: Trial, other: Trial, horizon_s: int) -> dict[str, Difference]:
    """The difference of values at a horizon under each model of the queue."""
    return {
        model: difference(advice.values(model, horizon_s), other.values(model, horizon_s)) for model in advice.models
    }


def _row_of_all(metric: str, unit: str, by_model: Mapping[str, Difference]) -> dict[str, Any]:
    """
    What holds under every model of the queue.

    The means are those of the model in the middle. The interval reaches from the lowest end under any model to the
    highest. Something is concluded only where the sign is the same under all: a claim about all of them is as doubtful
    as the most doubtful, so p is the largest, and 1 where signs differ.
    """
    results = list(by_model.values())
    defined = sorted((r for r in results if r.mean is not None), key=lambda r: r.mean or 0.0)
    row = _row(metric, unit, ALL_MODELS, defined[(len(defined) - 1) // 2] if defined else results[0])
    lows, highs, ps = ([getattr(r, name) for r in results] for name in ("low", "high", "p"))
    if None in ps:
        return row | {"low": None, "high": None, "p": None}
    survives = interval_over_models({model: r.mean for model, r in by_model.items()}).survives
    return row | {"low": min(lows), "high": max(highs), "p": max(ps) if survives else 1.0}


def _shares(outcomes: LevelOutcomes) -> list[dict[str, Any]]:
    """How many zones were touched, and how many of those are undecided: what no other figure of zones is about."""
    touched = outcomes.outcome != UNTOUCHED
    still_open = np.where(touched, (outcomes.outcome == OPEN).astype(np.float64), np.nan)
    return [_plain_row("touched", "episode", _touches(outcomes)), _plain_row("open", "touched episode", still_open)]


def _order_rows(advice: Trial, placebo: Trial) -> list[dict[str, Any]]:
    """
    Every rung counts by its weight. An order that never fills is worth nothing: a figure of fills alone would flatter
    who seldom fills, so values are compared, and markouts stand beside them. One comparison is of fills alone, for it
    names who fills only when wrong.
    """
    results, weights = advice.results, advice.orders.weight
    is_known = results.outcome.queue_source != NO_BOOK
    rows = [
        _plain_row("marketable", "order", results.is_refused.astype(np.float64), weights=weights),
        _plain_row("queue_known", "order", is_known.astype(np.float64), weights=weights),
    ]
    differences = {horizon_s: _differences(advice, placebo, horizon_s) for horizon_s in HORIZONS_S}
    rows += [_row_of_all(_value_name(horizon_s), "order", by_model) for horizon_s, by_model in differences.items()]
    of_fills = {
        model: difference(advice.fills(model, _HEADLINE_S), placebo.fills(model, _HEADLINE_S))
        for model in advice.models
    }
    rows.append(_row_of_all(ADVERSE_SELECTION, "filled order", of_fills))
    for place, model in enumerate(advice.models):
        rows.append(_plain_row("filled", "order", results.share[place], model, weights))
        for horizon_s in HORIZONS_S:
            # What is concluded is the row of all models: the rows of each are no claims of their own.
            row = _row(_value_name(horizon_s), "order", model, differences[horizon_s][model])
            rows.append(row | {"p": None})
            fills = advice.fills(model, horizon_s)
            rows.append(_plain_row(f"markout_{horizon_s}s_bps", "filled order", fills.values, model, fills.weights))
    return rows


def _calibration(episodes: Sequence[Episode], advice: Trial) -> list[dict[str, Any]]:
    """
    The Brier score beside that of the rate known before the day, its parts, and the calibration error.

    One number for all zones is a base rate and no forecast: it cannot tell them apart, so nothing is compared.
    """
    confidence, rejection = np.array([e.zone.confidence for e in episodes], np.float64), _rejections(advice.outcomes)
    if np.isnan(confidence).any():
        return []  # an adviser from elsewhere states none
    if len(np.unique(confidence)) < 2:
        return [_plain_row("base_rate", "decided episode", np.where(np.isnan(rejection), np.nan, confidence))]
    day = np.array([e.first.published_ns // DAY_NS for e in episodes], np.int64)
    rate = rate_before(rejection, day, _NO_RATE)
    own, known = (Samples(brier(stated, rejection), advice.block) for stated in (confidence, rate))
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
