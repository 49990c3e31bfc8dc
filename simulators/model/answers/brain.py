"""
What the simulated model answers: tool calls, a verdict that quotes their results, or a decision.
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
from simulators.model.situation import Language, Situation, find_objects, results_of, text_of

_SYMBOL = re.compile(r"\b[A-Z0-9]{2,12}(?:USDT|FDUSD|USDC|USD|BTC|ETH)\b")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_MAX_QUOTES = 3  # figures that a sentence of a verdict names
_MAX_FIGURES = 60  # figures of one result that it chooses from

_OPENING: Mapping[Language, str] = {"en": "What stands out", "zh": "要点"}
_NOTHING: Mapping[Language, str] = {"en": "Nothing to report.", "zh": "没有可报告的内容。"}
_THOUGHTS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "call": "The figures have to be looked up first: {detail}.",
        "verdict": "The tool has answered; the strongest figures are worth naming.",
        "decision": "Candidates are ranked by strength, {detail}, and kept to their side of the price.",
    },
    "zh": {
        "call": "先查询数据：{detail}。",
        "verdict": "工具已返回结果，指出最重要的数字。",
        "decision": "按强度排列候选区间（{detail}），并保持在价格的正确一侧。",
    },
}


def draft_reply(request: Request, situation: Situation, style: Style, generator: np.random.Generator) -> Draft:
    """
    The reply to an accepted request.

    Args:
        request: the request.
        situation: what it asks for, as `situation_of` reads it.
        style: how the zones of a decision are chosen.
        generator: chooses the figures that a verdict quotes.
    """
    if situation.step == "call":
        calls = tuple(ToolCall(name, _arguments(request, name)) for name in situation.to_call)
        return Draft("", _thought(situation, ", ".join(situation.to_call)), calls, "tool_calls")
    if situation.step == "decision":
        decision = decide(find_candidates(request), style, situation.language)
        inclination = f"{style.place}/{style.zones_per_side}"
        return Draft(json.dumps(decision, ensure_ascii=False, indent=1), _thought(situation, inclination))
    return Draft(_verdict(request, situation.language, generator), _thought(situation, ""))


def find_candidates(request: Request) -> dict[str, Any]:
    """The newest JSON object of a conversation that has a reference and candidates; without one, no candidates."""
    for message in reversed(request["messages"]):
        for material in reversed([*find_objects(text_of(message))]):
            if "reference" in material and isinstance(material.get("candidates"), list):
                return material
    return {"reference": None, "candidates": []}


def _thought(situation: Situation, detail: str) -> str | None:
    return _THOUGHTS[situation.language][situation.step].format(detail=detail) if situation.thinking else None


def _arguments(request: Request, name: str) -> str:
    function = next(tool["function"] for tool in request["tools"] if tool["function"]["name"] == name)
    properties = function.get("parameters", {}).get("properties", {})
    arguments = {key: _value(key, schema, request) for key, schema in properties.items() if isinstance(schema, dict)}
    return json.dumps(arguments, ensure_ascii=False)


def _value(key: str, schema: Mapping[str, Any], request: Request) -> Any:
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if key == "symbol":
        matches = [_SYMBOL.search(text_of(message)) for message in reversed(request["messages"])]
        return next((match.group() for match in matches if match), "BTCFDUSD")
    plain = {"integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}
    return plain.get(str(schema.get("type")), "")


def _verdict(request: Request, language: Language, generator: np.random.Generator) -> str:
    lines = []
    for name, text in results_of(request).items():
        figures = [figure for result in find_objects(text) for figure in _figures(result, "")][:_MAX_FIGURES]
        lines.append(_sentence(name, figures, language, generator))
    return "\n".join(line for line in lines if line) or _NOTHING[language]


def _sentence(name: str, figures: Sequence[tuple[str, str]], language: Language, generator: np.random.Generator) -> str:
    if not figures:
        return ""
    indices = sorted(generator.choice(len(figures), min(_MAX_QUOTES, len(figures)), replace=False).tolist())
    quotes = "; ".join(f"{path} = {value}" for path, value in (figures[i] for i in indices))
    return f"{_OPENING[language]} ({name}): {quotes}."


def _figures(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every number of a result with its path, numbers in text included."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _figures(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _figures(item, f"{path}[{i}]")
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        yield path, value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, json.dumps(value)
