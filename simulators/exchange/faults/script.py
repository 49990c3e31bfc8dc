"""
A script: rules that say where which faults strike.

    [{"when": {"stream": "trades", "nth": 2}, "fault": "duplicate", "times": 1, "copies": 3}, …]

A rule counts what fits it: messages of its `stream` that somebody hears, requests for its `path`, connections, or steps
of the market. Among those `nth`, `every`, `after`, `until` and `times` choose as `simulators.fault_rules` says, `id`
one message (an agg id; an update id of a diff), `chance` some, chosen by the seed and the message's own id alone;
together they all must hold. `connection` confines a fault of messages to the k-th client that connected.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import get_args

from simulators.exchange.errors import ScriptError
from simulators.exchange.faults.faults import FAULTS, Fault, Place, Stream
from simulators.fault_rules import BadRules, FaultRule, StruckFault, Tally, Written, written

PATHS = ("ping", "time", "exchangeInfo", "depth", "aggTrades")

_NUMBERS = ("nth", "every", "after", "until", "id", "connection")
_WORDS: Mapping[str, tuple[str, ...]] = {"stream": get_args(Stream), "path": PATHS}
_PLACE_OF: Mapping[str, Place] = {"stream": "message", "path": "request", "id": "message", "connection": "message"}
_MAX_STRIKES = 100_000


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
class Struck(StruckFault):
    """A fault that strikes, with its parameters, on one client's connection or (None) on all."""

    fault: Fault
    connection: int | None


@dataclass(frozen=True, slots=True)
class Strike:
    """What was struck: the rule's number, the first being 1, its fault, and the occasion's word and last id."""

    rule: int
    fault: str
    word: str
    number: int


@dataclass(frozen=True, slots=True)
class Rule(FaultRule):
    """
    When a fault strikes.

    Attributes:
        chance: from 0 to 1.
    """

    struck: Struck
    chance: float

    def fits(self, occasion: Occasion) -> bool:
        """Whether an occasion is counted."""
        fault = self.struck.fault
        words = (*self.words.values(), fault.only or occasion.word)
        return fault.place == occasion.place and all(word == occasion.word for word in words)


class Script(Tally[Rule]):
    """
    Rules, and how often each has counted and struck.

    Args:
        seed: decides what rules with a chance strike.

    Attributes:
        strikes: the newest, in the order in which they struck.
    """

    def __init__(self, rules: tuple[Rule, ...] = (), seed: int = 0) -> None:
        super().__init__(rules)
        self.strikes: deque[Strike] = deque(maxlen=_MAX_STRIKES)
        self._seed = seed
        self._places = {rule.struck.fault.place for rule in rules}

    def due(self, occasion: Occasion) -> list[Struck]:
        """The faults that strike here, in the order of the table; this counts the occasion."""
        if occasion.place not in self._places:
            return []
        found = []
        for at, rule in enumerate(self.rules):
            if rule.fits(occasion) and self.count(at, self._may(at, rule, occasion)):
                self.strikes.append(Strike(at + 1, rule.struck.fault.name, occasion.word, occasion.last))
                found.append(rule.struck)
        order = list(FAULTS)
        return sorted(found, key=lambda struck: order.index(struck.fault.name))

    def _may(self, at: int, rule: Rule, occasion: Occasion) -> bool:
        if not occasion.first <= rule.numbers.get("id", occasion.first) <= occasion.last:
            return False
        if rule.chance >= 1:
            return True
        text = f"{self._seed} {at} {occasion.place} {occasion.word} {occasion.last}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) < rule.chance * 2**64


def parse(text: bytes | str, seed: int = 0) -> Script:
    """
    A script from its JSON: a list of rules, or an object with `rules`.

    Raises:
        ScriptError: it cannot be read, or names what does not exist.
    """
    try:
        return Script(tuple(map(_rule, written(text, FAULTS, (*_WORDS, *_NUMBERS, "chance")))), seed)
    except BadRules as error:
        raise ScriptError(str(error)) from None


def _rule(rule: Written[Fault]) -> Rule:
    fault = rule.fault
    for name in rule.when:
        if _PLACE_OF.get(name, fault.place) != fault.place:
            raise rule.bad(f"{fault.name} strikes a {fault.place}, which has no {name}")
    words, numbers, times = rule.words(_WORDS), rule.numbers(_NUMBERS), rule.times()
    struck = Struck(fault, rule.parameters(), numbers.pop("connection", None))
    return Rule(struck, words, numbers, times, _chance(rule))


def _chance(rule: Written[Fault]) -> float:
    chance = rule.when.get("chance", 1)
    if not isinstance(chance, int | float) or isinstance(chance, bool) or not 0 <= chance <= 1:
        raise rule.bad(f"chance is a number from 0 to 1, not {chance!r}")
    return float(chance)
