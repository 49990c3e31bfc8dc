"""
The two tools a model may call: what they are called, what they take, and their results at a tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from analysis.view import MarketView

DEPTH = "depth_snapshot_analytsis"
FLOW = "orderflow_analysys"
TOOLS = (DEPTH, FLOW)
"""The names are the users' own and stay as spelled."""


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
    """The calls an assistant's message makes, in order; None where some of them cannot even be answered."""
    found = message.get("tool_calls")
    if not found:
        return []
    if not isinstance(found, Sequence) or isinstance(found, str):
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


def fault_of(call: Call, symbol: str, offered: Sequence[str]) -> str | None:
    """What is wrong with a call, None for a sound one."""
    if call.name not in offered:
        return f"there is no such tool here; call {' or '.join(offered) or 'none'}"
    try:
        arguments = msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return f'the arguments are not JSON; write {{"symbol": "{symbol}"}}'
    if arguments != {"symbol": symbol}:
        return f'the arguments do not fit the tool; write {{"symbol": "{symbol}"}}'
    return None


def result(name: str, view: MarketView) -> str:
    """What a tool answers at the view's tick: compact JSON."""
    return msgspec.json.encode(view.depth if name == DEPTH else view.order_flow).decode()


def candidates(view: MarketView) -> str:
    """What a decision may cite, strongest zone first: zones, and the pieces of evidence they stand on."""
    shown = msgspec.json.decode(view.render())
    cited = {name for zone in shown["resonance"] for name in zone["evidence"]}
    return msgspec.json.encode(
        {
            "reference": shown["reference"],
            "mid": shown["mid"],
            "tick_size": shown["tick_size"],
            "sigma": shown["sigma"],
            "candidates": shown["resonance"],
            "evidence": [e for e in shown["evidence"] if e["id"] in cited],
        }
    ).decode()
