"""
Rules that decide when faults are triggered: the common part of the scripts of both simulated servers.

A rule names a fault and counts the occasions that match it. Among those `nth` triggers the fault at one, `every` at
each k-th, `after` at none up to the k-th, `until` at none after the k-th; all that are given must hold, and a rule
without any of them triggers at every occasion. `times` limits how often it triggers. All other keys of a rule are the
fault's own parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

Value = float | str


class BadRules(ValueError):
    """Rules that cannot be read, or that name what does not exist; the message is one line."""


class Fault(Protocol):
    """The definition of a fault."""

    @property
    def name(self) -> str:
        """Its name in a rule."""

    @property
    def parameters(self) -> Mapping[str, Value]:
        """The default value of each parameter, by its name."""

    @property
    def signed(self) -> bool:
        """Whether numbers among the parameters may be negative."""


@dataclass(frozen=True, slots=True)
class ParametrisedFault:
    """A fault with a value for each of its parameters."""

    definition: Fault
    parameters: Mapping[str, Value]

    @property
    def name(self) -> str:
        """The fault's name."""
        return self.definition.name

    def number(self, name: str) -> float:
        """The value of a numeric parameter."""
        return float(self.parameters[name])

    def text(self, name: str) -> str:
        """The value of a text parameter."""
        return str(self.parameters[name])


@dataclass(frozen=True, slots=True)
class FaultRule:
    """
    When a fault is triggered.

    Attributes:
        words: texts under `when` that must match, by name. numbers: counts under `when` that must hold, by name.
        times: how often it triggers at most, None for no limit.
    """

    fault: ParametrisedFault
    words: Mapping[str, str]
    numbers: Mapping[str, int]
    times: int | None

    def holds(self, count: int) -> bool:
        """
        Whether the count-th matching occasion may trigger the fault, the first being 1.

        >>> rule = FaultRule(None, {}, {"every": 2, "after": 3}, None)
        >>> [count for count in range(1, 9) if rule.holds(count)]
        [4, 6, 8]
        """
        numbers = self.numbers
        return (
            numbers.get("nth", count) == count
            and count % numbers.get("every", 1) == 0
            and numbers.get("after", 0) < count <= numbers.get("until", count)
        )


_Fault = TypeVar("_Fault", bound=Fault)
_Rule = TypeVar("_Rule", bound=FaultRule)


class Tally(Generic[_Rule]):
    """Rules, and for each of them the number of matching occasions and of triggers."""

    def __init__(self, rules: tuple[_Rule, ...] = ()) -> None:
        self.rules = rules
        self._occasions = [0] * len(rules)
        self._triggers = [0] * len(rules)

    def count(self, index: int, allowed: bool = True) -> bool:
        """Count an occasion that matches the rule at an index; returns whether it triggers, which needs `allowed`."""
        rule = self.rules[index]
        self._occasions[index] += 1
        spent = rule.times is not None and self._triggers[index] >= rule.times
        triggers = allowed and not spent and rule.holds(self._occasions[index])
        self._triggers[index] += triggers
        return triggers

    def counts(self) -> list[dict[str, Any]]:
        """For each rule, as JSON: the fault's name, the number of occasions (`seen`) and of triggers (`struck`)."""
        return [
            {"fault": rule.fault.name, "seen": occasions, "struck": triggers}
            for rule, occasions, triggers in zip(self.rules, self._occasions, self._triggers, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class ParsedRule(Generic[_Fault]):
    """
    A rule of a script; its methods raise `BadRules` for a part that is not valid.

    Attributes:
        number: its place in the script, the first being 1. fault: the definition of the fault that it names.
        when: its conditions. fields: the rule's whole JSON object.
    """

    number: int
    fault: _Fault
    when: Mapping[str, Any]
    fields: Mapping[str, Any]

    def error(self, reason: str) -> BadRules:
        """The exception for this rule, with its number."""
        return BadRules(f"rule {self.number}: {reason}")

    def words(self, choices: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """The text conditions, by name; each must be one of the choices under its name."""
        words = {name: self.when[name] for name in choices if name in self.when}
        for name, word in words.items():
            if word not in choices[name]:
                raise self.error(f"{name} is one of {', '.join(choices[name])}, not {word!r}")
        return words

    def numbers(self, names: Sequence[str]) -> dict[str, int]:
        """The conditions under some names, each a whole number from 1."""
        return {name: self._count(name, self.when[name]) for name in names if name in self.when}

    def times(self) -> int | None:
        """How often the rule triggers at most, None for no limit."""
        times = self.fields.get("times")
        return None if times is None else self._count("times", times)

    def parameters(self) -> dict[str, Value]:
        """A value for every parameter of the fault: the rule's, or else the default."""
        fault = self.fault
        values = {name: value for name, value in self.fields.items() if name not in {"fault", "when", "times"}}
        for name, value in values.items():
            if name not in fault.parameters:
                names = ", ".join(fault.parameters) or "no parameters"
                raise self.error(f"{fault.name} takes {names}, not {name!r}")
            types = str if isinstance(fault.parameters[name], str) else (int, float)
            bad = not isinstance(value, types) or isinstance(value, bool)
            if bad or (not isinstance(value, str) and not fault.signed and value < 0):
                raise self.error(f"{name} of {fault.name} cannot be {value!r}")
        return {**fault.parameters, **values}

    def _count(self, name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.error(f"{name} is a whole number from 1, not {value!r}")
        return value


def parse_rules(
    text: bytes | str, faults: Mapping[str, _Fault], conditions: Sequence[str]
) -> Iterator[ParsedRule[_Fault]]:
    """
    The rules of a script, in order.

    Args:
        text: JSON, a list of rules or an object with the list under `rules`.
        faults: the definitions of the faults that rules may name, by name.
        conditions: the names that `when` may hold.

    Raises:
        BadRules: the text is no script, or a rule names an unknown fault or condition.
    """
    try:
        script = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRules(f"the script is not JSON: {error}") from None
    rules = script.get("rules") if isinstance(script, dict) else script
    if not isinstance(rules, list):
        raise BadRules("a script is a list of rules, or an object with a list under rules")
    for number, rule in enumerate(rules, 1):
        if not isinstance(rule, dict):
            raise BadRules(f"rule {number} is not an object")
        fault = faults.get(str(rule.get("fault")))
        if fault is None:
            raise BadRules(f"rule {number}: no fault is called {rule.get('fault')!r}; --faults lists them")
        when = rule.get("when", {})
        if not isinstance(when, dict) or set(when) - set(conditions):
            raise BadRules(f"rule {number}: when takes {', '.join(conditions)}")
        yield ParsedRule(number, fault, when, rule)
