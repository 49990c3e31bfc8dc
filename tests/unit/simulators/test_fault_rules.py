"""Rules of faults: what the scripts of both servers have in common."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.fault_rules import BadRules, FaultRule, ParametrisedFault, ParsedRule, Tally, Value, parse_rules


@dataclass(frozen=True)
class Fault:
    """A fault of no server."""

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    signed: bool = False


FAULTS = {fault.name: fault for fault in (
    Fault("fog", {"metres": 50.0, "colour": "grey"}), Fault("tide", {"metres": 1.0}, signed=True), Fault("calm"),
)}  # fmt: skip
WORDS = {"place": ("bay", "river")}
NUMBERS = ("nth", "every", "after", "until")


def rules(*objects: object) -> list[ParsedRule[Fault]]:
    """Rules as a script holds them."""
    return list(parse_rules(json.dumps(objects), FAULTS, (*WORDS, *NUMBERS)))


def a_rule(times: int | None = None, **numbers: int) -> FaultRule:
    """A rule for calm."""
    return FaultRule(ParametrisedFault(FAULTS["calm"], {}), {}, numbers, times)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 2}, [2]),
        ({"every": 3}, [3, 6]),
        ({"after": 4}, [5, 6]),
        ({"until": 2}, [1, 2]),
        ({"every": 2, "after": 2, "until": 5}, [4]),
        ({"nth": 3, "every": 2}, []),
    ],
)
def test_numbers_hold_together(numbers: dict[str, int], expected: list[int]) -> None:
    """Of six occasions those where every number holds."""
    assert [count for count in range(1, 7) if a_rule(**numbers).holds(count)] == expected


def test_a_tally_counts_what_may_not_be_struck_and_stops_at_the_most() -> None:
    """The second occasion is not allowed to trigger: it is counted, and does not use up one of the two times."""
    tally = Tally((a_rule(times=2), a_rule(nth=9)))
    assert [tally.count(0, permission) for permission in (True, False, True, True)] == [True, False, True, False]
    assert tally.counts() == [{"fault": "calm", "seen": 4, "struck": 2}, {"fault": "calm", "seen": 0, "struck": 0}]


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_no_more_strikes_than_times(permissions: list[bool], interval: int, times: int) -> None:
    """The occasions that trigger are the first `times` of every k-th one that is allowed to."""
    tally = Tally((a_rule(times, every=interval),))
    triggers = [number for number, may in enumerate(permissions, 1) if tally.count(0, may)]
    assert triggers == [number for number, may in enumerate(permissions, 1) if may and number % interval == 0][:times]


def test_a_rule_is_read_in_parts() -> None:
    """What `when` holds by its kind, and the fault's parameters with the values that the rule sets."""
    (rule,) = rules({"fault": "fog", "when": {"nth": 2, "place": "bay"}, "times": 3, "metres": 7})
    assert (rule.number, rule.fault, rule.times()) == (1, FAULTS["fog"], 3)
    assert (rule.words(WORDS), rule.numbers(NUMBERS)) == ({"place": "bay"}, {"nth": 2})
    fault = ParametrisedFault(rule.fault, rule.parameters())
    assert (fault.number("metres"), fault.text("colour")) == (7.0, "grey")


def test_rules_may_stand_in_an_object_and_say_little() -> None:
    """A fault's name is enough."""
    (rule,) = parse_rules(b'{"rules": [{"fault": "tide", "metres": -2, "times": null}]}', FAULTS, ())
    assert (rule.words(WORDS), rule.numbers(NUMBERS), rule.times()) == ({}, {}, None)
    assert rule.parameters() == {"metres": -2}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (7, "rule 2 is not an object"),
        ({"fault": "hail"}, "rule 2: no fault is called 'hail'; --faults lists them"),
        ({}, "rule 2: no fault is called None; --faults lists them"),
        ({"fault": "calm", "when": {"who": 1}}, "rule 2: when takes place, nth, every, after, until"),
        ({"fault": "calm", "when": []}, "rule 2: when takes place, nth, every, after, until"),
        ({"fault": "calm", "when": {"place": "sea"}}, "rule 2: place is one of bay, river, not 'sea'"),
        ({"fault": "calm", "when": {"every": 0}}, "rule 2: every is a whole number from 1, not 0"),
        ({"fault": "calm", "when": {"nth": True}}, "rule 2: nth is a whole number from 1, not True"),
        ({"fault": "calm", "times": 1.0}, "rule 2: times is a whole number from 1, not 1.0"),
        ({"fault": "calm", "metres": 1}, "rule 2: calm takes no parameters, not 'metres'"),
        ({"fault": "fog", "feet": 1}, "rule 2: fog takes metres, colour, not 'feet'"),
        ({"fault": "fog", "metres": -1}, "rule 2: metres of fog cannot be -1"),
        ({"fault": "fog", "metres": "1"}, "rule 2: metres of fog cannot be '1'"),
        ({"fault": "fog", "metres": True}, "rule 2: metres of fog cannot be True"),
        ({"fault": "fog", "colour": 1}, "rule 2: colour of fog cannot be 1"),
    ],
)
def test_a_part_that_cannot_be_meant_is_named_with_its_rule(fields: Any, message: str) -> None:
    """The exact message."""
    with pytest.raises(BadRules) as error:
        [(r.words(WORDS), r.numbers(NUMBERS), r.times(), r.parameters()) for r in rules({"fault": "calm"}, fields)]
    assert str(error.value) == message


@pytest.mark.parametrize("text", ["3", '{"rule": []}', "null", '"calm"'])
def test_what_holds_no_list_is_no_script(text: str) -> None:
    """One line says what a script is."""
    with pytest.raises(BadRules, match=r"^a script is a list of rules, or an object with a list under rules$"):
        list(parse_rules(text, FAULTS, ()))


@given(st.one_of(st.binary(), st.text()))
def test_any_bytes_are_rules_or_refused(text: bytes | str) -> None:
    """Untrusted input raises nothing but `BadRules`; what is JSON here holds no rule."""
    with suppress(BadRules):
        assert list(parse_rules(text, FAULTS, ())) == []
