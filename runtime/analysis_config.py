"""
The configuration of the analysis, windows and thresholds, from settings; the same for analyzer and replay.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from analysis.fitted import Logistic, parse
from analysis.parameters import Parameters
from eventlog.disk.files import read_plain
from eventlog.errors import LogBroken
from market.fixed_point import ONE_E8
from projections.state import Windows
from runtime.settings.settings import Settings, SettingsError

_MAX_BYTES = 1024 * 1024  # of a file of fitted probabilities


@dataclass(frozen=True, slots=True)
class AnalysisConfig:
    """
    What a decision depends on besides the log: the market's symbol, the windows and the thresholds.

    Attributes:
        chosen_on: UTC days on which the settings say their thresholds were chosen, besides those of the shipped ones.
    """

    symbol: str
    windows: Windows
    parameters: Parameters
    chosen_on: tuple[str, ...] = ()


def analysis_config(
    settings: Settings, symbol: str, coefficients: Mapping[str, Logistic] | None = None
) -> AnalysisConfig:
    """
    Make the windows and thresholds that settings ask for.

    Args:
        settings: of the whole installation. symbol: the market's symbol, for the record.
        coefficients: fitted probabilities by name (pull, confidence); None takes those of the file in settings.

    Raises:
        SettingsError: the file of fitted probabilities cannot be read.
    """
    flow, depth = settings.data_collector.order_flow, settings.data_collector.depth_snapshot
    analysis = settings.analyzer.analysis
    parameters = Parameters(
        min_wall_e8=round(analysis.min_order_volume_threshold * ONE_E8),
        ladder_policy=analysis.ladder_policy,
        ladder_prices=analysis.ladder_rungs,
        zone_half_width_bp=round(analysis.ladder_spread_percent * 100, 6),
    )
    if coefficients is None:
        coefficients = _read_coefficients(analysis.fitted_file) if analysis.fitted_file is not None else {}
    parameters = replace(
        parameters,
        pull=coefficients.get("pull", parameters.pull),
        confidence=coefficients.get("confidence", parameters.confidence),
    )
    windows = Windows(
        bucket_minutes=max(flow.window_size_minutes, *parameters.horizons_min),
        snapshot_slots=depth.window_size,
        trade_minutes=max(Windows().trade_minutes, depth.window_size),
        level_e8=None if flow.price_precision is None else round(flow.price_precision * ONE_E8),
    )
    chosen_on = tuple(day.isoformat() for day in analysis.thresholds_chosen_on)
    return AnalysisConfig(symbol, windows, parameters, chosen_on)


def session_settings(settings: Settings, parameters: Parameters) -> str:
    """The settings as JSON for the log: no secrets, and under `fitted` the coefficients instead of a path."""
    coefficients = {"pull": parameters.pull, "confidence": parameters.confidence}
    plain: dict[str, object] = msgspec.json.decode(settings.without_secrets())
    return msgspec.json.encode({**plain, "fitted": coefficients}).decode()


def _read_coefficients(file: Path) -> dict[str, Logistic]:
    try:
        return parse(read_plain(file.resolve(), _MAX_BYTES))  # an untrusted log may name any file here
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}; see analyzer.analysis.fitted_file") from error
    except LogBroken as error:
        raise SettingsError(f"{error}; see analyzer.analysis.fitted_file") from error
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from error
