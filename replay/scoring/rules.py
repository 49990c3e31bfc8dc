"""
The scoring rules, built from settings.
"""

from analysis.parameters import Parameters
from replay.scoring.scoring import ScoringRules
from runtime.settings.settings import Scoring


def rules_of(scoring: Scoring, parameters: Parameters) -> ScoringRules:
    """The scoring rules of some settings; the distances of rejection and break come from the analysis' thresholds."""
    return ScoringRules(
        publish_delay_ms=scoring.publish_delay_ms,
        latency_ms=scoring.latency_ms,
        maker_fee_bps=scoring.maker_fee_bps,
        placebo_draws=scoring.placebo_draws,
        seed=scoring.seed,
        away_sigma=parameters.away_sigma,
        beyond_sigma=parameters.beyond_sigma,
    )
