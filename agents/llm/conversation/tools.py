"""
The two tools a model may call: what they are called, what they take, and their results at a tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from agents.llm.firewall.candidates import Candidate, offers
from analysis.evidence import price, rendered
from analysis.view import MarketView
from market.fixed_point import format_e8

DEPTH = "depth_snapshot_analytsis"
FLOW = "orderflow_analysys"
TOOLS = (DEPTH, FLOW)
"""The names are the users' own and stay as spelled."""

_MAX_CALLS = 8


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool as a model made it: the id to answer under, the name and the unread arguments."""

    id: str
    name: str
    arguments: str


def definition(name: str, description: str, symbol: str, strict: bool) -> dict[str, Any]:
    """A tool as a request states it; the same bytes every minute of a market."""
    function: dict[str, Any] = {
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": {"symbol": {"type": "string", "enum": [symbol]}},
            "required": ["symbol"],
            "additionalProperties": False,
        },
    }
    return {"type": "function", "function": function | ({"strict": True} if strict else {})}


def forced(name: str) -> dict[str, Any]:
    """A tool choice that leaves none."""
    return {"type": "function", "function": {"name": name}}


def calls_in(message: Mapping[str, Any]) -> list[Call] | None:
    """The calls an assistant's message makes, in order; None where they cannot even be answered."""
    found = message.get("tool_calls")
    if not found:
        return []
    if not isinstance(found, list) or len(found) > _MAX_CALLS:
        return None
    calls = []
    for each in found:
        function = each.get("function") if isinstance(each, dict) else None
        if not isinstance(function, dict):
            return None
        name, arguments, known = function.get("name"), function.get("arguments"), each.get("id")
        if not (isinstance(known, str) and known and isinstance(name, str) and isinstance(arguments, str)):
            return None
        calls.append(Call(known, name, arguments))
    return calls if len({c.id for c in calls}) == len(calls) else None


def fault_of(call: Call, symbol: str, offered: Sequence[str], may_be_bare: bool = False) -> str | None:
    """
    What is wrong with a call, None for a sound one.

    Args:
        may_be_bare: whether no argument at all will do: the only one there is has one value.
    """
    if call.name not in offered:
        return f"there is no such tool here; call {' or '.join(offered) or 'none'}"
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return f'the arguments are not JSON; write {{"symbol": "{symbol}"}}'
    if arguments != {"symbol": symbol} and not (may_be_bare and arguments == {}):
        return f'the arguments do not fit the tool; write {{"symbol": "{symbol}"}}'
    return None


def says_nothing(call: Call) -> bool:
    """Whether a call gives no argument."""
    return "".join(call.arguments.split()) == "{}"


def result(name: str, view: MarketView) -> str:
    """What a tool answers at the view's tick: compact JSON."""
    return msgspec.json.encode(view.depth if name == DEPTH else view.order_flow).decode()


def candidates(view: MarketView) -> str:
    """
    What a decision may choose from, strongest first: zones as far as orders may rest in them, and the evidence there.
    """
    found, left_out = offers(view)
    evidence = {e.id: e for offer in found for e in offer.zone.evidence}
    return msgspec.json.encode(
        {
            "reference": price(view.reference_e8),
            "mid": price(view.mid_e8),
            "tick_size": price(view.tick_size_e8),
            "sigma": view.sigma,
            "candidates": [_candidate(offer) for offer in found],
            "zones_out_of_reach": left_out,
            "evidence": [rendered(evidence[name]) for name in sorted(evidence)],
        }
    ).decode()


def _candidate(offer: Candidate) -> dict[str, Any]:
    zone = offer.zone
    return {
        "id": zone.id,
        "side": offer.side,
        "low": format_e8(offer.low_e8),
        "high": format_e8(offer.high_e8),
        "price": format_e8(zone.price_e8),
        "legs": dict(zone.legs),
        "missing": list(zone.missing),
        "score": zone.score,
        "strength": zone.strength,
        "evidence": [e.id for e in zone.evidence],
    }
