"""
Parses a model's text to a decision in exact numbers, or to the faults of its form. Its content is still untrusted.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from agents.llm.wire.shapes import CODE_FENCE, Note, extract_answer, strip_mark
from agents.recommendation import Side, Stance
from market.errors import BadNumber
from market.fixed_point import DECIMALS, parse_e8

MAX_BYTES = 64 * 1024  # of an answer: far above the largest valid one, and what is parsed at all
WEIGHT_DECIMALS = 18  # weights are compared as whole numbers: more decimals are refused
ONE_WEIGHT = 10**WEIGHT_DECIMALS  # a weight of 1

_MAX_DEPTH = 8  # of nested objects and lists: a decision needs 4
_MAX_QUOTE = 16  # characters of a figure or id in a reason
_SAFE = re.compile(r"[A-Za-z0-9._+-]+")
_FIELDS = ("reference", "stance", "reason", "zones")
_ZONE_FIELDS = ("side", "low", "high", "weight", "evidence", "reason")
_OPENING = re.compile(r"(?:`{3,}|~{3,})[ \t]*[\w.+#-]{0,20}(?=[\s{])")
_CLOSING = re.compile(r"(?<![`~])(?:`{3,}|~{3,})\Z")
_ONLY = "give only the JSON object"


@dataclass(frozen=True, slots=True)
class Proposal:
    """
    A zone as a model proposes it.

    Attributes:
        weight: counts of 1e-18, its range not checked yet.
    """

    side: Side
    low_e8: int
    high_e8: int
    weight: int
    evidence: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A model's decision with a valid form, its content not checked yet."""

    reference_e8: int
    stance: Stance
    reason: str
    zones: tuple[Proposal, ...]


class Malformed(ValueError):
    """A text that is not a decision; `reasons` are its faults, a line each, quoting at most a figure or an id."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class _Figure(str):
    """A JSON number as it was written: numbers do not pass through a float."""


def read(content: str, max_zones: int) -> Decision:
    """
    Parse a decision from the text of an answer: one JSON object, at most in one code fence.

    Args:
        content: the text. max_zones: the most zones that are accepted.

    Raises:
        Malformed: its form is wrong.
    """
    fields = _decode(content)
    if not isinstance(fields, dict):
        raise Malformed(f"the answer is not an object; {_ONLY}")
    faults = _field_faults(fields, _FIELDS, "")
    zones = fields.get("zones")
    if "zones" in fields and not isinstance(zones, list):
        faults.append("zones must be a list of objects")
    elif isinstance(zones, list) and len(zones) > max_zones:
        faults.append(f"there are too many zones: {len(zones)}; at most {max_zones} are allowed")
    elif isinstance(zones, list):
        faults += [fault for n, zone in enumerate(zones) for fault in _zone_faults(zone, f"zones[{n}]")]
    faults += _faults(fields, _CHECKS, "")
    if faults:
        raise Malformed(*faults)
    return Decision(
        reference_e8=parse_e8(fields["reference"]),
        stance=fields["stance"],
        reason=fields["reason"],
        zones=tuple(_proposal(zone) for zone in fields["zones"]),
    )


def strip_wrapping(content: str, note: Note) -> str:
    """
    Remove byte order marks, leading thoughts, and one code fence of any language from the text of an answer.

    One end of the fence may be missing, where a prompt opened it or a stop sequence closed it. Text with two fences, or
    with more than a fence, stays as it is and is refused.

    Args:
        content: the text. note: takes a word of `shapes.FIXES` for each removal.
    """
    text = extract_answer(content, note).strip()
    opening = _OPENING.match(text)
    inside = text[opening.end() :] if opening is not None else text
    closing = _CLOSING.search(inside)
    inside = inside[: closing.start()] if closing is not None else inside
    if (opening is None and closing is None) or "```" in inside or "~~~" in inside:
        return text
    note(CODE_FENCE)
    return strip_mark(inside.strip(), note)


def quote(text: str) -> str:
    """Quote the first characters of a model's figure or id in brackets; "" where they are not plain."""
    return f" ({text[:_MAX_QUOTE]})" if _SAFE.fullmatch(text[:_MAX_QUOTE]) else ""


def _decode(content: str) -> Any:
    if len(content) > MAX_BYTES or len(content.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Malformed(f"the answer is too large; at most {MAX_BYTES} bytes are allowed")
    text = _strip_fence(content.strip())
    if not text:
        raise Malformed(f"the answer is blank; {_ONLY}")
    if not text.startswith("{"):
        raise Malformed(f"the answer does not begin with an object; {_ONLY}, without prose around it")
    if _depth(text) > _MAX_DEPTH:
        raise Malformed("the answer is nested too deep; a decision is an object with a list of flat zones")
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_Figure,
            parse_float=_Figure,
            parse_constant=_no_constant,
            strict=False,  # a control character in a text gets its own reason later
        )
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise Malformed(f"something follows the object; {_ONLY}, without prose around it") from None
        raise Malformed(f"the answer is not valid JSON at character {error.pos}: {error.msg}") from None


def _strip_fence(text: str) -> str:
    for fence in ("```json\n", "```\n"):
        if text.startswith(fence) and text.endswith("\n```") and len(text) >= len(fence) + 4:
            return text[len(fence) : -4].strip()
    return text


def _depth(text: str) -> int:
    maximum = depth = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character in "{[":
            depth += 1
            maximum = max(maximum, depth)
        elif character in "}]":
            depth -= 1
        else:
            inside = character == '"'
    return maximum


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Malformed("an object holds a duplicate key; give every field once")
    return fields


def _no_constant(name: str) -> Any:
    raise Malformed(f"{name} is not a number here; give plain digits")


def _field_faults(fields: dict[str, Any], names: Sequence[str], location: str) -> list[str]:
    prefix = f"{location}: " if location else ""
    faults = [f"{prefix}the field {name} is missing" for name in names if name not in fields]
    unknown = [name for name in fields if name not in names]
    if unknown:
        faults.append(f"{prefix}unknown field{quote(unknown[0])}; only {', '.join(names)} are allowed")
    return faults


def _zone_faults(zone: Any, location: str) -> list[str]:
    if not isinstance(zone, dict):
        return [f"{location}: must be an object"]
    return _field_faults(zone, _ZONE_FIELDS, location) + _faults(zone, _ZONE_CHECKS, f"{location}: ")


def _faults(fields: dict[str, Any], checks: dict[str, Callable[[Any], str | None]], prefix: str) -> list[str]:
    faults = ((name, check(fields[name])) for name, check in checks.items() if name in fields)
    return [f"{prefix}{name} {fault}" for name, fault in faults if fault]


def _price_fault(value: Any) -> str | None:
    if not isinstance(value, str):
        return 'must be a price as decimal text, such as "100.25"'
    return _number_fault(value, DECIMALS)


def _weight_fault(value: Any) -> str | None:
    return _number_fault(value, WEIGHT_DECIMALS) if isinstance(value, _Figure) else "must be a number, such as 0.5"


def _number_fault(text: str, decimals: int) -> str | None:
    try:
        parse_e8(text, decimals=decimals)
    except BadNumber as bad:
        plain = text.strip().lower()
        if plain.lstrip("+-") in ("nan", "inf", "infinity"):
            return "is not a number; give plain digits"
        if plain.startswith("-"):
            return f"is negative{quote(text)}; it must be above zero"
        if re.fullmatch(r"\+?[0-9.]+e[+-]?[0-9]+", plain):
            return f"is written with an exponent{quote(text)}; give plain digits"
        return f"{bad.reason}{quote(text)}"
    return None


def _text_fault(value: Any) -> str | None:
    return None if isinstance(value, str) and not isinstance(value, _Figure) else "must be text"


def _word_fault(words: Sequence[str]) -> Callable[[Any], str | None]:
    def fault(value: Any) -> str | None:
        is_allowed = isinstance(value, str) and not isinstance(value, _Figure) and value in words
        return None if is_allowed else f"must be one of {', '.join(words)}"

    return fault


def _ids_fault(value: Any) -> str | None:
    if not isinstance(value, list) or not all(_text_fault(item) is None for item in value):
        return "must be a list of ids as text"
    return None if value else "is empty; cite at least one id that was shown"


def _proposal(zone: dict[str, Any]) -> Proposal:
    return Proposal(
        side=zone["side"],
        low_e8=parse_e8(zone["low"]),
        high_e8=parse_e8(zone["high"]),
        weight=parse_e8(zone["weight"], decimals=WEIGHT_DECIMALS),
        evidence=tuple(dict.fromkeys(zone["evidence"])),
        reason=zone["reason"],
    )


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "reference": _price_fault,
    "stance": _word_fault(get_args(Stance)),
    "reason": _text_fault,
}
_ZONE_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "side": _word_fault(get_args(Side)),
    "low": _price_fault,
    "high": _price_fault,
    "weight": _weight_fault,
    "evidence": _ids_fault,
    "reason": _text_fault,
}
