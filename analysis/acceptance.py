"""
The order-flow layer: where trade was accepted, as the result of the tool `orderflow_analysys`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.grid import bins_for, one_two_five
from analysis.parameters import Parameters
from analysis.view import Evidence
from analysis.volume_profile import Nodes, Rows, control_point, nodes, rows_of, value_area
from market.fixed_point import DECIMALS, format_e8
from projections.profile import IncrementalProfile

_SHOWN_NODES = 8
_MOST_BINS = 500_000
_WEIGHT_OF_EDGE = 0.4
_WEIGHT_OF_NODE = 0.6


def order_flow(
    profiles: Sequence[IncrementalProfile],
    reference_e8: int,
    level_e8: int,
    parameters: Parameters,
    decimals: int = DECIMALS,
) -> tuple[dict[str, Any], list[Evidence]]:
    """
    Volume profiles over the horizons, shortest first; a horizon that shows no more than the one before is null.

    Args:
        profiles: one a horizon, refreshed. level_e8: the width of their levels.
    """
    result: dict[str, Any] = {}
    evidence: list[Evidence] = []
    shown_minutes = 0
    for profile in profiles:
        name = f"{profile.minutes}min"
        covered = profile.covered_minutes
        if covered <= shown_minutes:
            result[name] = None
            continue
        shown_minutes = profile.minutes
        found, given = _horizon(profile, reference_e8, level_e8, parameters, decimals)
        result[name] = {"covered_min": covered, **found}
        evidence += given
    return {"profiles": result}, evidence


def _horizon(
    profile: IncrementalProfile, reference_e8: int, level_e8: int, parameters: Parameters, decimals: int
) -> tuple[dict[str, Any], list[Evidence]]:
    levels, buy, sell, count = profile.levels()
    total = buy + sell
    width = max(level_e8, one_two_five(reference_e8 * parameters.row_bp / 1e4))
    rows = rows_of(levels, total, -(-width // level_e8) * level_e8)
    control = control_point(rows, reference_e8 * parameters.rival_bp / 1e4)
    area = value_area(rows.total_e8, control.row, parameters.value_area_share)
    level_e8 *= -(-int(levels[-1] - levels[0]) // level_e8 // _MOST_BINS) or 1  # a wild range gets wider bins
    bins = rows_of(levels, total, level_e8)
    half_width = bins_for(reference_e8, parameters.node_bp, level_e8, parameters.node_bins)
    high, low = nodes(bins.total_e8, half_width, parameters.node_prominence)
    ambiguous = control.rival > parameters.ambiguous_from
    result = {
        "volume": format_e8(int(total.sum()), decimals),
        "delta": format_e8(int(buy.sum() - sell.sum()), decimals),
        "trades": int(count.sum()),
        "row": format_e8(rows.width_e8),
        "poc": _row(rows, control.row),
        "rival": control.rival,
        "rival_poc": _row(rows, control.rival_row) if ambiguous and control.rival_row is not None else None,
        "value_area": [_row(rows, area.low), format_e8(rows.price_e8(area.high) + rows.width_e8)],
        "value_area_share": area.share,
        "hvn": _shown(bins, high),
        "lvn": _shown(bins, low),
    }
    tag = f"P{profile.minutes}"
    evidence = [_row_evidence(f"{tag}.poc", "poc", rows, control.row, 1.0 if not ambiguous else 0.7)]
    if ambiguous and control.rival_row is not None:
        evidence.append(_row_evidence(f"{tag}.rival", "poc", rows, control.rival_row, 0.7))
    evidence.append(_row_evidence(f"{tag}.val", "value_area", rows, area.low, _WEIGHT_OF_EDGE))
    evidence.append(_row_evidence(f"{tag}.vah", "value_area", rows, area.high, _WEIGHT_OF_EDGE))
    evidence += _node_evidence(tag, bins, high, half_width)
    return result, evidence


def _row(rows: Rows, row: int) -> str:
    return format_e8(rows.price_e8(row))


def _shown(bins: Rows, found: Nodes) -> list[list[Any]]:
    strongest = np.sort(np.argsort(-found.prominence, kind="stable")[:_SHOWN_NODES])
    return [[format_e8(bins.price_e8(int(found.bins[i]))), float(found.prominence[i])] for i in strongest]


def _row_evidence(name: str, basis: Any, rows: Rows, row: int, strength: float) -> Evidence:
    low = rows.price_e8(row)
    return Evidence(name, basis, "acceptance", low, low + rows.width_e8, low + rows.width_e8 // 2, strength)


def _node_evidence(tag: str, bins: Rows, found: Nodes, half_width: int) -> list[Evidence]:
    given = []
    for i in np.argsort(-found.prominence, kind="stable")[:_SHOWN_NODES].tolist():
        at = int(found.bins[i])
        low, high = bins.price_e8(at) - half_width * bins.width_e8 // 2, bins.price_e8(at + 1 + half_width // 2)
        strength = round(_WEIGHT_OF_NODE * float(found.prominence[i]), 4)
        given.append(Evidence(f"{tag}.hvn{i}", "hvn", "acceptance", low, high, bins.price_e8(at), strength))
    return given
