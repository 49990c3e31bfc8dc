"""
The faults of the stage `decision`: each changes a valid decision.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from simulators.model.answers.drafts import Draft
from simulators.model.script import TriggeredFault

Decision = dict[str, Any]

_ENDS = ("low", "high")

_EXPENSIVE = 1_000.0  # from this price on cents are precise enough
_DEFAULT_ZONE: Decision = {
    "side": "buy", "low": "100", "high": "101", "weight": 1.0, "evidence": ["Z0"], "reason": "Z0",
}  # fmt: skip


def corrupt_decision(draft: Draft, faults: Sequence[TriggeredFault]) -> Draft:
    """Apply the faults of the stage `decision`, one after the other, to the decision in a draft's content."""
    changes = [_FAULTS[fault.name] for fault in faults if fault.definition.stage == "decision"]
    if not changes:
        return draft
    decision: Decision = json.loads(draft.content)
    for change in changes:
        decision = change(decision)
    return replace(draft, content=json.dumps(decision, ensure_ascii=False, indent=1))


def _on_first_zone(change: Callable[[Decision], Decision]) -> Callable[[Decision], Decision]:
    """A change of the first zone; a decision without zones gets one first, so that the fault is visible."""

    def apply(decision: Decision) -> Decision:
        first, *others = decision.get("zones") or [_DEFAULT_ZONE]
        stance = "bid_only" if decision.get("stance") == "stand_aside" else decision.get("stance")
        base = {**decision, "stance": stance} if "stance" in decision else decision
        return {**base, "zones": [{**first, **change(first)}, *others]}

    return apply


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 100.0


def _raise_price(value: float) -> float:
    return value + min(1.0, value / 100)


def _price(value: float) -> str:
    """A price as text: with cents, or with eight decimals where it is low."""
    return f"{value:.2f}" if value >= _EXPENSIVE else f"{value:.8f}"


def _other_stance(decision: Decision) -> Decision:
    return {**decision, "stance": "ask_only" if decision.get("stance") == "bid_only" else "bid_only"}


def _extra_fields(decision: Decision) -> Decision:
    zones = [{**zone, "leverage": 20} for zone in decision.get("zones", [])]
    return {**decision, "zones": zones, "confidence": 0.99}


def _stale_reference(decision: Decision) -> Decision:
    return {**decision, "reference": _price(_number(decision.get("reference")) * 1.01)}


# What each fault does to a decision.
_FAULTS: Mapping[str, Callable[[Decision], Decision]] = {
    "off_grid_price": _on_first_zone(lambda zone: {"low": f"{zone['low']}{'' if '.' in zone['low'] else '.00'}005"}),
    "invented_level": _on_first_zone(
        lambda zone: {end: _price(_number(zone[end]) * (0.9 if zone["side"] == "buy" else 1.1)) for end in _ENDS}
    ),
    "wrong_side": _on_first_zone(lambda zone: {"side": "sell" if zone["side"] == "buy" else "buy"}),
    "weights_off": _on_first_zone(lambda zone: {"weight": round(zone["weight"] + 0.5, 4)}),
    "negative_weight": _on_first_zone(lambda zone: {"weight": -zone["weight"]}),
    "text_weight": _on_first_zone(lambda zone: {"weight": "most"}),
    "nan_price": _on_first_zone(lambda zone: {"low": float("nan")}),
    "negative_price": _on_first_zone(lambda zone: {"low": f"-{zone['low']}"}),
    "inverted_zone": _on_first_zone(lambda zone: {"low": _price(_raise_price(_number(zone["high"])))}),
    "stale_reference": _stale_reference,
    "extra_fields": _extra_fields,
    "missing_field": lambda decision: {key: value for key, value in decision.items() if key != "stance"},
    "unknown_evidence": _on_first_zone(lambda zone: {"evidence": ["Z99", "Wb77"]}),
    "no_evidence": _on_first_zone(lambda zone: {"evidence": []}),
    "other_stance": _other_stance,
    "empty_decision": lambda decision: {},
}
