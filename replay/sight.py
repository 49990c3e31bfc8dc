"""
What settings mean for an analysis: windows and thresholds. The analyzer and every replay take them from here.
"""

from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from projections.state import Windows
from replay.decisions import Sight
from settings import Settings


def sight_of(settings: Settings, symbol: str) -> Sight:
    """The windows and thresholds that settings ask for."""
    flow, depth = settings.data_collector.order_flow, settings.data_collector.depth_snapshot
    parameters = Parameters(min_wall_e8=round(settings.analyzer.analysis.min_order_volume_threshold * ONE_E8))
    windows = Windows(
        bucket_minutes=max(flow.window_size_minutes, *parameters.horizons_min),
        snapshot_slots=depth.window_size,
        level_e8=max(1, round(flow.price_precision * ONE_E8)),
    )
    return Sight(symbol, windows, parameters)
