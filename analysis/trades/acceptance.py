"""
Acceptance: where trade went on, from volume profiles over several horizons (ANALYSIS §3).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.evidence import Basis, Evidence
from analysis.grid import bins_for, one_two_five
from analysis.parameters import Parameters
from analysis.trades.volume_profile import Nodes, Rows, control_point, nodes, row_width, rows_of, value_area
from market.fixed_point import DECIMALS, format_e8
from projections.trades.volume_profile import IncrementalProfile

_SHOWN_NODES = 5
_WEIGHT_OF_RIVAL = 0.7
_WEIGHT_OF_EDGE = 0.4
_WEIGHT_OF_NODE = 0.6


def acceptance(
    profiles: Sequence[IncrementalProfile],
    reference_e8: int | None,
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
    if reference_e8 is None:
        return {"found": "nothing", "reason": "no trade in the window"}, evidence
    shown_minutes = 0
    for profile in profiles:
        name = f"{profile.minutes}min"
        covered = profile.covered_minutes
        if covered <= shown_minutes:
            result[name] = None
            continue
        shown_minutes = profile.minutes
        found, given = _horizon(profile, reference_e8, level_e8, parameters, decimals)
        result[name] = {"id": f"P{profile.minutes}", "covered_min": covered, **found}
        evidence += given
    return result, evidence


def _horizon(
    profile: IncrementalProfile, reference_e8: int, level_e8: int, parameters: Parameters, decimals: int
) -> tuple[dict[str, Any], list[Evidence]]:
    levels, buy, sell, count = profile.levels()
    total = buy + sell
    width = max(level_e8, one_two_five(reference_e8 * parameters.row_bp / 1e4))
    rows = rows_of(levels, total, row_width(levels, -(-width // level_e8) * level_e8))
    control = control_point(rows, reference_e8 * parameters.rival_bp / 1e4)
    area = value_area(rows.total_e8, control.row, parameters.value_area_share)
    level_e8 = row_width(levels, level_e8)
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
        "hvn": _shown(bins, high, f"P{profile.minutes}.hvn"),
        "lvn": _shown(bins, low, f"P{profile.minutes}.lvn"),
    }
    span = profile.minutes
    evidence = [_row_evidence(span, "poc", "poc", rows, control.row, bins, 1.0 if not ambiguous else _WEIGHT_OF_RIVAL)]
    if ambiguous and control.rival_row is not None:
        evidence.append(_row_evidence(span, "rival", "poc", rows, control.rival_row, bins, _WEIGHT_OF_RIVAL))
    evidence.append(_row_evidence(span, "val", "value_area", rows, area.low, bins, _WEIGHT_OF_EDGE))
    evidence.append(_row_evidence(span, "vah", "value_area", rows, area.high, bins, _WEIGHT_OF_EDGE))
    evidence += _node_evidence(span, bins, high, half_width)
    return result, evidence


def _row(rows: Rows, row: int) -> str:
    return format_e8(rows.price_e8(row))


def _shown(bins: Rows, found: Nodes, name: str) -> list[list[Any]]:
    """Id, price and prominence of the strongest, lowest price first; the ids are those of the evidence."""
    strongest = np.sort(np.argsort(-found.prominence, kind="stable")[:_SHOWN_NODES])
    return [
        [f"{name}{i}", format_e8(bins.price_e8(int(found.bins[i]))), float(found.prominence[i])]
        for i in strongest.tolist()
    ]


def _row_evidence(minutes: int, name: str, basis: Basis, rows: Rows, row: int, bins: Rows, strength: float) -> Evidence:
    """A row of the profile; its price is the one in it where most was traded."""
    low = rows.price_e8(row)
    first = max(0, (low - bins.low_e8) // bins.width_e8)
    inside = bins.total_e8[first : max(first + 1, (low + rows.width_e8 - bins.low_e8) // bins.width_e8)]
    heavy = max(low, bins.price_e8(first + int(np.argmax(inside)))) if len(inside) else low
    return Evidence(f"P{minutes}.{name}", basis, "acceptance", low, low + rows.width_e8, heavy, strength, minutes)


def _node_evidence(minutes: int, bins: Rows, found: Nodes, half_width: int) -> list[Evidence]:
    given = []
    for i in np.argsort(-found.prominence, kind="stable")[:_SHOWN_NODES].tolist():
        at = int(found.bins[i])
        low, high = bins.price_e8(at) - half_width * bins.width_e8 // 2, bins.price_e8(at + 1 + half_width // 2)
        strength = round(_WEIGHT_OF_NODE * float(found.prominence[i]), 4)
        name = f"P{minutes}.hvn{i}"
        given.append(Evidence(name, "hvn", "acceptance", low, high, bins.price_e8(at), strength, minutes))
    return given
