"""
How a run is scored.
"""

from dataclasses import dataclass

from analysis.parameters import Parameters
from runtime.settings.settings import Scoring


@dataclass(frozen=True, slots=True)
class ScoringRules:
    """
    How a run is scored; every value is part of its id.

    Attributes:
        publish_delay_ms: from a tick's arrival until its advice is out. latency_ms: from then until orders rest; a
            cancel takes as long.
        order_value: of all orders of one recommendation, quote; each rung gets its weight's part.
        maker_fee_bps: per fill. placebo_draws: placebos for an episode, at most. seed: of all random draws.
        away_sigma: distance off a zone's near edge that rejects it. beyond_sigma: past its far edge that breaks it.
    """

    publish_delay_ms: int
    latency_ms: int
    order_value: float
    maker_fee_bps: float
    placebo_draws: int
    seed: int
    away_sigma: float
    beyond_sigma: float


def rules_of(scoring: Scoring, parameters: Parameters) -> ScoringRules:
    """The scoring rules of some settings; the distances of rejection and break come from the analysis' thresholds."""
    return ScoringRules(
        publish_delay_ms=scoring.publish_delay_ms,
        latency_ms=scoring.latency_ms,
        order_value=scoring.order_value,
        maker_fee_bps=scoring.maker_fee_bps,
        placebo_draws=scoring.placebo_draws,
        seed=scoring.seed,
        away_sigma=parameters.away_sigma,
        beyond_sigma=parameters.beyond_sigma,
    )
