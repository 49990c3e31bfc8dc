"""
What settings mean: windows and thresholds of an analysis, rules of a scoring. Analyzer and replay take them from here.
"""

from dataclasses import replace
from pathlib import Path

from analysis.fitted import Logistic, parse
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from projections.state import Windows
from replay.decisions import Sight
from replay.scoring import Rules
from settings import Scoring, Settings, SettingsError


def sight_of(settings: Settings, symbol: str) -> Sight:
    """
    The windows and thresholds that settings ask for.

    Raises:
        SettingsError: the file of fitted probabilities cannot be read.
    """
    flow, depth = settings.data_collector.order_flow, settings.data_collector.depth_snapshot
    analysis = settings.analyzer.analysis
    parameters = Parameters(
        min_wall_e8=round(analysis.min_order_volume_threshold * ONE_E8), ladder_policy=analysis.ladder_policy
    )
    if analysis.fitted_file is not None:
        found = _fitted(analysis.fitted_file)
        parameters = replace(
            parameters,
            pull=found.get("pull", parameters.pull),
            confidence=found.get("confidence", parameters.confidence),
        )
    windows = Windows(
        bucket_minutes=max(flow.window_size_minutes, *parameters.horizons_min),
        snapshot_slots=depth.window_size,
        trade_minutes=max(Windows().trade_minutes, depth.window_size),
        level_e8=max(1, round(flow.price_precision * ONE_E8)),
    )
    return Sight(symbol, windows, parameters)


def rules_of(scoring: Scoring, parameters: Parameters) -> Rules:
    """The scoring rules that settings and thresholds make."""
    return Rules(
        publish_delay_ms=scoring.publish_delay_ms,
        latency_ms=scoring.latency_ms,
        maker_fee_bps=scoring.maker_fee_bps,
        placebo_draws=scoring.placebo_draws,
        seed=scoring.seed,
        away_sigma=parameters.away_sigma,
        beyond_sigma=parameters.beyond_sigma,
    )


def _fitted(file: Path) -> dict[str, Logistic]:
    try:
        return parse(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}; see analyzer.analysis.fitted_file") from error
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from error
