"""
Confluence: price intervals where independent findings meet (docs/measures.md §6); `resonance` in JSON and prompts.

A zone rests on up to three legs: what the book shows (static), where trade was accepted (acceptance), and whether the
price held when it was tested (validation). Its score is the geometric mean of the legs it has; the ones it lacks are
named, and its strength is the score times the part of the legs that are there.
"""

from collections.abc import Mapping, Sequence

import msgspec

from analysis.evidence import LEGS, Evidence, Leg
from analysis.parameters import Parameters
from analysis.trades.level_tests import LevelRecord

_MAX_CLUSTERS_PER_SIDE = 8  # bounds the zones of a tick, and the searches for their tests
_PRIOR_TESTS = 2.0  # decided tests at even odds that every level starts with


class Cluster(msgspec.Struct, frozen=True):
    """
    Pieces of evidence around the strongest of them.

    Attributes:
        lead: the strongest piece. members: it and every piece that overlaps its heaviest price.
    """

    lead: Evidence
    members: tuple[Evidence, ...]


class Confluence(msgspec.Struct, frozen=True):
    """
    A zone with its legs.

    Attributes:
        low_e8, high_e8: the interval, both inclusive. price_e8: its heaviest price.
        legs: each present leg's value, 0 to 1. missing: the other legs.
        score: geometric mean of the legs. strength: score times the part of legs present.
        evidence: the pieces that it rests on, by id.
    """

    id: str
    low_e8: int
    high_e8: int
    price_e8: int
    legs: Mapping[Leg, float]
    missing: tuple[Leg, ...]
    score: float
    strength: float
    evidence: tuple[Evidence, ...]

    @property
    def triple(self) -> bool:
        """Whether all three legs meet here."""
        return not self.missing


def cluster_evidence(evidence: Sequence[Evidence], reference_e8: int, reach_e8: int) -> list[Cluster]:
    """
    Cluster evidence around its strongest pieces, on each side of the price and within reach of it.

    A piece joins the first cluster whose heaviest price it contains; nothing crosses the reference.

    Args:
        evidence: all pieces of a tick.
        reference_e8: the price that zones lie around.
        reach_e8: farthest distance of a piece's heaviest price from it.

    Returns:
        Clusters below the price, then above it, strongest first; at most eight a side.
    """
    clusters = []
    for below in (True, False):
        remaining = sorted(
            (e for e in evidence if (e.price_e8 < reference_e8) == below and e.price_e8 != reference_e8
             and abs(e.price_e8 - reference_e8) <= reach_e8),
            key=lambda e: (-e.strength, e.leg != "static", abs(e.price_e8 - reference_e8), e.price_e8, e.id),
        )  # fmt: skip
        count = 0
        while remaining and count < _MAX_CLUSTERS_PER_SIDE:
            lead = remaining[0]
            members = [e for e in remaining if e is lead or e.low_e8 <= lead.price_e8 <= e.high_e8]
            clusters.append(Cluster(lead, tuple(members)))
            remaining = [e for e in remaining if not any(e is m for m in members)]
            count += 1
    return clusters


def validation_strength(record: LevelRecord) -> float | None:
    """
    The share of decided tests in which the level held, the most recent ones first, pulled towards even odds.

    Returns:
        0 to 1, to 4 decimals; None where no test was decided.
    """
    if record.recent_rate is None:
        return None
    rejections = record.recent_rate * record.recent_weight
    return round((rejections + _PRIOR_TESTS / 2) / (record.recent_weight + _PRIOR_TESTS), 4)


def build_confluences(
    clusters: Sequence[Cluster],
    validations: Sequence[Evidence | None],
    horizons: int,
    reference_e8: int,
    parameters: Parameters,
) -> list[Confluence]:
    """
    Build zones with their scores from clusters, strongest first.

    Args:
        clusters: see `cluster_evidence`.
        validations: for each cluster its tests as evidence, None where there were none.
        horizons: number of horizons of the volume profile that show something of their own.
        reference_e8: no zone crosses it.
        parameters: `zone_half_width_bp` bounds a zone's width.
    """
    zones = []
    for cluster, validation in zip(clusters, validations, strict=True):
        members = cluster.members if validation is None else (*cluster.members, validation)
        legs = _legs(members, horizons)
        score = 1.0
        for value in legs.values():
            score *= value
        score = round(score ** (1 / len(legs)), 6)
        strength = round(score * len(legs) / len(LEGS), 6)
        below = cluster.lead.price_e8 < reference_e8
        half = int(cluster.lead.price_e8 * parameters.zone_half_width_bp / 1e4)
        zones.append(
            Confluence(
                id="",
                low_e8=max(cluster.lead.low_e8, cluster.lead.price_e8 - half, 0 if below else reference_e8 + 1),
                high_e8=min(cluster.lead.high_e8, cluster.lead.price_e8 + half, reference_e8 - 1 if below else 2**62),
                price_e8=cluster.lead.price_e8,
                legs=legs,
                missing=tuple(leg for leg in LEGS if leg not in legs),
                score=score,
                strength=strength,
                evidence=tuple(sorted(members, key=lambda e: e.id)),
            )
        )
    zones.sort(key=lambda z: (-z.strength, z.price_e8))
    return [_with_id(zone, f"Z{n}") for n, zone in enumerate(zones)]


def _legs(members: Sequence[Evidence], horizons: int) -> dict[Leg, float]:
    legs: dict[Leg, float] = {}
    static = [e.strength for e in members if e.leg == "static"]
    if static:
        miss = 1.0
        for strength in static:
            miss *= 1 - strength
        legs["static"] = round(1 - miss, 4)
    by_horizon: dict[int, float] = {}
    for piece in members:
        if piece.leg == "acceptance":
            by_horizon[piece.horizon_min] = max(piece.strength, by_horizon.get(piece.horizon_min, 0.0))
    if by_horizon:
        legs["acceptance"] = round(min(1.0, sum(by_horizon.values()) / max(1, horizons)), 4)
    validation = [e.strength for e in members if e.leg == "validation"]
    if validation:
        legs["validation"] = max(validation)
    return legs


def _with_id(zone: Confluence, name: str) -> Confluence:
    return Confluence(name, zone.low_e8, zone.high_e8, zone.price_e8, zone.legs, zone.missing, zone.score,
                     zone.strength, zone.evidence)  # fmt: skip
