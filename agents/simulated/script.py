"""
A script: rules that say at which requests which faults strike.

    [{"when": {"agent": "static", "step": "call", "nth": 2}, "fault": "bad_arguments", "times": 1}, …]

A rule counts the requests that fit its agent and step and can show its fault. Among those, `nth` strikes at one,
`every` at each k-th, `until` at none after the k-th; together they all must hold, without any every one is struck.
`times` is the most it strikes. What else stands in a rule are the fault's own parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from agents.simulated.errors import BadScript
from agents.simulated.faults import FAULTS, Fault, Value
from agents.simulated.situation import Agent, Situation, Step

_NUMBERS = ("nth", "every", "until")
_WORDS: Mapping[str, tuple[str, ...]] = {"agent": get_args(Agent), "step": get_args(Step)}


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that strikes a reply, with its parameters."""

    fault: Fault
    parameters: Mapping[str, Value]

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.parameters[name])


@dataclass(frozen=True, slots=True)
class Rule:
    """
    When a fault strikes.

    Attributes:
        words: of agent and step, those that must fit. numbers: of nth, every and until, those that must hold.
        times: the most it strikes, None for no limit.
    """

    struck: Struck
    words: Mapping[str, str]
    numbers: Mapping[str, int]
    times: int | None

    def fits(self, situation: Situation) -> bool:
        """Whether a request is counted."""
        where = self.struck.fault.where
        shown = where == "any" or situation.step == where or (where == "thinking" and situation.thinking)
        return shown and all(getattr(situation, name) == word for name, word in self.words.items())

    def strikes(self, count: int) -> bool:
        """Whether the count-th of the requests that fit is struck, the first being 1."""
        numbers = self.numbers
        return (
            numbers.get("nth", count) == count
            and count % numbers.get("every", 1) == 0
            and count <= numbers.get("until", count)
        )


class Script:
    """Rules and how often each has counted and struck; requests come in one at a time."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self.rules = rules
        self._seen = [0] * len(rules)
        self._struck = [0] * len(rules)

    def due(self, situation: Situation) -> list[Struck]:
        """The faults that strike this request, in the order of the table; this counts it."""
        found = []
        for at, rule in enumerate(self.rules):
            if not rule.fits(situation):
                continue
            self._seen[at] += 1
            if rule.strikes(self._seen[at]) and (rule.times is None or self._struck[at] < rule.times):
                self._struck[at] += 1
                found.append(rule.struck)
        order = list(FAULTS)
        return sorted(found, key=lambda struck: order.index(struck.fault.name))

    def counts(self) -> list[dict[str, Any]]:
        """How often each rule counted and struck."""
        return [
            {"fault": rule.struck.fault.name, "seen": seen, "struck": struck}
            for rule, seen, struck in zip(self.rules, self._seen, self._struck, strict=True)
        ]


def parse(text: bytes | str) -> Script:
    """
    A script from its JSON: a list of rules, or an object with `rules`.

    Raises:
        BadScript: it cannot be read, or names what does not exist.
    """
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadScript(f"the script is not JSON: {error}") from None
    rules = found.get("rules") if isinstance(found, dict) else found
    if not isinstance(rules, list):
        raise BadScript("a script is a list of rules, or an object with a list under rules")
    return Script(tuple(_rule(number, rule) for number, rule in enumerate(rules, 1)))


def _rule(number: int, found: Any) -> Rule:
    if not isinstance(found, dict):
        raise BadScript(f"rule {number} is not an object")
    fault = FAULTS.get(str(found.get("fault")))
    if fault is None:
        raise BadScript(f"rule {number}: no fault is called {found.get('fault')!r}; --faults lists them")
    when = found.get("when", {})
    if not isinstance(when, dict) or set(when) - {*_WORDS, *_NUMBERS}:
        raise BadScript(f"rule {number}: when takes {', '.join((*_WORDS, *_NUMBERS))}")
    words: dict[str, str] = {name: when[name] for name in _WORDS if name in when}
    for name, word in words.items():
        if word not in _WORDS[name]:
            raise BadScript(f"rule {number}: {name} is one of {', '.join(_WORDS[name])}, not {word!r}")
    counted = {name: when[name] for name in _NUMBERS if name in when}
    times = found.get("times")
    for name, value in {**counted, **({} if times is None else {"times": times})}.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadScript(f"rule {number}: {name} is a whole number from 1, not {value!r}")
    own = {name: value for name, value in found.items() if name not in {"fault", "when", "times"}}
    return Rule(Struck(fault, _parameters(number, fault, own)), words, counted, times)


def _parameters(number: int, fault: Fault, given: Mapping[str, Any]) -> dict[str, Value]:
    for name, value in given.items():
        if name not in fault.parameters:
            known = ", ".join(fault.parameters) or "no parameters"
            raise BadScript(f"rule {number}: {fault.name} takes {known}, not {name!r}")
        wanted = str if isinstance(fault.parameters[name], str) else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool) or (not isinstance(value, str) and value < 0):
            raise BadScript(f"rule {number}: {name} of {fault.name} cannot be {value!r}")
    return {**fault.parameters, **given}
