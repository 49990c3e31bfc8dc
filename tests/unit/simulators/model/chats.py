"""Requests as tests send them to the simulated model."""

import json
from typing import Any

from agents.llm.conversation.tools import DEPTH, FLOW, define_tool, tool_choice
from simulators.model.model import IncomingRequest, SimulatedModel
from simulators.model.script import parse

Body = dict[str, Any]

PLAIN: Body = {"thinking": {"type": "disabled"}}
MATERIAL: Body = {
    "reference": "83412.50",
    "tick_size": "0.01",
    "candidates": [
        {"id": "Z0", "low": "83000", "high": "83010", "price": "83005", "strength": 0.6, "evidence": ["Wb0"]},
        {"id": "Z1", "low": "83800.001", "high": "83820", "price": "83801", "strength": 0.3, "evidence": ["Ws0"]},
        {"id": "Z2", "low": "82000", "high": "82000", "price": "82000", "strength": 0.1, "evidence": ["T1"]},
        {"id": "Z3", "low": "81000", "high": "81010", "price": "81002", "strength": 0.05, "evidence": ["T2"]},
    ],
    "evidence": [{"id": "Wb0", "low": "82990", "high": "83010", "price": "83005", "strength": 0.6}],
}
DEPTH_RESULT = '{"id":"D","mid":"83412.505","buy":{"walls":[{"id":"Wb0","share":0.041}]}}'


def chat(*messages: Body, **more: Any) -> Body:
    """A request; thinking is off by default."""
    return {"model": "deepseek-flash", "messages": list(messages), **PLAIN, **more}


def user(text: str) -> Body:
    """A message of the user."""
    return {"role": "user", "content": text}


def system(text: str) -> Body:
    """A message of the system."""
    return {"role": "system", "content": text}


def tool(name: str = DEPTH, strict: bool = False) -> Body:
    """A tool as a request states it."""
    return define_tool(name, "what it does", "BTCFDUSD", strict)


def asks_depth(**more: Any) -> Body:
    """The static agent's first request."""
    return chat(
        system("You read books."), user("Look."), **{"tools": [tool()], "tool_choice": tool_choice(DEPTH), **more}
    )


def asks_both(**more: Any) -> Body:
    """The compact conversation's first request."""
    return chat(user("Look."), **{"tools": [tool(), tool(FLOW)], "tool_choice": "required", **more})


def call_turn(*ids: str, name: str = DEPTH, **more: Any) -> Body:
    """An assistant's turn that calls a tool under each id."""
    function = {"name": name, "arguments": '{"symbol":"BTCFDUSD"}'}
    calls = [{"id": call_id, "type": "function", "function": function} for call_id in ids]
    return {"role": "assistant", "content": "", "tool_calls": calls, **more}


def answer_turn(call_id: str, text: str = DEPTH_RESULT) -> Body:
    """A tool's answer."""
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def asks_verdict(prompt: str = "You read books.", **more: Any) -> Body:
    """The static agent's second request."""
    messages = (system(prompt), user("Look."), call_turn("c0"), answer_turn("c0"), user("Your verdict."))
    return chat(*messages, **{"tools": [tool()], "tool_choice": "none", **more})


def asks_decision(material: Body | None = None, **more: Any) -> Body:
    """The decision agent's request."""
    text = f"Decide, as JSON.\n{json.dumps(MATERIAL if material is None else material)}\nThat is all."
    return chat(system("You decide."), user(text), **{"response_format": {"type": "json_object"}, **more})


def sent_to(model: SimulatedModel, body: Any, path: str = "/chat/completions", key: str = "k") -> tuple[int, Body]:
    """The status and the JSON of a model's answer to a request."""
    answer, _ = model.answer(IncomingRequest(path, f"Bearer {key}", None, 10**18, json.dumps(body).encode()))
    return answer.status, json.loads(answer.body)


def message_of(reply: Body) -> Body:
    """The message of a reply."""
    message: Body = reply["choices"][0]["message"]
    return message


def a_model(*rules: Body, seed: int = 1, half_life: float = 0.0) -> SimulatedModel:
    """A model with a script."""
    return SimulatedModel(seed, half_life, parse(json.dumps(rules)))
