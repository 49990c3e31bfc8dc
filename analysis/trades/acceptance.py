"""
Acceptance: where trade went on, from volume profiles over several horizons (docs/measures.md §3).
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from analysis.evidence import Basis, Evidence
from analysis.grid import count_bins, profile_row_e8
from analysis.parameters import Parameters
from analysis.trades.volume_profile import (
    Nodes,
    Rows,
    build_rows,
    find_control_point,
    find_nodes,
    find_value_area,
    row_width,
)
from projections.trades.volume_profile import IncrementalProfile

_MAX_NODES = 5  # bounds the nodes of a horizon in the tool's result and in the evidence
# Strengths as evidence, where an unambiguous control point has 1.
_WEIGHT_OF_RIVAL = 0.7
_WEIGHT_OF_EDGE = 0.4
_WEIGHT_OF_NODE = 0.6


class Node(msgspec.Struct, frozen=True):
    """A price at which much, or little, was traded: an id, and the prominence in 0..1."""

    id: str
    price_e8: int
    prominence: float


class Profile(msgspec.Struct, frozen=True):
    """
    The volume profile of one horizon.

    Attributes:
        minutes: of the horizon. covered_min: number of them that the log contains.
        volume_e8, delta_e8: traded, and bought less sold, in the market's quantity units. trades: number of trades.
        row_e8: height of a row. poc_e8: lower edge of the row with most volume.
        rival: the best row elsewhere over that one. rival_poc_e8: its lower edge where the control point is ambiguous.
        value_area_e8: lower and upper edge. value_area_share: the share of volume within.
        hvn, lvn: the most prominent high- and low-volume nodes, lowest price first.
    """

    minutes: int
    covered_min: int
    volume_e8: int
    delta_e8: int
    trades: int
    row_e8: int
    poc_e8: int
    rival: float
    rival_poc_e8: int | None
    value_area_e8: tuple[int, int]
    value_area_share: float
    hvn: tuple[Node, ...]
    lvn: tuple[Node, ...]


def build_profiles(
    profiles: Sequence[IncrementalProfile], reference_e8: int | None, level_e8: int, parameters: Parameters
) -> tuple[Mapping[int, Profile | None] | None, list[Evidence]]:
    """
    Build the volume profiles over the horizons, shortest first, and the evidence in them.

    Args:
        profiles: one fold for each horizon, refreshed.
        reference_e8: the last price, 1e-8 quote; None before the first trade.
        level_e8: the width of their levels, 1e-8 quote.
        parameters: widths and thresholds of rows, rivals, value area and nodes.

    Returns:
        Profiles by minutes of the horizon, None for one that shows no more than the one before; None in place of all of
        them without a trade. And the evidence.
    """
    if reference_e8 is None:
        return None, []
    result: dict[int, Profile | None] = {}
    evidence: list[Evidence] = []
    previous_minutes = 0
    for profile in profiles:
        if profile.covered_minutes <= previous_minutes:
            result[profile.minutes] = None
            continue
        previous_minutes = profile.minutes
        result[profile.minutes], pieces = _build_profile(profile, reference_e8, level_e8, parameters)
        evidence += pieces
    return result, evidence


def _build_profile(
    profile: IncrementalProfile, reference_e8: int, level_e8: int, parameters: Parameters
) -> tuple[Profile, list[Evidence]]:
    levels, buy, sell, count = profile.levels()
    total = buy + sell
    rows = build_rows(levels, total, row_width(levels, profile_row_e8(reference_e8, parameters.row_bp, level_e8)))
    control = find_control_point(rows, reference_e8 * parameters.rival_bp / 1e4)
    area = find_value_area(rows.total_e8, control.row, parameters.value_area_share)
    level_e8 = row_width(levels, level_e8)
    bins = build_rows(levels, total, level_e8)
    half_width = count_bins(reference_e8, parameters.node_bp, level_e8, parameters.node_bins)
    high, low = find_nodes(bins.total_e8, half_width, parameters.node_prominence)
    ambiguous = control.rival > parameters.ambiguous_from
    span = profile.minutes
    result = Profile(
        minutes=span,
        covered_min=profile.covered_minutes,
        volume_e8=int(total.sum()),
        delta_e8=int(buy.sum() - sell.sum()),
        trades=int(count.sum()),
        row_e8=rows.width_e8,
        poc_e8=rows.price_e8(control.row),
        rival=control.rival,
        rival_poc_e8=rows.price_e8(control.rival_row) if ambiguous and control.rival_row is not None else None,
        value_area_e8=(rows.price_e8(area.low), rows.price_e8(area.high) + rows.width_e8),
        value_area_share=area.share,
        hvn=_strongest(bins, high, f"P{span}.hvn"),
        lvn=_strongest(bins, low, f"P{span}.lvn"),
    )
    evidence = [_row_evidence(span, "poc", "poc", rows, control.row, bins, 1.0 if not ambiguous else _WEIGHT_OF_RIVAL)]
    if ambiguous and control.rival_row is not None:
        evidence.append(_row_evidence(span, "rival", "poc", rows, control.rival_row, bins, _WEIGHT_OF_RIVAL))
    evidence.append(_row_evidence(span, "val", "value_area", rows, area.low, bins, _WEIGHT_OF_EDGE))
    evidence.append(_row_evidence(span, "vah", "value_area", rows, area.high, bins, _WEIGHT_OF_EDGE))
    evidence += _node_evidence(span, bins, high, half_width)
    return result, evidence


def _strongest(bins: Rows, nodes: Nodes, name: str) -> tuple[Node, ...]:
    """The most prominent, lowest price first; the ids are those of the evidence."""
    strongest = np.sort(np.argsort(-nodes.prominence, kind="stable")[:_MAX_NODES])
    columns = strongest.tolist(), nodes.bins[strongest].tolist(), nodes.prominence[strongest].tolist()
    return tuple(
        Node(f"{name}{i}", bins.price_e8(row), prominence) for i, row, prominence in zip(*columns, strict=True)
    )


def _row_evidence(minutes: int, name: str, basis: Basis, rows: Rows, row: int, bins: Rows, strength: float) -> Evidence:
    """A row of the profile; its price is the one in it where most was traded."""
    low = rows.price_e8(row)
    first = max(0, (low - bins.low_e8) // bins.width_e8)
    inside = bins.total_e8[first : max(first + 1, (low + rows.width_e8 - bins.low_e8) // bins.width_e8)]
    heavy = max(low, bins.price_e8(first + int(np.argmax(inside)))) if len(inside) else low
    return Evidence(f"P{minutes}.{name}", basis, "acceptance", low, low + rows.width_e8, heavy, strength, minutes)


def _node_evidence(minutes: int, bins: Rows, nodes: Nodes, half_width: int) -> list[Evidence]:
    evidence = []
    for i in np.argsort(-nodes.prominence, kind="stable")[:_MAX_NODES].tolist():
        index = int(nodes.bins[i])
        low, high = bins.price_e8(index) - half_width * bins.width_e8 // 2, bins.price_e8(index + 1 + half_width // 2)
        strength = round(_WEIGHT_OF_NODE * float(nodes.prominence[i]), 4)
        name = f"P{minutes}.hvn{i}"
        evidence.append(Evidence(name, "hvn", "acceptance", low, high, bins.price_e8(index), strength, minutes))
    return evidence
