"""
A script: rules that decide which occasions trigger which faults.

    [{"when": {"stream": "trades", "nth": 2}, "fault": "duplicate", "times": 1, "copies": 3}, …]

A rule counts the occasions that match it: messages of its `stream` to at least one client, requests for its `path`,
connections, or steps of the market. Among those choose `nth`, `every`, `after`, `until` and `times` as in
`simulators.fault_rules`, `id` one message (an agg id; an update id of a diff), and `chance` a random part, decided by
the seed and the message's id alone; all that are given must hold. `connection` limits a fault of messages to the k-th
client that connected.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import get_args

from simulators.exchange.errors import ScriptError
from simulators.exchange.faults.faults import FAULTS, Fault, Place, Stream
from simulators.fault_rules import BadRules, FaultRule, ParametrisedFault, ParsedRule, Tally, parse_rules

PATHS = ("ping", "time", "exchangeInfo", "depth", "aggTrades")

_NUMBERS = ("nth", "every", "after", "until", "id", "connection")
_WORDS: Mapping[str, tuple[str, ...]] = {"stream": get_args(Stream), "path": PATHS}
_PLACE_OF: Mapping[str, Place] = {"stream": "message", "path": "request", "id": "message", "connection": "message"}
_MAX_TRIGGERS = 100_000  # bounds the memory of a script that triggers for days


@dataclass(frozen=True, slots=True)
class Occasion:
    """
    Something that may trigger a fault.

    Attributes:
        word: a message's stream, a request's path; empty for connections and steps.
        first, last: the ids of a message; for anything else its number, the first being 1.
    """

    place: Place
    word: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class TriggeredFault(ParametrisedFault):
    """A fault with its parameters, for one client's connection (the first being 1) or for all (None)."""

    definition: Fault
    connection: int | None


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """A trigger: the number of the rule (the first being 1), its fault, and word and last id of the occasion."""

    rule: int
    fault: str
    word: str
    number: int


@dataclass(frozen=True, slots=True)
class Rule(FaultRule):
    """
    When a fault is triggered.

    Attributes:
        chance: probability that a matching occasion is allowed to trigger, from 0 to 1.
    """

    fault: TriggeredFault
    chance: float

    def matches(self, occasion: Occasion) -> bool:
        """Whether an occasion is counted."""
        definition = self.fault.definition
        words = (*self.words.values(), definition.path or occasion.word)
        return definition.place == occasion.place and all(word == occasion.word for word in words)


class Script(Tally[Rule]):
    """
    Rules, and for each of them the number of matching occasions and of triggers.

    Args:
        rules: in the order of their numbers.
        seed: decides which occasions rules with a chance allow.

    Attributes:
        triggers: the newest triggers, oldest first.
    """

    def __init__(self, rules: tuple[Rule, ...] = (), seed: int = 0) -> None:
        super().__init__(rules)
        self.triggers: deque[TriggerRecord] = deque(maxlen=_MAX_TRIGGERS)
        self._seed = seed
        self._places = {rule.fault.definition.place for rule in rules}

    def trigger(self, occasion: Occasion) -> list[TriggeredFault]:
        """Count an occasion, and return the faults that it triggers, in the order of the table."""
        if occasion.place not in self._places:
            return []
        faults = []
        for i, rule in enumerate(self.rules):
            if rule.matches(occasion) and self.count(i, self._is_allowed(i, rule, occasion)):
                self.triggers.append(TriggerRecord(i + 1, rule.fault.name, occasion.word, occasion.last))
                faults.append(rule.fault)
        order = list(FAULTS)
        return sorted(faults, key=lambda fault: order.index(fault.name))

    def _is_allowed(self, index: int, rule: Rule, occasion: Occasion) -> bool:
        if not occasion.first <= rule.numbers.get("id", occasion.first) <= occasion.last:
            return False
        if rule.chance >= 1:
            return True
        text = f"{self._seed} {index} {occasion.place} {occasion.word} {occasion.last}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) < rule.chance * 2**64


def parse(text: bytes | str, seed: int = 0) -> Script:
    """
    Parse a script: JSON, a list of rules or an object with the list under `rules`.

    Raises:
        ScriptError: it cannot be read, or names what does not exist.
    """
    try:
        return Script(tuple(map(_rule, parse_rules(text, FAULTS, (*_WORDS, *_NUMBERS, "chance")))), seed)
    except BadRules as error:
        raise ScriptError(str(error)) from None


def _rule(rule: ParsedRule[Fault]) -> Rule:
    fault = rule.fault
    for name in rule.when:
        if _PLACE_OF.get(name, fault.place) != fault.place:
            raise rule.error(f"{fault.name} is a fault of a {fault.place}, which has no {name}")
    words, numbers, times = rule.words(_WORDS), rule.numbers(_NUMBERS), rule.times()
    placed_fault = TriggeredFault(fault, rule.parameters(), numbers.pop("connection", None))
    return Rule(placed_fault, words, numbers, times, _chance(rule))


def _chance(rule: ParsedRule[Fault]) -> float:
    chance = rule.when.get("chance", 1)
    if not isinstance(chance, int | float) or isinstance(chance, bool) or not 0 <= chance <= 1:
        raise rule.error(f"chance is a number from 0 to 1, not {chance!r}")
    return float(chance)
