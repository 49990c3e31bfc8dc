"""
The figures of a run: each of advice, beside that of its placebos or of a price without memory, with what it proves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fills.interval import interval_over_models
from fills.outcome import NO_BOOK
from market.arrays import F64, I64
from market.timestamps import DAY_NS, HOUR_NS
from replay.inference.blocks import (
    BlockSums,
    Difference,
    Samples,
    block_gains,
    difference,
    difference_of_sums,
    holm,
)
from replay.inference.calibration import brier, brier_parts, calibration_error, rate_before
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


Key = tuple[str, str | None]
"""A metric, and the model of the queue where one is involved."""

Sums = Mapping[Key, BlockSums]
"""Figures as sums, which those of other days are added to."""

_DECIDED: Key = ("decided", None)  # whether decided zones were rejected, as it is
_EXPECTED: Key = ("expected", None)  # what a price without memory gives the same zones


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
    def rejections(self) -> F64:
        """(n,) 1 rejected, 0 broken, NaN for the rest: open tests are counted separately."""
        return rejections(self.outcomes)

    def compared(self) -> dict[Key, BlockSums]:
        """
        What is compared with controls.

        Of zones whether they were rejected, beside what a price without memory gives. Of orders, by weight, what they
        were worth: the markout times the share that was filled, 0 where nothing was, nothing where the record ends
        before the horizon; and of those filled a minute's markout alone. What the trade that filled an order was worth
        at once is what a price without memory gives of both.
        """
        zones = Samples(self.rejections, self.block, expected=self.expected)
        sums: dict[Key, BlockSums] = {("rejected", None): BlockSums.of(zones)}
        block, weight, results = self._block_of_orders, self.orders.weight, self.results
        for place, model in enumerate(results.outcome.models):
            at_once = results.values_at_once(place)
            for horizon_s in HORIZONS_S:
                values = Samples(results.values(place, horizon_s), block, weight, at_once)
                sums[_value_name(horizon_s), model] = BlockSums.of(values)
            markout = results.markout[place, :, HORIZONS_S.index(_HEADLINE_S)]
            fills = Samples(markout, block, weight * results.share[place], results.at_once[place])
            sums[ADVERSE_SELECTION, model] = BlockSums.of(fills)
        return sums

    def alone(self) -> dict[Key, BlockSums]:
        """What is said of advice without a control."""
        results, weight, block = self.results, self.orders.weight, self._block_of_orders
        outcome = self.outcomes.outcome
        is_open = np.where(outcome != UNTOUCHED, (outcome == OPEN).astype(np.float64), np.nan)
        expected = np.where(np.isnan(self.rejections), np.nan, self.expected)
        zones: dict[Key, F64] = {("touched", None): _touches(self.outcomes), ("open", None): is_open}
        zones |= {_DECIDED: self.rejections, _EXPECTED: expected}
        sums = {key: BlockSums.of(Samples(values, self.block)) for key, values in zones.items()}
        orders: dict[Key, F64] = {
            ("marketable", None): results.is_refused.astype(np.float64),
            ("queue_known", None): (results.outcome.queue_source != NO_BOOK).astype(np.float64),
        }
        for place, model in enumerate(results.outcome.models):
            orders["filled", model] = results.share[place]
            filled = weight * results.share[place]
            for column, horizon_s in enumerate(HORIZONS_S):
                markout = Samples(results.markout[place, :, column], block, filled)
                sums[_markout_name(horizon_s), model] = BlockSums.of(markout)
        return sums | {key: BlockSums.of(Samples(values, block, weight)) for key, values in orders.items()}

    @property
    def _block_of_orders(self) -> I64:
        return self.block[self.orders.zone] if len(self.block) else self.orders.zone


@dataclass(frozen=True, slots=True)
class Stated:
    """
    The probabilities that advice states of n episodes, and what happened.

    Attributes:
        confidence: (n,) NaN where an adviser states none. rejection: (n,) 1 rejected, 0 broken, NaN for the rest.
        published_ns: (n,) when each episode was first out.
    """

    confidence: F64
    rejection: F64
    published_ns: I64


def add_up(parts: Iterable[Sums]) -> dict[Key, BlockSums]:
    """The figures of several stretches of time together."""
    by_key: dict[Key, list[BlockSums]] = {}
    for part in parts:
        for key, sums in part.items():
            by_key.setdefault(key, []).append(sums)
    return {key: BlockSums.joined(all_sums) for key, all_sums in by_key.items()}


def blocks_of(published_ns: I64) -> I64:
    """The blocks of time in which episodes were published."""
    return published_ns // BLOCK_NS


def figures_of(
    advice: Sums, placebo: Sums, stated: Stated, every_minute: Sums, baselines: Mapping[str, Sums]
) -> list[dict[str, Any]]:
    """
    All figures, p-values corrected over all of them.

    Args:
        advice: what was said of it alone, and what is compared. placebo: what is compared of the placebos.
        stated: by the advice.
        every_minute: "touched" and "rejected" of the zones of all recommendations, each as if it were new.
        baselines: what is compared of other zones, by name; one without zones has no rows.
    """
    rows = [
        _plain_row("touched", "episode", advice),
        _plain_row("open", "touched episode", advice),
        _row("rejected", "episode", None, _difference(advice, placebo, ("rejected", None))),
        _row(MARTINGALE, "episode", None, difference_of_sums(advice[_DECIDED], advice[_EXPECTED])),
        *_order_rows(advice, placebo),
        *_calibration(stated),
        *(row for name, other in baselines.items() if _has_zones(other) for row in _rows_against(name, advice, other)),
        _plain_row("touched", "every minute", every_minute),
        _plain_row("rejected", "every minute", every_minute) | {"placebo": every_minute[_EXPECTED].mean()},
    ]
    corrected = holm([row.get("p") for row in rows])
    return [row | {"p_corrected": p} for row, p in zip(rows, corrected, strict=True)]


def gains_of(advice: Sums, placebo: Sums) -> dict[int, float]:
    """
    By block of time, the headline figure of advice less that of its placebos, under the model of the queue that leaves
    the least: what holds then holds under the others.
    """
    by_model = [block_gains(*(sums[HEADLINE, model] for sums in (advice, placebo))) for model in _models(advice)]
    return min(by_model, key=lambda gains: sum(gains.values()))


def every_minute_sums(outcomes: LevelOutcomes, expected: F64) -> dict[Key, BlockSums]:
    """
    What is said of the zones of all recommendations, each as if it were new.

    Args:
        outcomes: of n zones.
        expected: (n,) probability of a touched zone's rejection on a price without memory; NaN for the rest.
    """
    block, decided = np.zeros(len(outcomes.outcome), np.int64), rejections(outcomes)
    figures: dict[Key, F64] = {("touched", None): _touches(outcomes), ("rejected", None): decided}
    figures[_EXPECTED] = np.where(np.isnan(decided), np.nan, expected)
    return {key: BlockSums.of(Samples(values, block)) for key, values in figures.items()}


def rejections(outcomes: LevelOutcomes) -> F64:
    """1 rejected, 0 broken, NaN for the rest: open tests are counted separately."""
    is_decided = (outcomes.outcome == REJECTED) | (outcomes.outcome == BROKEN)
    return np.where(is_decided, (outcomes.outcome == REJECTED).astype(np.float64), np.nan)


def _models(sums: Sums) -> list[str]:
    return [model for metric, model in sums if metric == HEADLINE and model is not None]


def _has_zones(sums: Sums) -> bool:
    """Whether there were any: an order that never filled is worth 0, and counts."""
    return any(len(own.block) for own in sums.values())


def _rows_against(name: str, advice: Sums, baseline: Sums) -> list[dict[str, Any]]:
    """Rejections and values of advice beside those of a baseline, whose name is the rows' unit."""
    rows = [_row("rejected", name, None, _difference(advice, baseline, ("rejected", None)))]
    for horizon_s in HORIZONS_S:
        metric = _value_name(horizon_s)
        rows.append(_row_of_all(metric, name, _differences(advice, baseline, metric)))
    return rows


def _difference(advice: Sums, other: Sums, key: Key) -> Difference:
    return difference_of_sums(advice[key], other[key])


def _differences(advice: Sums, other: Sums, metric: str) -> dict[str, Difference]:
    """The difference of a figure of orders under each model of the queue."""
    return {model: _difference(advice, other, (metric, model)) for model in _models(advice)}


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


def _order_rows(advice: Sums, placebo: Sums) -> list[dict[str, Any]]:
    """
    Every rung counts by its weight. An order that never fills is worth nothing: a figure of fills alone would flatter
    who seldom fills, so values are compared, and markouts stand beside them. One comparison is of fills alone, for it
    names who fills only when wrong.
    """
    rows = [_plain_row("marketable", "order", advice), _plain_row("queue_known", "order", advice)]
    values = {metric: _differences(advice, placebo, metric) for metric in map(_value_name, HORIZONS_S)}
    rows += [_row_of_all(metric, "order", by_model) for metric, by_model in values.items()]
    rows.append(_row_of_all(ADVERSE_SELECTION, "filled order", _differences(advice, placebo, ADVERSE_SELECTION)))
    for model in _models(advice):
        rows.append(_plain_row("filled", "order", advice, model))
        for horizon_s in HORIZONS_S:
            # What is concluded is the row of all models: the rows of each are no claims of their own.
            metric = _value_name(horizon_s)
            rows.append(_row(metric, "order", model, values[metric][model]) | {"p": None})
            rows.append(_plain_row(_markout_name(horizon_s), "filled order", advice, model))
    return rows


def _calibration(stated: Stated) -> list[dict[str, Any]]:
    """
    The Brier score beside that of the rate known before the day, its parts, and the calibration error.

    One number for all zones is a base rate and no forecast: it cannot tell them apart, so nothing is compared.
    """
    confidence, rejection, unit = stated.confidence, stated.rejection, "decided episode"
    if np.isnan(confidence).any():
        return []  # an adviser from elsewhere states none
    samples = int((~np.isnan(rejection)).sum())
    if len(np.unique(confidence)) < 2:
        rate = BlockSums.of(Samples(np.where(np.isnan(rejection), np.nan, confidence), blocks_of(stated.published_ns)))
        return [{"metric": "base_rate", "unit": unit, "model": None, "advice": rate.mean(), "samples": samples}]
    known = rate_before(rejection, stated.published_ns // DAY_NS, _NO_RATE)
    block = blocks_of(stated.published_ns)
    sides = [Samples(brier(probability, rejection), block) for probability in (confidence, known)]
    parts = brier_parts(confidence, rejection)
    plain = {"ece": calibration_error(confidence, rejection)}
    for name in ("reliability", "resolution", "uncertainty"):
        plain[name] = None if parts is None else getattr(parts, name)
    rows = [{"metric": name, "unit": unit, "advice": value, "samples": samples} for name, value in plain.items()]
    return [_row("brier", unit, None, difference(*sides)), *rows]


def _touches(outcomes: LevelOutcomes) -> F64:
    return (outcomes.outcome != UNTOUCHED).astype(np.float64)


def _markout_name(horizon_s: int) -> str:
    return f"markout_{horizon_s}s_bps"


def _plain_row(metric: str, unit: str, sums: Sums, model: str | None = None) -> dict[str, Any]:
    own = sums[metric, model]
    return {"metric": metric, "unit": unit, "model": model, "advice": own.mean(), "samples": own.count}


def _row(metric: str, unit: str, model: str | None, result: Difference) -> dict[str, Any]:
    return {
        "metric": metric, "unit": unit, "model": model, "advice": result.advice, "placebo": result.control,
        "samples": result.samples, "placebo_samples": result.control_samples, "effective": result.effective,
        "blocks": result.blocks, "difference": result.mean, "low": result.low, "high": result.high, "p": result.p,
        "detectable": result.detectable, "days_for_half": _days(result.blocks_for_half),
    }  # fmt: skip


def _days(blocks: int | None) -> float | None:
    return None if blocks is None else round(blocks * BLOCK_NS / DAY_NS, 1)
