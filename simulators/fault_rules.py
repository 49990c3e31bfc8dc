"""
Rules that say which faults strike when: what the scripts of both simulated servers have in common.

A rule names a fault and counts the occasions that fit it. Among those `nth` strikes at one, `every` at each k-th,
`after` at none up to the k-th, `until` at none after the k-th; together they all must hold, without any every one is
struck. `times` is the most it strikes. What else stands in a rule are the fault's own parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

Value = float | str


class BadRules(ValueError):
    """Rules that cannot be read, or that name what does not exist; the message is one line."""


class Fault(Protocol):
    """One way to go wrong."""

    @property
    def name(self) -> str:
        """What a rule calls it."""

    @property
    def parameters(self) -> Mapping[str, Value]:
        """Their names and what they are unless told otherwise."""

    @property
    def signed(self) -> bool:
        """Whether numbers among the parameters may be below zero."""


@dataclass(frozen=True, slots=True)
class StruckFault:
    """A fault that strikes, with its parameters."""

    fault: Fault
    parameters: Mapping[str, Value]

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.parameters[name])

    def text(self, name: str) -> str:
        """A parameter that is text."""
        return str(self.parameters[name])


@dataclass(frozen=True, slots=True)
class FaultRule:
    """
    When a fault strikes.

    Attributes:
        words: those of `when` that must fit, by name. numbers: those that must hold.
        times: the most it strikes, None for no limit.
    """

    struck: StruckFault
    words: Mapping[str, str]
    numbers: Mapping[str, int]
    times: int | None

    def holds(self, count: int) -> bool:
        """Whether the count-th of the occasions that fit may be struck, the first being 1."""
        numbers = self.numbers
        return (
            numbers.get("nth", count) == count
            and count % numbers.get("every", 1) == 0
            and numbers.get("after", 0) < count <= numbers.get("until", count)
        )


_Fault = TypeVar("_Fault", bound=Fault)
_Rule = TypeVar("_Rule", bound=FaultRule)


class Tally(Generic[_Rule]):
    """Rules, and how often each has counted and struck."""

    def __init__(self, rules: tuple[_Rule, ...] = ()) -> None:
        self.rules = rules
        self._seen = [0] * len(rules)
        self._struck = [0] * len(rules)

    def count(self, at: int, may: bool = True) -> bool:
        """Count an occasion that fits the rule at a place, which strikes where it may; returns whether it does."""
        rule = self.rules[at]
        self._seen[at] += 1
        spent = rule.times is not None and self._struck[at] >= rule.times
        strikes = may and not spent and rule.holds(self._seen[at])
        self._struck[at] += strikes
        return strikes

    def counts(self) -> list[dict[str, Any]]:
        """How often each rule counted and struck."""
        return [
            {"fault": rule.struck.fault.name, "seen": seen, "struck": struck}
            for rule, seen, struck in zip(self.rules, self._seen, self._struck, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Written(Generic[_Fault]):
    """A rule as written, the first being number 1; a part that cannot be meant raises `BadRules` when it is read."""

    number: int
    fault: _Fault
    when: Mapping[str, Any]
    found: Mapping[str, Any]

    def bad(self, why: str) -> BadRules:
        """What is wrong with it."""
        return BadRules(f"rule {self.number}: {why}")

    def words(self, known: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """What `when` holds as text, each one of those known under its name."""
        words = {name: self.when[name] for name in known if name in self.when}
        for name, word in words.items():
            if word not in known[name]:
                raise self.bad(f"{name} is one of {', '.join(known[name])}, not {word!r}")
        return words

    def numbers(self, names: Sequence[str]) -> dict[str, int]:
        """What `when` holds under some names as whole numbers from 1."""
        return {name: self._count(name, self.when[name]) for name in names if name in self.when}

    def times(self) -> int | None:
        """The most it strikes, None for no limit."""
        times = self.found.get("times")
        return None if times is None else self._count("times", times)

    def parameters(self) -> dict[str, Value]:
        """All parameters of the fault, those given among them."""
        fault = self.fault
        given = {name: value for name, value in self.found.items() if name not in {"fault", "when", "times"}}
        for name, value in given.items():
            if name not in fault.parameters:
                known = ", ".join(fault.parameters) or "no parameters"
                raise self.bad(f"{fault.name} takes {known}, not {name!r}")
            wanted = str if isinstance(fault.parameters[name], str) else (int, float)
            bad = not isinstance(value, wanted) or isinstance(value, bool)
            if bad or (not isinstance(value, str) and not fault.signed and value < 0):
                raise self.bad(f"{name} of {fault.name} cannot be {value!r}")
        return {**fault.parameters, **given}

    def _count(self, name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.bad(f"{name} is a whole number from 1, not {value!r}")
        return value


def written(text: bytes | str, faults: Mapping[str, _Fault], known: Sequence[str]) -> Iterator[Written[_Fault]]:
    """
    The rules of a script's JSON, one after the other: a list of them, or an object with `rules`.

    Args:
        known: what `when` takes.

    Raises:
        BadRules: see there.
    """
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRules(f"the script is not JSON: {error}") from None
    rules = found.get("rules") if isinstance(found, dict) else found
    if not isinstance(rules, list):
        raise BadRules("a script is a list of rules, or an object with a list under rules")
    for number, rule in enumerate(rules, 1):
        if not isinstance(rule, dict):
            raise BadRules(f"rule {number} is not an object")
        fault = faults.get(str(rule.get("fault")))
        if fault is None:
            raise BadRules(f"rule {number}: no fault is called {rule.get('fault')!r}; --faults lists them")
        when = rule.get("when", {})
        if not isinstance(when, dict) or set(when) - set(known):
            raise BadRules(f"rule {number}: when takes {', '.join(known)}")
        yield Written(number, fault, when, rule)
