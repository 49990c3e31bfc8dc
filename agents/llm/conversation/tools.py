"""
The two tools a model may call: what they are called, what they take, and their results at a tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from agents.llm.firewall.candidates import Candidate, find_candidates
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


def define_tool(name: str, description: str, symbol: str, strict: bool) -> dict[str, Any]:
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


def tool_choice(name: str) -> dict[str, Any]:
    """A tool choice that leaves none."""
    return {"type": "function", "function": {"name": name}}


def parse_calls(message: Mapping[str, Any]) -> list[Call] | None:
    """The calls an assistant's message makes, in order; None where they cannot even be answered."""
    entries = message.get("tool_calls")
    if not entries:
        return []
    if not isinstance(entries, list) or len(entries) > _MAX_CALLS:
        return None
    calls = []
    for entry in entries:
        function = entry.get("function") if isinstance(entry, dict) else None
        if not isinstance(function, dict):
            return None
        name, arguments, call_id = function.get("name"), function.get("arguments"), entry.get("id")
        if not (isinstance(call_id, str) and call_id and isinstance(name, str) and isinstance(arguments, str)):
            return None
        calls.append(Call(call_id, name, arguments))
    return calls if len({c.id for c in calls}) == len(calls) else None


def call_fault(call: Call, symbol: str, tools: Sequence[str], allow_no_arguments: bool = False) -> str | None:
    """
    What is wrong with a call, None for a sound one.

    Args:
        may_be_bare: whether no argument at all will do: the only one there is has one value.
    """
    if call.name not in tools:
        return f"there is no such tool here; call {' or '.join(tools) or 'none'}"
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return f'the arguments are not JSON; write {{"symbol": "{symbol}"}}'
    if arguments != {"symbol": symbol} and not (allow_no_arguments and arguments == {}):
        return f'the arguments do not fit the tool; write {{"symbol": "{symbol}"}}'
    return None


def has_no_arguments(call: Call) -> bool:
    """Whether a call gives no argument."""
    return "".join(call.arguments.split()) == "{}"


def tool_result(name: str, view: MarketView) -> str:
    """What a tool answers at the view's tick: compact JSON."""
    return msgspec.json.encode(view.depth if name == DEPTH else view.order_flow).decode()


def candidates_json(view: MarketView) -> str:
    """
    What a decision may choose from, strongest first: zones as far as orders may rest in them, and the evidence there.
    """
    zones, out_of_reach = find_candidates(view)
    evidence = {e.id: e for candidate in zones for e in candidate.zone.evidence}
    return msgspec.json.encode(
        {
            "reference": price(view.reference_e8),
            "mid": price(view.mid_e8),
            "tick_size": price(view.tick_size_e8),
            "sigma": view.sigma,
            "candidates": [_candidate_to_json(candidate) for candidate in zones],
            "zones_out_of_reach": out_of_reach,
            "evidence": [rendered(evidence[name]) for name in sorted(evidence)],
        }
    ).decode()


def _candidate_to_json(candidate: Candidate) -> dict[str, Any]:
    zone = candidate.zone
    return {
        "id": zone.id,
        "side": candidate.side,
        "low": format_e8(candidate.low_e8),
        "high": format_e8(candidate.high_e8),
        "price": format_e8(zone.price_e8),
        "legs": dict(zone.legs),
        "missing": list(zone.missing),
        "score": zone.score,
        "strength": zone.strength,
        "evidence": [e.id for e in zone.evidence],
    }
