"""
From the text a model gave to a decision in exact numbers, or to what is wrong with its form. Nothing is believed yet.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from agents.llm.wire.shapes import CODE_FENCE, Note, answer_in, without_mark
from agents.recommendation import Side, Stance
from market.errors import BadNumber
from market.fixed_point import DECIMALS, parse_e8

LARGEST_BYTES = 64 * 1024
WEIGHT_DECIMALS = 18
ONE_WEIGHT = 10**WEIGHT_DECIMALS

_DEEPEST = 8
_QUOTED = 16
_SAFE = re.compile(r"[A-Za-z0-9._+-]+")
_FIELDS = ("reference", "stance", "reason", "zones")
_ZONE_FIELDS = ("side", "low", "high", "weight", "evidence", "reason")
_OPENING = re.compile(r"(?:`{3,}|~{3,})[ \t]*[\w.+#-]{0,20}(?=[\s{])")
_CLOSING = re.compile(r"(?<![`~])(?:`{3,}|~{3,})\Z")
_ONLY = "give only the JSON object"


@dataclass(frozen=True, slots=True)
class Proposal:
    """
    A zone as a model wants it.

    Attributes:
        weight: counts of 1e-18, not yet in any range.
    """

    side: Side
    low_e8: int
    high_e8: int
    weight: int
    evidence: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a model wants, sound in form; see `Proposal`."""

    reference_e8: int
    stance: Stance
    reason: str
    zones: tuple[Proposal, ...]


class Malformed(ValueError):
    """A text that is no decision; `reasons` say each fault in a line, without quoting more than a figure or an id."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class _Figure(str):
    """A JSON number as it was written: nothing here passes through a float."""


def read(content: str, most_zones: int) -> Decision:
    """
    A decision from the text of an answer: one JSON object, at most in one code fence.

    Raises:
        Malformed: its form is wrong.
    """
    found = _decoded(content)
    if not isinstance(found, dict):
        raise Malformed(f"the answer is not an object; {_ONLY}")
    faults = _field_faults(found, _FIELDS, "")
    zones = found.get("zones")
    if "zones" in found and not isinstance(zones, list):
        faults.append("zones must be a list of objects")
    elif isinstance(zones, list) and len(zones) > most_zones:
        faults.append(f"there are too many zones: {len(zones)}; at most {most_zones} are allowed")
    elif isinstance(zones, list):
        faults += [fault for n, zone in enumerate(zones) for fault in _zone_faults(zone, f"zones[{n}]")]
    faults += _faults(found, _CHECKS, "")
    if faults:
        raise Malformed(*faults)
    return Decision(
        reference_e8=parse_e8(found["reference"]),
        stance=found["stance"],
        reason=found["reason"],
        zones=tuple(_proposal(zone) for zone in found["zones"]),
    )


def bare(content: str, note: Note) -> str:
    """
    The text of an answer without byte order marks, thoughts in front, and one code fence of any language around it.

    One end of the fence may be missing, where a prompt opened it or a stop sequence closed it. What stands between two
    fences, or beside one, stays and is refused as it is.

    Args:
        note: takes a word of `shapes.MENDS` for each of them.
    """
    text = answer_in(content, note).strip()
    opening = _OPENING.match(text)
    inside = text[opening.end() :] if opening is not None else text
    closing = _CLOSING.search(inside)
    inside = inside[: closing.start()] if closing is not None else inside
    if (opening is None and closing is None) or "```" in inside or "~~~" in inside:
        return text
    note(CODE_FENCE)
    return without_mark(inside.strip(), note)


def quoted(text: str) -> str:
    """A few characters of a model's figure or id for a reason; nothing where they are no plain ones."""
    return f" ({text[:_QUOTED]})" if _SAFE.fullmatch(text[:_QUOTED]) else ""


def _decoded(content: str) -> Any:
    if len(content) > LARGEST_BYTES or len(content.encode("utf-8", "surrogatepass")) > LARGEST_BYTES:
        raise Malformed(f"the answer is too large; at most {LARGEST_BYTES} bytes are allowed")
    text = _unfenced(content.strip())
    if not text:
        raise Malformed(f"the answer is blank; {_ONLY}")
    if not text.startswith("{"):
        raise Malformed(f"the answer does not begin with an object; {_ONLY}, without prose around it")
    if _depth(text) > _DEEPEST:
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


def _unfenced(text: str) -> str:
    for fence in ("```json\n", "```\n"):
        if text.startswith(fence) and text.endswith("\n```") and len(text) >= len(fence) + 4:
            return text[len(fence) : -4].strip()
    return text


def _depth(text: str) -> int:
    deepest = depth = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "}]":
            depth -= 1
        else:
            inside = character == '"'
    return deepest


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed("an object holds a duplicate key; give every field once")
    return found


def _no_constant(name: str) -> Any:
    raise Malformed(f"{name} is not a number here; give plain digits")


def _field_faults(found: dict[str, Any], known: Sequence[str], where: str) -> list[str]:
    prefix = f"{where}: " if where else ""
    faults = [f"{prefix}the field {name} is missing" for name in known if name not in found]
    strange = [name for name in found if name not in known]
    if strange:
        faults.append(f"{prefix}unknown field{quoted(strange[0])}; only {', '.join(known)} are allowed")
    return faults


def _zone_faults(zone: Any, where: str) -> list[str]:
    if not isinstance(zone, dict):
        return [f"{where}: must be an object"]
    return _field_faults(zone, _ZONE_FIELDS, where) + _faults(zone, _ZONE_CHECKS, f"{where}: ")


def _faults(found: dict[str, Any], checks: dict[str, Callable[[Any], str | None]], prefix: str) -> list[str]:
    faults = ((name, check(found[name])) for name, check in checks.items() if name in found)
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
            return f"is negative{quoted(text)}; it must be above zero"
        if re.fullmatch(r"\+?[0-9.]+e[+-]?[0-9]+", plain):
            return f"is written with an exponent{quoted(text)}; give plain digits"
        return f"{bad.reason}{quoted(text)}"
    return None


def _text_fault(value: Any) -> str | None:
    return None if isinstance(value, str) and not isinstance(value, _Figure) else "must be text"


def _word_fault(words: Sequence[str]) -> Callable[[Any], str | None]:
    def fault(value: Any) -> str | None:
        known = isinstance(value, str) and not isinstance(value, _Figure) and value in words
        return None if known else f"must be one of {', '.join(words)}"

    return fault


def _ids_fault(value: Any) -> str | None:
    if not isinstance(value, list) or not all(_text_fault(each) is None for each in value):
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
