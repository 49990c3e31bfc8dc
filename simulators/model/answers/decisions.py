"""
The decision of the simulated model: the strongest candidates on each side of the reference, as the contract words it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from market.errors import BadNumber
from market.fixed_point import format_e8, parse_e8
from simulators.model.answers.styles import Style
from simulators.model.situation import Language

Side = Literal["buy", "sell"]

_SIDES: tuple[Side, Side] = ("buy", "sell")
_PARTS = 10_000  # weights are whole ten-thousandths
_MAX_CITED = 3  # pieces of evidence that a zone cites besides its candidate
_WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "front": "near half of {id} around {price}, strength {strength}",
        "back": "far half of {id} around {price}, strength {strength}",
        "whole": "all of {id} around {price}, strength {strength}",
        "none": "no candidate zone to rest orders in",
        "some": "resting where evidence meets: {ids}",
    },
    "zh": {
        "front": "{id} 靠近市价的一半，重心 {price}，强度 {strength}",
        "back": "{id} 远离市价的一半，重心 {price}，强度 {strength}",
        "whole": "{id} 整个区间，重心 {price}，强度 {strength}",
        "none": "没有可挂单的候选区间",
        "some": "在证据汇合处挂单：{ids}",
    },
}


@dataclass(frozen=True, slots=True)
class _Candidate:
    id: str
    side: Side
    low_e8: int
    high_e8: int
    price: str
    strength: float


def decide(material: Mapping[str, Any], style: Style, language: Language) -> dict[str, Any]:
    """
    The decision over the strongest candidates.

    Args:
        material: the JSON that the decision agent reads: `reference` and `candidates`, and `mid`, `tick_size` and
            `evidence` where it has them.
        style: which part of a candidate a zone takes, and the number of zones.
        language: of the reasons.

    Returns:
        The decision's JSON. Prices lie on the grid, inside the candidate they cite and on their side of reference and
        mid; weights are whole ten-thousandths and sum to one.
    """
    words, reference = _WORDS[language], material.get("reference")
    reference_e8 = _price(reference)
    candidates = [] if reference_e8 is None else _candidates(material, reference_e8)
    selection = [c for side in _SIDES for c in _best(candidates, side, style.zones_per_side)]
    if not selection:
        return {"reference": reference, "stance": "stand_aside", "reason": words["none"], "zones": []}
    zones = [
        _zone(candidate, weight, style, material, words)
        for candidate, weight in zip(selection, _weights([c.strength for c in selection]), strict=True)
    ]
    sides = {c.side for c in selection}
    stance = "two_sided" if len(sides) == 2 else "bid_only" if "buy" in sides else "ask_only"
    reason = words["some"].format(ids=", ".join(f"{c.id} {c.price}" for c in selection))
    return {"reference": reference, "stance": stance, "reason": reason, "zones": zones}


def _candidates(material: Mapping[str, Any], reference: int) -> list[_Candidate]:
    tick, candidates = _tick(material), []
    mid = _price(material.get("mid")) or reference
    below, above = min(reference, mid), max(reference, mid)
    for zone in material["candidates"]:
        if not isinstance(zone, dict) or not isinstance(zone.get("id"), str):
            continue
        low, high = _price(zone.get("low")), _price(zone.get("high"))
        heavy = _price(zone.get("price"))
        if low is None or high is None or heavy is None or heavy == reference:
            continue
        side: Side = "buy" if heavy < reference else "sell"
        low, high = -(-low // tick) * tick, high // tick * tick
        if side == "buy":
            high = min(high, (below - 1) // tick * tick)
        else:
            low = max(low, above // tick * tick + tick)
        if low <= high:
            candidates.append(
                _Candidate(zone["id"], side, low, high, str(zone["price"]), _number(zone.get("strength")))
            )
    return candidates


def _best(candidates: Sequence[_Candidate], side: Side, limit: int) -> list[_Candidate]:
    """The strongest candidates of a side that do not overlap; they may share an edge."""
    selection: list[_Candidate] = []
    for candidate in sorted((c for c in candidates if c.side == side), key=lambda c: -c.strength):
        if len(selection) < limit and not any(_overlap(candidate, other) for other in selection):
            selection.append(candidate)
    return selection


def _overlap(one: _Candidate, other: _Candidate) -> bool:
    same = (one.low_e8, one.high_e8) == (other.low_e8, other.high_e8)
    return same or (one.low_e8 < other.high_e8 and other.low_e8 < one.high_e8)


def _zone(
    candidate: _Candidate, weight: float, style: Style, material: Mapping[str, Any], words: Mapping[str, str]
) -> dict[str, Any]:
    low, high = _part(candidate, style, _tick(material))
    return {
        "side": candidate.side,
        "low": format_e8(low),
        "high": format_e8(high),
        "weight": weight,
        "evidence": [candidate.id, *_find_evidence(material, candidate.side, low, high)],
        "reason": words[style.place].format(id=candidate.id, price=candidate.price, strength=candidate.strength),
    }


def _part(candidate: _Candidate, style: Style, tick: int) -> tuple[int, int]:
    low, high = candidate.low_e8, candidate.high_e8
    middle = low + (high - low) // 2 // tick * tick
    if style.place == "whole":
        return low, high
    upper = (style.place == "front") == (candidate.side == "buy")
    return (middle, high) if upper else (low, middle)


def _find_evidence(material: Mapping[str, Any], side: Side, low: int, high: int) -> list[str]:
    """Ids of the pieces of evidence that cover the interval and whose own price is on its side."""
    reference = _price(material.get("reference")) or 0
    pieces, ids = material.get("evidence"), []
    for piece in pieces if isinstance(pieces, list) else ():
        if not isinstance(piece, dict) or not isinstance(piece.get("id"), str):
            continue
        bottom, top = _price(piece.get("low")), _price(piece.get("high"))
        heavy = _price(piece.get("price"))
        same = heavy is None or (heavy < reference if side == "buy" else heavy > reference)
        if same and bottom is not None and top is not None and bottom <= low and high <= top:
            ids.append(piece["id"])
    return ids[:_MAX_CITED]


def _weights(strengths: Sequence[float]) -> list[float]:
    positive = [max(strength, 1e-6) for strength in strengths]
    parts = [max(1, int(_PARTS * strength / sum(positive))) for strength in positive]
    parts[parts.index(max(parts))] += _PARTS - sum(parts)
    return [part / _PARTS for part in parts]


def _tick(material: Mapping[str, Any]) -> int:
    # A request without a tick size gets cents: any other grid would be a guess from the texts.
    return _price(material.get("tick_size")) or 1_000_000


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return min(max(float(value), 0.0), 1.0)


def _price(value: Any) -> int | None:
    """A price from text or a number, 1e-8; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return parse_e8(str(value))
    except BadNumber:
        return None
