"""
What the simulated model answers: tools where they are due, a verdict that quotes their results, a decision.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from agents.llm.wire.api import Request
from simulators.model.answers.decisions import decide
from simulators.model.answers.drafts import Draft, ToolCall
from simulators.model.answers.styles import Style
from simulators.model.situation import Language, Situation, objects_in, results_of, text_of

_SYMBOL = re.compile(r"\b[A-Z0-9]{2,12}(?:USDT|FDUSD|USDC|USD|BTC|ETH)\b")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_QUOTED = 3
_MAX_FIGURES = 60

_OPENING: Mapping[Language, str] = {"en": "What stands out", "zh": "要点"}
_NOTHING: Mapping[Language, str] = {"en": "Nothing to report.", "zh": "没有可报告的内容。"}
_THOUGHTS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "call": "The figures have to be looked up first: {what}.",
        "verdict": "The tool has answered; the strongest figures are worth naming.",
        "decision": "Candidates are ranked by strength, {what}, and kept to their side of the price.",
    },
    "zh": {
        "call": "先查询数据：{what}。",
        "verdict": "工具已返回结果，指出最重要的数字。",
        "decision": "按强度排列候选区间（{what}），并保持在价格的正确一侧。",
    },
}


def answer(request: Request, situation: Situation, style: Style, generator: np.random.Generator) -> Draft:
    """
    The reply to an accepted request.

    Args:
        situation: what the request asks for. style: what a decision is inclined to.
        generator: chooses the figures a verdict quotes.
    """
    if situation.step == "call":
        calls = tuple(ToolCall(name, _arguments(request, name)) for name in situation.to_call)
        return Draft("", _thought(situation, ", ".join(situation.to_call)), calls, "tool_calls")
    if situation.step == "decision":
        decision = decide(shown_in(request), style, situation.language)
        inclined = f"{style.place}/{style.zones_a_side}"
        return Draft(json.dumps(decision, ensure_ascii=False, indent=1), _thought(situation, inclined))
    return Draft(_verdict(request, situation.language, generator), _thought(situation, ""))


def shown_in(request: Request) -> dict[str, Any]:
    """The newest JSON object of the conversation that holds a reference and candidates; without one, no candidates."""
    for message in reversed(request["messages"]):
        for found in reversed([*objects_in(text_of(message))]):
            if "reference" in found and isinstance(found.get("candidates"), list):
                return found
    return {"reference": None, "candidates": []}


def _thought(situation: Situation, what: str) -> str | None:
    return _THOUGHTS[situation.language][situation.step].format(what=what) if situation.thinking else None


def _arguments(request: Request, name: str) -> str:
    function = next(tool["function"] for tool in request["tools"] if tool["function"]["name"] == name)
    properties = function.get("parameters", {}).get("properties", {})
    found = {key: _value(key, schema, request) for key, schema in properties.items() if isinstance(schema, dict)}
    return json.dumps(found, ensure_ascii=False)


def _value(key: str, schema: Mapping[str, Any], request: Request) -> Any:
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if key == "symbol":
        named = [_SYMBOL.search(text_of(message)) for message in reversed(request["messages"])]
        return next((match.group() for match in named if match), "BTCFDUSD")
    plain = {"integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}
    return plain.get(str(schema.get("type")), "")


def _verdict(request: Request, language: Language, generator: np.random.Generator) -> str:
    lines = []
    for name, text in results_of(request).items():
        figures = [figure for found in objects_in(text) for figure in _figures(found, "")][:_MAX_FIGURES]
        lines.append(_sentence(name, figures, language, generator))
    return "\n".join(line for line in lines if line) or _NOTHING[language]


def _sentence(name: str, figures: Sequence[tuple[str, str]], language: Language, generator: np.random.Generator) -> str:
    if not figures:
        return ""
    picked = sorted(generator.choice(len(figures), min(_QUOTED, len(figures)), replace=False).tolist())
    quoted = "; ".join(f"{path} = {value}" for path, value in (figures[at] for at in picked))
    return f"{_OPENING[language]} ({name}): {quoted}."


def _figures(found: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every number of a result with where it stands, numbers in text included."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _figures(value, f"{path}.{key}" if path else str(key))
    elif isinstance(found, list):
        for at, value in enumerate(found):
            yield from _figures(value, f"{path}[{at}]")
    elif isinstance(found, str) and _NUMBER.fullmatch(found):
        yield path, found
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield path, json.dumps(found)
