"""
A script: rules that decide which requests trigger which faults.

    [{"when": {"agent": "static", "step": "call", "nth": 2}, "fault": "bad_arguments", "times": 1}, …]

A rule counts the requests that match its agent and step and whose reply can show its fault. `nth`, `every`, `until` and
`times` choose among those, as in `simulators.fault_rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from simulators.fault_rules import BadRules, FaultRule, ParametrisedFault, ParsedRule, Tally, parse_rules
from simulators.model.errors import BadScript
from simulators.model.faults import FAULTS, Fault
from simulators.model.situation import Agent, Situation, Step

_NUMBERS = ("nth", "every", "until")
_WORDS: Mapping[str, tuple[str, ...]] = {"agent": get_args(Agent), "step": get_args(Step)}


@dataclass(frozen=True, slots=True)
class TriggeredFault(ParametrisedFault):
    """A fault of one reply, with its parameters."""

    definition: Fault


@dataclass(frozen=True, slots=True)
class Rule(FaultRule):
    """When a fault is triggered."""

    fault: TriggeredFault

    def matches(self, situation: Situation) -> bool:
        """Whether a request is counted."""
        where = self.fault.definition.where
        visible = where == "any" or situation.step == where or (where == "thinking" and situation.thinking)
        return visible and all(getattr(situation, name) == word for name, word in self.words.items())


class Script(Tally[Rule]):
    """Rules, and for each of them the number of matching requests and of triggers; requests come in one at a time."""

    def trigger(self, situation: Situation) -> list[TriggeredFault]:
        """Count a request, and return the faults that it triggers, in the order of the table."""
        faults = [rule.fault for i, rule in enumerate(self.rules) if rule.matches(situation) and self.count(i)]
        order = list(FAULTS)
        return sorted(faults, key=lambda fault: order.index(fault.name))


def parse(text: bytes | str) -> Script:
    """
    Parse a script: JSON, a list of rules or an object with the list under `rules`.

    Raises:
        BadScript: it cannot be read, or names what does not exist.
    """
    try:
        return Script(tuple(map(_rule, parse_rules(text, FAULTS, (*_WORDS, *_NUMBERS)))))
    except BadRules as error:
        raise BadScript(str(error)) from None


def _rule(rule: ParsedRule[Fault]) -> Rule:
    words, numbers, times = rule.words(_WORDS), rule.numbers(_NUMBERS), rule.times()
    return Rule(TriggeredFault(rule.fault, rule.parameters()), words, numbers, times)
