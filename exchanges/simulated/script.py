"""
A script: rules that say where which faults strike.

    [{"when": {"stream": "trades", "nth": 2}, "fault": "duplicate", "times": 1, "copies": 3}, …]

A rule counts what fits it: messages of its `stream` that somebody hears, requests for its `path`, connections, or steps
of the market. Among those `nth` strikes at one, `every` at each k-th, `after` at none up to the k-th, `until` at none
after the k-th, `id` at one message (an agg id; an update id of a diff), `chance` at some, chosen by the seed and the
message's own id alone; together they all must hold, without any every one is struck. `connection` confines a fault of
messages to the k-th client that connected. `times` is the most it strikes. What else stands in a rule are the fault's
own parameters.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, get_args

import msgspec

from exchanges.simulated.errors import ScriptError
from exchanges.simulated.faults import FAULTS, Fault, Place, Stream, Value

PATHS = ("ping", "time", "exchangeInfo", "depth", "aggTrades")

_NUMBERS = ("nth", "every", "after", "until", "id", "connection")
_WORDS: Mapping[str, tuple[str, ...]] = {"stream": get_args(Stream), "path": PATHS}
_PLACE_OF: Mapping[str, Place] = {"stream": "message", "path": "request", "id": "message", "connection": "message"}
_MOST_STRIKES = 100_000


@dataclass(frozen=True, slots=True)
class Occasion:
    """
    Something a fault may strike.

    Attributes:
        word: a message's stream, a request's path; empty for connections and steps.
        first, last: the ids of a message; for anything else its number, the first being 1.
    """

    place: Place
    word: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that strikes, with its parameters, on one client's connection or (None) on all."""

    fault: Fault
    parameters: Mapping[str, Value]
    connection: int | None = None

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.parameters[name])

    def text(self, name: str) -> str:
        """A parameter that is text."""
        return str(self.parameters[name])


@dataclass(frozen=True, slots=True)
class Strike:
    """What was struck: the rule's number, the first being 1, its fault, and the occasion's word and last id."""

    rule: int
    fault: str
    word: str
    number: int


@dataclass(frozen=True, slots=True)
class Rule:
    """
    When a fault strikes.

    Attributes:
        words: stream or path, where it must fit. numbers: those of `when` that must hold.
        chance: from 0 to 1. times: the most it strikes, None for no limit.
    """

    struck: Struck
    words: Mapping[str, str]
    numbers: Mapping[str, int]
    chance: float
    times: int | None

    def fits(self, occasion: Occasion) -> bool:
        """Whether an occasion is counted."""
        fault = self.struck.fault
        words = (*self.words.values(), fault.only or occasion.word)
        return fault.place == occasion.place and all(word == occasion.word for word in words)

    def strikes(self, count: int, occasion: Occasion) -> bool:
        """Whether the count-th of the occasions that fit is struck, chance aside; the first is 1."""
        numbers = self.numbers
        return (
            numbers.get("nth", count) == count
            and count % numbers.get("every", 1) == 0
            and numbers.get("after", 0) < count <= numbers.get("until", count)
            and occasion.first <= numbers.get("id", occasion.first) <= occasion.last
        )


class Script:
    """
    Rules, and how often each has counted and struck.

    Args:
        seed: decides what rules with a chance strike.
    """

    def __init__(self, rules: tuple[Rule, ...] = (), seed: int = 0) -> None:
        self.rules = rules
        self.strikes: deque[Strike] = deque(maxlen=_MOST_STRIKES)
        self._seed = seed
        self._seen = [0] * len(rules)
        self._struck = [0] * len(rules)
        self._places = {rule.struck.fault.place for rule in rules}

    def due(self, occasion: Occasion) -> list[Struck]:
        """The faults that strike here, in the order of the table; this counts the occasion."""
        if occasion.place not in self._places:
            return []
        found = []
        for at, rule in enumerate(self.rules):
            if not rule.fits(occasion):
                continue
            self._seen[at] += 1
            spent = rule.times is not None and self._struck[at] >= rule.times
            if not spent and rule.strikes(self._seen[at], occasion) and self._drawn(at, occasion):
                self._struck[at] += 1
                self.strikes.append(Strike(at + 1, rule.struck.fault.name, occasion.word, occasion.last))
                found.append(rule.struck)
        order = list(FAULTS)
        return sorted(found, key=lambda struck: order.index(struck.fault.name))

    def counts(self) -> list[dict[str, Any]]:
        """How often each rule counted and struck."""
        return [
            {"fault": rule.struck.fault.name, "seen": seen, "struck": struck}
            for rule, seen, struck in zip(self.rules, self._seen, self._struck, strict=True)
        ]

    def _drawn(self, at: int, occasion: Occasion) -> bool:
        chance = self.rules[at].chance
        if chance >= 1:
            return True
        text = f"{self._seed} {at} {occasion.place} {occasion.word} {occasion.last}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) < chance * 2**64


def parse(text: bytes | str, seed: int = 0) -> Script:
    """
    A script from its JSON: a list of rules, or an object with `rules`.

    Raises:
        ScriptError: it cannot be read, or names what does not exist.
    """
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ScriptError(f"the script is not JSON: {error}") from None
    rules = found.get("rules") if isinstance(found, dict) else found
    if not isinstance(rules, list):
        raise ScriptError("a script is a list of rules, or an object with a list under rules")
    return Script(tuple(_rule(number, rule) for number, rule in enumerate(rules, 1)), seed)


def _rule(number: int, found: Any) -> Rule:
    if not isinstance(found, dict):
        raise ScriptError(f"rule {number} is not an object")
    fault = FAULTS.get(str(found.get("fault")))
    if fault is None:
        raise ScriptError(f"rule {number}: no fault is called {found.get('fault')!r}; --faults lists them")
    when = found.get("when", {})
    if not isinstance(when, dict) or set(when) - {*_WORDS, *_NUMBERS, "chance"}:
        raise ScriptError(f"rule {number}: when takes {', '.join((*_WORDS, *_NUMBERS, 'chance'))}")
    for name in when:
        if _PLACE_OF.get(name, fault.place) != fault.place:
            raise ScriptError(f"rule {number}: {fault.name} strikes a {fault.place}, which has no {name}")
    words = {name: _word(number, name, when[name]) for name in _WORDS if name in when}
    numbers = {name: _count(number, name, when[name]) for name in _NUMBERS if name in when}
    times = _count(number, "times", found["times"]) if found.get("times") is not None else None
    own = {name: value for name, value in found.items() if name not in {"fault", "when", "times"}}
    struck = Struck(fault, _parameters(number, fault, own), numbers.pop("connection", None))
    return Rule(struck, words, numbers, _chance(number, when.get("chance", 1)), times)


def _word(number: int, name: str, value: Any) -> str:
    if value not in _WORDS[name]:
        raise ScriptError(f"rule {number}: {name} is one of {', '.join(_WORDS[name])}, not {value!r}")
    return str(value)


def _count(number: int, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ScriptError(f"rule {number}: {name} is a whole number from 1, not {value!r}")
    return value


def _chance(number: int, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ScriptError(f"rule {number}: chance is a number from 0 to 1, not {value!r}")
    return float(value)


def _parameters(number: int, fault: Fault, given: Mapping[str, Any]) -> dict[str, Value]:
    for name, value in given.items():
        if name not in fault.parameters:
            known = ", ".join(fault.parameters) or "no parameters"
            raise ScriptError(f"rule {number}: {fault.name} takes {known}, not {name!r}")
        wanted = str if isinstance(fault.parameters[name], str) else (int, float)
        bad = not isinstance(value, wanted) or isinstance(value, bool)
        if bad or (not isinstance(value, str) and not fault.signed and value < 0):
            raise ScriptError(f"rule {number}: {name} of {fault.name} cannot be {value!r}")
    return {**fault.parameters, **given}
