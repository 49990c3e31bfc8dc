"""
The two tools that a model may call: their names, arguments, and results at a tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from agents.llm.firewall.candidates import Candidate, find_candidates
from analysis.evidence import format_price
from analysis.render.evidence_json import render_evidence
from analysis.view import MarketView
from market.fixed_point import format_e8

DEPTH = "depth_snapshot_analytsis"
FLOW = "orderflow_analysys"
TOOLS = (DEPTH, FLOW)
"""The names, spelled as in the user's documents."""

_MAX_CALLS = 8  # of one message; one with more is not answered


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of a model: the id to answer under, the tool's name and its arguments as JSON text."""

    id: str
    name: str
    arguments: str


def define_tool(name: str, description: str, symbol: str, strict: bool) -> dict[str, Any]:
    """
    Define a tool for a request; the same bytes at every tick of a market, so that providers can cache them.

    Args:
        name: the tool's name.
        description: the prompt text that explains it.
        symbol: the market's symbol, the only value of its argument.
        strict: whether the server shall enforce the schema.
    """
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
    """The tool choice that forces a call of one tool."""
    return {"type": "function", "function": {"name": name}}


def parse_calls(message: Mapping[str, Any]) -> list[Call] | None:
    """Parse the tool calls of an assistant's message, in order; None where they cannot be answered."""
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
    The fault of a tool call, one line for the model; None for a sound call.

    Args:
        call: what the model called.
        symbol: the only value of the tools' argument.
        tools: the names of the tools that may be called.
        allow_no_arguments: whether `{}` is accepted too: the only argument has only one value.
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
    """Whether a call has no arguments."""
    return "".join(call.arguments.split()) == "{}"


def tool_result(name: str, view: MarketView) -> str:
    """A tool's result at the view's tick, as compact JSON."""
    return msgspec.json.encode(view.depth if name == DEPTH else view.order_flow).decode()


def candidates_json(view: MarketView) -> str:
    """
    The candidates of a decision as JSON, strongest first: zones as far as orders may rest in them, and their evidence.
    """
    zones, out_of_reach = find_candidates(view)
    evidence = {e.id: e for candidate in zones for e in candidate.zone.evidence}
    return msgspec.json.encode(
        {
            "reference": format_price(view.reference_e8),
            "mid": format_price(view.mid_e8),
            "tick_size": format_price(view.tick_size_e8),
            "sigma": view.sigma,
            "candidates": [_candidate_to_json(candidate) for candidate in zones],
            "zones_out_of_reach": out_of_reach,
            "evidence": [render_evidence(evidence[name]) for name in sorted(evidence)],
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
