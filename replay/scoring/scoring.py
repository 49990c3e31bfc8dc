"""
From recommendations to figures: episodes, their zones' outcomes, their orders' fills and markouts, beside placebos.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from market.arrays import F64, I64
from market.timestamps import HOUR_NS
from replay.inference.blocks import difference
from replay.inference.calibration import brier, calibration_error, constant_brier
from replay.scoring.episodes import Episode, Publication, episodes_of
from replay.scoring.outcomes import (
    BROKEN,
    HORIZONS_S,
    OUTCOMES,
    REJECTED,
    UNTOUCHED,
    LevelOutcomes,
    Levels,
    fills,
    markouts,
    outcomes_at,
)
from replay.scoring.placebo import PlaceboPool, PlaceboSamples, draw_placebos
from replay.scoring.price_path import PricePath

MODELS = {"touch": False, "through": True}
"""Fill models that bracket the truth, and whether a trade must go strictly beyond the price."""

_BLOCK_NS = 2 * HOUR_NS  # at least valid_for plus the test that may follow a touch


@dataclass(frozen=True, slots=True)
class ScoringRules:
    """
    How a run is scored; every value is part of its id.

    Attributes:
        publish_delay_ms: from a tick's arrival until its advice is out. latency_ms: from then until orders rest.
        maker_fee_bps: per fill. placebo_draws: placebos for an episode, at most. seed: of all random draws.
        away_sigma: distance off a zone's near edge that rejects it. beyond_sigma: past its far edge that breaks it.
    """

    publish_delay_ms: int
    latency_ms: int
    maker_fee_bps: float
    placebo_draws: int
    seed: int
    away_sigma: float
    beyond_sigma: float


@dataclass(frozen=True, slots=True)
class ScoreTables:
    """The tables of a run, as they are written to its folder."""

    episodes: pa.Table
    orders: pa.Table
    fills: pa.Table
    scores: pa.Table


def score(publications: Sequence[Publication], pool: PlaceboPool, path: PricePath, rules: ScoringRules) -> ScoreTables:
    """
    Score advice against the prices that followed it.

    Args:
        publications: recommendations with zones or without, in order.
        pool: every tick at which distance could be measured, for placebos.
        path: the trades, from before the first recommendation on.
        rules: delays, fee, distances and seed.
    """
    episodes = episodes_of(publications)
    outcomes = zone_outcomes(episodes, path, rules)
    orders = _orders(episodes, rules)
    fills_by_model = {model: _fill(path, orders, through) for model, through in MODELS.items()}
    markouts_by_model = {
        model: markouts(path, orders["is_buy"], orders["price_e8"], fill, rules.maker_fee_bps)
        for model, fill in fills_by_model.items()
    }
    draws = draw_placebos(episodes, pool, rules.placebo_draws, rules.seed)
    scores = _scores(episodes, outcomes, orders, fills_by_model, markouts_by_model, draws, pool, path, rules)
    scores += _calibration(episodes, outcomes, rules)
    scores += _minute_rows(publications, path, rules)
    return ScoreTables(
        _episode_table(episodes, outcomes, path),
        _order_table(orders),
        _fill_table(orders, fills_by_model, markouts_by_model, path),
        pa.Table.from_pylist(scores, schema=_SCORES),
    )


def zone_outcomes(episodes: Sequence[Episode], path: PricePath, rules: ScoringRules) -> LevelOutcomes:
    """
    The outcome of each episode's zone, tested for as long as its first advice is valid.

    Args:
        episodes: n episodes, in any order.
        path: the trades that test them.
        rules: latency, and the distances of rejection and break.
    """
    return outcomes_at(path, _levels(episodes, rules))


def _levels(episodes: Sequence[Episode], rules: ScoringRules) -> Levels:
    unit = np.array([_sigma_e8(e) for e in episodes], np.float64)
    start = np.array([e.first.published_ns for e in episodes], np.int64) + rules.latency_ms * 1_000_000
    return Levels(
        is_buy=np.array([e.zone.side == "buy" for e in episodes], bool),
        low_e8=np.array([e.zone.low_e8 for e in episodes], np.int64),
        high_e8=np.array([e.zone.high_e8 for e in episodes], np.int64),
        away_e8=distances(unit, rules.away_sigma),
        beyond_e8=distances(unit, rules.beyond_sigma),
        start_ns=start,
        stop_ns=np.array([e.stop_ns for e in episodes], np.int64),
        after_seq=np.array([e.first.published_seq for e in episodes], np.int64),
    )


def distances(unit_e8: F64, sigmas: float) -> I64:
    """
    A number of σ as price distances, 1e-8 quote, rounded up: also right where a tick is no more than 1e-8.

    Args:
        unit_e8: n values of σ as a price distance, 1e-8 quote.
        sigmas: the number of σ.

    >>> distances(np.array([10.0, 0.3]), 1.5).tolist()
    [15, 1]
    """
    return np.ceil(np.round(unit_e8 * sigmas, 6)).astype(np.int64)


def _sigma_e8(episode: Episode) -> float:
    """σ as a price distance at an episode's first advice."""
    return (episode.first.advice.reference_e8 or 0) * (episode.first.advice.sigma or 0.0)


def _orders(episodes: Sequence[Episode], rules: ScoringRules) -> dict[str, Any]:
    """The rungs of all episodes' first advice, each an order that rests until that advice runs out."""
    rows = [(n, e, rung) for n, e in enumerate(episodes) for rung in e.zone.ladder]
    return {
        "order": np.arange(len(rows)),
        "episode": np.array([n for n, _, _ in rows], np.int64),
        "is_buy": np.array([e.zone.side == "buy" for _, e, _ in rows], bool),
        "price_e8": np.array([r.price_e8 for _, _, r in rows], np.int64),
        "weight": np.array([r.weight for _, _, r in rows], np.float64),
        "start_ns": np.array([e.first.published_ns for _, e, _ in rows], np.int64) + rules.latency_ms * 1_000_000,
        "stop_ns": np.array([e.stop_ns for _, e, _ in rows], np.int64),
        "after_seq": np.array([e.first.published_seq for _, e, _ in rows], np.int64),
    }


def _fill(path: PricePath, orders: dict[str, Any], through: bool) -> I64:
    is_buy, price, start, stop, after = (orders[n] for n in ("is_buy", "price_e8", "start_ns", "stop_ns", "after_seq"))
    return fills(path, is_buy, price, start, stop, after, through)


def _scores(
    episodes: Sequence[Episode], outcomes: LevelOutcomes, orders: dict[str, Any], fills_by_model: dict[str, I64],
    markouts_by_model: dict[str, F64], draws: PlaceboSamples, pool: PlaceboPool, path: PricePath, rules: ScoringRules,
) -> list[dict[str, Any]]:  # fmt: skip
    """The figures of the episodes beside those of their placebos."""
    chance_levels, chance_orders = _placebo_levels(episodes, draws, pool, rules)
    chance = outcomes_at(path, chance_levels)
    block = np.array([e.first.published_ns // _BLOCK_NS for e in episodes], np.int64)
    chance_block = block[draws.episode] if len(draws.episode) else draws.episode
    rows = [
        _row("touched", "episode", None, _touch_flags(outcomes), block, _touch_flags(chance), chance_block, rules.seed),
        _row(
            "rejected",
            "episode",
            None,
            _rejection_flags(outcomes),
            block,
            _rejection_flags(chance),
            chance_block,
            rules.seed,
        ),
    ]
    is_first = np.append(True, np.diff(orders["episode"]) > 0) if len(orders["episode"]) else np.empty(0, bool)
    order_block = block[orders["episode"][is_first]] if len(block) else block
    for model, through in MODELS.items():
        chance_fill = _fill(path, chance_orders, through)
        chance_worth = markouts(
            path, chance_orders["is_buy"], chance_orders["price_e8"], chance_fill, rules.maker_fee_bps
        )
        is_filled = (fills_by_model[model][is_first] >= 0).astype(np.float64)
        chance_filled = (chance_fill >= 0).astype(np.float64)
        rows.append(
            _row("filled", "first rung", model, is_filled, order_block, chance_filled, chance_block, rules.seed)
        )
        for column, horizon_s in enumerate(HORIZONS_S):
            name = f"markout_{horizon_s}s_bps"
            values, chance_values = markouts_by_model[model][is_first][:, column], chance_worth[:, column]
            rows.append(_row(name, "first rung", model, values, order_block, chance_values, chance_block, rules.seed))
    return rows


def _placebo_levels(
    episodes: Sequence[Episode], draws: PlaceboSamples, pool: PlaceboPool, rules: ScoringRules
) -> tuple[Levels, dict[str, Any]]:
    is_buy = np.array([e.zone.side == "buy" for e in episodes], bool)[draws.episode]
    valid_ns = np.array([e.first.advice.valid_for_ns for e in episodes], np.int64)[draws.episode]
    unit = pool.reference_e8[draws.moment] * pool.sigma[draws.moment]
    published_ns = pool.published_ns[draws.moment]
    start, after = published_ns + rules.latency_ms * 1_000_000, pool.published_seq[draws.moment]
    levels = Levels(
        is_buy, draws.low_e8, draws.high_e8, distances(unit, rules.away_sigma), distances(unit, rules.beyond_sigma),
        start, published_ns + valid_ns, after,
    )  # fmt: skip
    orders = {
        "is_buy": is_buy,
        "price_e8": draws.rung_e8,
        "start_ns": start,
        "stop_ns": published_ns + valid_ns,
        "after_seq": after,
    }
    return levels, orders


def _touch_flags(outcomes: LevelOutcomes) -> F64:
    return (outcomes.outcome != UNTOUCHED).astype(np.float64)


def _rejection_flags(outcomes: LevelOutcomes) -> F64:
    """1 rejected, 0 broken, NaN for the rest: open tests are counted separately."""
    is_decided = (outcomes.outcome == REJECTED) | (outcomes.outcome == BROKEN)
    return np.where(is_decided, (outcomes.outcome == REJECTED).astype(np.float64), np.nan)


def _calibration(episodes: Sequence[Episode], outcomes: LevelOutcomes, rules: ScoringRules) -> list[dict[str, Any]]:
    """Brier score and calibration error of the stated confidence, the first beside that of the constant rate."""
    confidence, rejection = np.array([e.zone.confidence for e in episodes], np.float64), _rejection_flags(outcomes)
    block = np.array([e.first.published_ns // _BLOCK_NS for e in episodes], np.int64)
    error = {"metric": "ece", "unit": "decided episode", "advice": calibration_error(confidence, rejection)}
    return [
        _row(
            "brier",
            "decided episode",
            None,
            brier(confidence, rejection),
            block,
            constant_brier(rejection),
            block,
            rules.seed,
        ),
        error | {"samples": int((~np.isnan(rejection)).sum())},
    ]


def _minute_rows(publications: Sequence[Publication], path: PricePath, rules: ScoringRules) -> list[dict[str, Any]]:
    """Secondary figures: all zones of all recommendations, each as if it were new."""
    singles = [Episode(p, zone, p.published_ns) for p in publications for zone in p.advice.zones]
    outcomes = outcomes_at(path, _levels(singles, rules))
    return [
        _plain_row("touched", _touch_flags(outcomes)),
        _plain_row("rejected", _rejection_flags(outcomes)),
    ]


def _plain_row(metric: str, values: F64) -> dict[str, Any]:
    numbers = values[~np.isnan(values)]
    mean = round(float(numbers.mean()), 6) if len(numbers) else None
    return {"metric": metric, "unit": "every minute", "advice": mean, "samples": len(numbers)}


def _row(
    metric: str, unit: str, model: str | None, advice: F64, block: I64, placebo: F64, placebo_block: I64, seed: int
) -> dict[str, Any]:
    comparison = difference(advice, block, placebo, placebo_block, seed)
    return {
        "metric": metric, "unit": unit, "model": model, "advice": comparison.advice, "placebo": comparison.placebo,
        "samples": comparison.samples, "placebo_samples": comparison.placebo_samples, "blocks": comparison.blocks,
        "low": comparison.low, "high": comparison.high, "p": comparison.p,
    }  # fmt: skip


_SCORES = pa.schema(
    [
        ("metric", pa.string()), ("unit", pa.string()), ("model", pa.string()), ("advice", pa.float64()),
        ("placebo", pa.float64()), ("samples", pa.int64()), ("placebo_samples", pa.int64()), ("blocks", pa.int64()),
        ("low", pa.float64()), ("high", pa.float64()), ("p", pa.float64()),
    ]
)  # fmt: skip


def _episode_table(episodes: Sequence[Episode], outcomes: LevelOutcomes, path: PricePath) -> pa.Table:
    touch_ns = [int(path.at_ns[i]) if i >= 0 else None for i in outcomes.touch.tolist()]
    return pa.table(
        {
            "episode": pa.array(range(len(episodes)), pa.int64()),
            "side": pa.array([e.zone.side for e in episodes], pa.string()),
            "low_e8": pa.array([e.zone.low_e8 for e in episodes], pa.int64()),
            "high_e8": pa.array([e.zone.high_e8 for e in episodes], pa.int64()),
            "weight": pa.array([e.zone.weight for e in episodes], pa.float64()),
            "confidence": pa.array([e.zone.confidence for e in episodes], pa.float64()),
            "basis": pa.array(["+".join(e.zone.basis) for e in episodes], pa.string()),
            "published_ns": pa.array([e.first.published_ns for e in episodes], pa.int64()),
            "last_published_ns": pa.array([e.last_ns for e in episodes], pa.int64()),
            "minutes": pa.array([e.minutes for e in episodes], pa.int64()),
            "outcome": pa.array([OUTCOMES[o] for o in outcomes.outcome.tolist()], pa.string()),
            "touch_ns": pa.array(touch_ns, pa.int64()),
        }
    )


def _order_table(orders: dict[str, Any]) -> pa.Table:
    names = ("order", "episode", "is_buy", "price_e8", "weight", "start_ns", "stop_ns")
    return pa.table({name: pa.array(orders[name]) for name in names})


def _fill_table(
    orders: dict[str, Any], fills_by_model: dict[str, I64], markouts_by_model: dict[str, F64], path: PricePath
) -> pa.Table:
    rows = []
    for model, fill in fills_by_model.items():
        for order in np.flatnonzero(fill >= 0).tolist():
            values = markouts_by_model[model][order]
            rows.append(
                {
                    "order": order,
                    "model": model,
                    "filled_ns": int(path.at_ns[fill[order]]),
                    "price_e8": int(orders["price_e8"][order]),
                    **{
                        f"markout_{h}s_bps": None if np.isnan(v) else float(v)
                        for h, v in zip(HORIZONS_S, values, strict=True)
                    },
                }
            )
    return pa.Table.from_pylist(rows, schema=_FILLS)


_FILLS = pa.schema(
    [("order", pa.int64()), ("model", pa.string()), ("filled_ns", pa.int64()), ("price_e8", pa.int64())]
    + [(f"markout_{h}s_bps", pa.float64()) for h in HORIZONS_S]
)
