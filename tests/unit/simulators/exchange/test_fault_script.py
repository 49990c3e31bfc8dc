"""Scripts of faults: which occasions trigger them, and which scripts are refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.exchange.errors import ScriptError
from simulators.exchange.faults.faults import FAULTS, describe_faults
from simulators.exchange.faults.script import Occasion, Script, parse


def ids_triggered(script: Script, occasions: list[Occasion]) -> list[int]:
    """The last ids of the occasions that triggered."""
    return [occasion.last for occasion in occasions if script.trigger(occasion)]


def trades(count: int) -> list[Occasion]:
    """Trades with ids from 1001 on."""
    return [Occasion("message", "trades", 1001 + i, 1001 + i) for i in range(count)]


def rule(fault: str = "missing", times: int | None = None, **when: Any) -> Script:
    """A script of one rule."""
    return parse(json.dumps([{"when": when, "fault": fault, **({} if times is None else {"times": times})}]), seed=3)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, [1001, 1002, 1003, 1004, 1005, 1006]),
        ({"nth": 2}, [1002]),
        ({"every": 3}, [1003, 1006]),
        ({"after": 4}, [1005, 1006]),
        ({"until": 2}, [1001, 1002]),
        ({"after": 1, "until": 5, "every": 2}, [1002, 1004]),
        ({"id": 1004}, [1004]),
        ({"stream": "diffs"}, []),
        ({"chance": 0}, []),
        ({"chance": 1}, [1001, 1002, 1003, 1004, 1005, 1006]),
    ],
)
def test_when_selects(when: dict[str, Any], expected: list[int]) -> None:
    """Each condition by itself, and some together."""
    assert ids_triggered(rule(**when), trades(6)) == expected


def test_times_is_the_most_it_strikes() -> None:
    """Only the first two of every second one."""
    assert ids_triggered(rule(times=2, every=2), trades(8)) == [1002, 1004]


def test_an_id_inside_a_diff_is_struck() -> None:
    """A diff from 10 to 20 holds update id 15."""
    diffs = [Occasion("message", "diffs", 1, 9), Occasion("message", "diffs", 10, 20)]
    assert ids_triggered(rule(id=15), diffs) == [20]


@given(st.sets(st.integers(0, 499)))
def test_chance_depends_on_the_message_alone(indices: set[int]) -> None:
    """A client with fewer of the messages gets the same faults for those."""
    occasions = trades(500)
    expected = set(ids_triggered(rule(chance=0.3), occasions))
    part = ids_triggered(rule(chance=0.3), [occasions[i] for i in sorted(indices)])
    assert part == [1001 + i for i in sorted(indices) if 1001 + i in expected]


def test_chance_is_about_as_often_as_it_says_and_the_seed_decides() -> None:
    """Of 10,000 about 3,000; two seeds choose differently, one seed always the same."""
    text = '[{"when": {"chance": 0.3}, "fault": "missing"}]'
    first, again, other = (ids_triggered(parse(text, seed), trades(10_000)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert abs(len(first) - 3_000) < 5 * 46  # five standard deviations


def test_strikes_and_counts_are_kept() -> None:
    """The triggers, their rules, and the number of occasions counted."""
    script = rule(nth=2)
    ids_triggered(script, trades(3))
    assert [(s.rule, s.fault, s.word, s.number) for s in script.triggers] == [(1, "missing", "trades", 1002)]
    assert script.counts() == [{"fault": "missing", "seen": 3, "struck": 1}]


def test_faults_of_one_message_come_in_the_order_of_the_table() -> None:
    """However the rules are written, the disconnect goes before the duplicate."""
    script = parse('[{"fault": "duplicate"}, {"fault": "disconnect_abrupt"}]')
    assert [fault.name for fault in script.trigger(trades(1)[0])] == ["disconnect_abrupt", "duplicate"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "list of rules"),
        ("[3]", "not an object"),
        ('[{"fault": "flood"}]', "no fault is called 'flood'"),
        ('[{"fault": "missing", "when": {"where": 1}}]', "when takes"),
        ('[{"fault": "missing", "when": {"stream": "ticker"}}]', "stream is one of"),
        ('[{"fault": "missing", "when": {"path": "depth"}}]', "has no path"),
        ('[{"fault": "http_429", "when": {"stream": "trades"}}]', "has no stream"),
        ('[{"fault": "clock_skew", "when": {"id": 5}}]', "has no id"),
        ('[{"fault": "missing", "when": {"nth": 0}}]', "whole number from 1"),
        ('[{"fault": "missing", "when": {"nth": true}}]', "whole number from 1"),
        ('[{"fault": "missing", "when": {"chance": 1.5}}]', "from 0 to 1"),
        ('[{"fault": "missing", "times": 0}]', "times is a whole number"),
        ('[{"fault": "missing", "colour": 1}]', "takes everywhere"),
        ('[{"fault": "reset", "colour": 1}]', "takes no parameters"),
        ('[{"fault": "delayed", "seconds": -1}]', "cannot be -1"),
        ('[{"fault": "delayed", "seconds": "1"}]', "cannot be '1'"),
        ('[{"fault": "symbol_status", "status": 1}]', "cannot be 1"),
    ],
)
def test_nonsense_is_refused(text: str, message: str) -> None:
    """One line that names the rule and what is wrong with it."""
    with pytest.raises(ScriptError, match=message):
        parse(text)


def test_a_clock_may_be_slow() -> None:
    """Parameters of clocks may be negative."""
    (fault,) = parse('[{"fault": "clock_skew", "ms": -5000}]').trigger(Occasion("step", "", 1, 1))
    assert fault.number("ms") == -5000


def test_every_fault_is_listed_in_a_line_that_ends_its_sentence() -> None:
    """As many lines as faults, each with its name first and a full sentence."""
    lines = describe_faults().splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)
    assert [fault.name for fault in FAULTS.values() if not fault.effect.endswith(".")] == []
