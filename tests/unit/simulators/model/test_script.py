"""Scripts of faults: when a rule triggers, and which scripts are refused."""

import json
from typing import Any

import pytest

from simulators.model.errors import BadScript
from simulators.model.faults import FAULTS, describe_faults
from simulators.model.script import parse
from tests.unit.simulators.model.chats import a_model, asks_decision, asks_depth, asks_verdict, sent_to


def positions_of(rule: dict[str, Any], *bodies: dict[str, Any]) -> list[int]:
    """The positions of the requests at which a rule for http_500 triggers, the first being 1."""
    model = a_model({"fault": "http_500", **rule})
    return [number for number, body in enumerate(bodies, 1) if sent_to(model, body)[0] == 500]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"when": {"nth": 2}}, [2]),
        ({"when": {"every": 3}}, [3, 6]),
        ({"when": {"until": 2}}, [1, 2]),
        ({"when": {"every": 2, "until": 5}}, [2, 4]),
        ({"times": 4}, [1, 2, 3, 4]),
        ({"when": {"every": 2}, "times": 1}, [2]),
    ],
)
def test_a_rule_counts(rule: dict[str, Any], expected: list[int]) -> None:
    """Of six equal requests the numbers choose those that trigger."""
    assert positions_of(rule, *[asks_depth()] * 6) == expected


def test_a_rule_counts_only_what_fits() -> None:
    """The second verdict of the static agent is the fourth request, whatever stands between."""
    bodies = (asks_verdict(), asks_depth(), asks_decision(), asks_verdict(), asks_verdict())
    assert positions_of({"when": {"agent": "static", "step": "verdict", "nth": 2}}, *bodies) == [4]
    assert positions_of({"when": {"agent": "decision"}}, *bodies) == [3]


def test_a_fault_waits_for_a_reply_that_can_show_it() -> None:
    """A fault of tool calls is not spent on a decision, and a refused request spends none."""
    model = a_model({"fault": "bad_arguments", "times": 1})
    sent_to(model, asks_decision())
    sent_to(model, asks_depth(), key="bad")
    assert model.script.counts() == [{"fault": "bad_arguments", "seen": 0, "struck": 0}]
    sent_to(model, asks_depth())
    sent_to(model, asks_depth())
    assert model.script.counts() == [{"fault": "bad_arguments", "seen": 2, "struck": 1}]


def test_several_faults_strike_at_once() -> None:
    """Three rules on one request are all in the ledger, in the order in which they apply."""
    model = a_model({"fault": "usage_missing"}, {"fault": "fenced"}, {"fault": "weights_off"})
    _, reply = sent_to(model, asks_decision())
    content = reply["choices"][0]["message"]["content"]
    decision = json.loads(content.removeprefix("```json\n").removesuffix("\n```"))
    assert model.ledger.entries[0].faults == ("weights_off", "fenced", "usage_missing")
    assert sum(zone["weight"] for zone in decision["zones"]) == pytest.approx(1.5)
    assert "usage" not in reply


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"faults": []}', "a script is a list of rules"),
        ("[1]", "rule 1 is not an object"),
        ('[{"fault": "gremlin"}]', "rule 1: no fault is called 'gremlin'"),
        ('[{"fault": "length", "when": {"minute": 1}}]', "when takes agent, step, nth, every, until"),
        ('[{"fault": "length"}, {"fault": "length", "when": {"agent": "x"}}]', "rule 2: agent is one of static"),
        ('[{"fault": "length", "when": {"nth": 0}}]', "nth is a whole number from 1, not 0"),
        ('[{"fault": "length", "times": true}]', "times is a whole number from 1, not True"),
        ('[{"fault": "length", "seconds": 1}]', "length takes no parameters, not 'seconds'"),
        ('[{"fault": "keep_alive", "seconds": -1}]', "seconds of keep_alive cannot be -1"),
        ('[{"fault": "wrong_model", "model": 7}]', "model of wrong_model cannot be 7"),
        ('[{"fault": ["length"]}]', "no fault is called"),
        ('[{"fault": "length", "when": {"step": ["call"]}}]', "step is one of call"),
    ],
)
def test_a_script_that_cannot_be_meant_is_refused(script: str, words: str) -> None:
    """Each mistake is named with its rule."""
    with pytest.raises(BadScript) as error:
        parse(script)
    assert words in str(error.value)


def test_every_fault_has_a_sentence() -> None:
    """All 60 are listed, each with a sentence of its own."""
    assert len(FAULTS) == len(describe_faults().splitlines()) == 60
    assert len({fault.effect for fault in FAULTS.values()}) == len(FAULTS)
    assert all(fault.effect.endswith(".") for fault in FAULTS.values())
