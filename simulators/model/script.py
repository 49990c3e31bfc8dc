"""
A script: rules that say at which requests which faults strike.

    [{"when": {"agent": "static", "step": "call", "nth": 2}, "fault": "bad_arguments", "times": 1}, …]

A rule counts the requests that fit its agent and step and can show its fault. Among those `nth`, `every`, `until` and
`times` choose as `simulators.fault_rules` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from simulators.fault_rules import BadRules, FaultRule, StruckFault, Tally, Written, written
from simulators.model.errors import BadScript
from simulators.model.faults import FAULTS, Fault
from simulators.model.situation import Agent, Situation, Step

_NUMBERS = ("nth", "every", "until")
_WORDS: Mapping[str, tuple[str, ...]] = {"agent": get_args(Agent), "step": get_args(Step)}


@dataclass(frozen=True, slots=True)
class Struck(StruckFault):
    """A fault that strikes a reply, with its parameters."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Rule(FaultRule):
    """When a fault strikes."""

    struck: Struck

    def fits(self, situation: Situation) -> bool:
        """Whether a request is counted."""
        where = self.struck.fault.where
        shown = where == "any" or situation.step == where or (where == "thinking" and situation.thinking)
        return shown and all(getattr(situation, name) == word for name, word in self.words.items())


class Script(Tally[Rule]):
    """Rules and how often each has counted and struck; requests come in one at a time."""

    def due(self, situation: Situation) -> list[Struck]:
        """The faults that strike this request, in the order of the table; this counts it."""
        found = [rule.struck for at, rule in enumerate(self.rules) if rule.fits(situation) and self.count(at)]
        order = list(FAULTS)
        return sorted(found, key=lambda struck: order.index(struck.fault.name))


def parse(text: bytes | str) -> Script:
    """
    A script from its JSON: a list of rules, or an object with `rules`.

    Raises:
        BadScript: it cannot be read, or names what does not exist.
    """
    try:
        return Script(tuple(map(_rule, written(text, FAULTS, (*_WORDS, *_NUMBERS)))))
    except BadRules as error:
        raise BadScript(str(error)) from None


def _rule(rule: Written[Fault]) -> Rule:
    words, numbers, times = rule.words(_WORDS), rule.numbers(_NUMBERS), rule.times()
    return Rule(Struck(rule.fault, rule.parameters()), words, numbers, times)
