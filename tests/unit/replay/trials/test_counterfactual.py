"""Asking about the past: each missing answer once, on what was known then, few at a time, and nothing paid for lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.llm.client.errors import NoReply
from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.conversation.prompts import load
from agents.llm.recorded import RecordedAnalyst
from agents.rules import RulesAnalyst
from analysis.render.view_json import render_view
from analysis.view import MarketView
from eventlog.clock import ManualClock
from eventlog.store.log import Log
from replay.decisions import Ticks, ticks_between
from replay.trials.answer import Arm
from replay.trials.answers import Answers
from replay.trials.counterfactual import Asker, ask_all, live_ticks, select_ticks, ticks_with_stale_answers, views_at
from replay.trials.course import MAX_REFUSED, AskingResult
from tests.fakes.model_client import SimulatedClient
from tests.market_builders import SIGHT, SMALL, a_market, write_log

PROMPTS = load("default", "en")
ASKING = ModelOptions("deepseek-flash", "compact")
SIDE = Arm("binance:TESTUSDT", "log", ASKING, "default", "en", PROMPTS.digest, "", {}, "")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Forty recorded minutes."""
    return write_log(tmp_path_factory.mktemp("log"), a_market(61, 40), segments=3)


@pytest.fixture(scope="module")
def ticks(log: Log) -> Ticks:
    """The last live ticks of them."""
    live = live_ticks(log, ticks_between(log, 0, 2**62))
    return select_ticks(live, live.seq.tolist()[-8:])


def asker(client: SimulatedClient) -> Asker:
    """Someone who asks a simulated model at a time that stands still."""
    return Asker(client, PROMPTS, ASKING, SMALL, ManualClock(0), lambda attempt: attempt.charge.total, "code")


def ask(
    log: Log, ticks: Ticks, answers: Answers, client: SimulatedClient, repeats: int = 1, concurrency: int = 3
) -> tuple[AskingResult, int]:
    """Ask what is missing; returns how it ended and how much progress was told."""
    missing = answers.missing_repeats(ticks.seq.tolist(), repeats)
    steps: list[int] = []
    views = views_at(log, select_ticks(ticks, missing), SIGHT)
    result = asyncio.run(ask_all(views, missing, answers, asker(client), concurrency, steps.append))
    return result, sum(steps)


def test_views_are_those_of_the_ticks(log: Log, ticks: Ticks) -> None:
    """One view a tick, in order, the same whether all are looked at or only some."""
    all_views = {v.as_of_seq: render_view(v) for v in views_at(log, ticks, SIGHT)}
    assert list(all_views) == ticks.seq.tolist()
    some = select_ticks(ticks, ticks.seq.tolist()[2:6:3])
    assert {v.as_of_seq: render_view(v) for v in views_at(log, some, SIGHT)} == {
        s: all_views[s] for s in some.seq.tolist()
    }


def test_ticks_without_live_trades_are_left_out(log: Log) -> None:
    """At them nobody decides, so nobody asks."""
    all_ticks = ticks_between(log, 0, 2**62)
    live = live_ticks(log, all_ticks)
    left_out = set(all_ticks.seq.tolist()) - set(live.seq.tolist())
    states = {
        int(seq): state
        for batch in log.read(kinds=["tick"])
        if "tick" in batch.rows
        for seq, state in zip(batch.rows["tick"]["seq"], batch.rows["tick"]["trades"], strict=True)
    }
    assert left_out == {seq for seq, state in states.items() if state != "live"} != set()


def test_each_missing_answer_is_asked_once(log: Log, ticks: Ticks, tmp_path: Path) -> None:
    """All repeats of all ticks; asked again, not one request is sent."""
    client = SimulatedClient()
    with Answers(tmp_path, SIDE) as answers:
        assert ask(log, ticks, answers, client, repeats=2) == (AskingResult(), 16)
        assert answers.missing_repeats(ticks.seq.tolist(), 2) == {}
        assert len(client.requests) == 16 * 2
        assert ask(log, ticks, answers, client, repeats=2) == (AskingResult(), 0)
        assert len(client.requests) == 16 * 2
        assert ask(log, ticks, answers, client, repeats=3) == (AskingResult(), 8)


def test_few_are_under_way_at_once(log: Log, ticks: Ticks, tmp_path: Path) -> None:
    """Never more conversations than allowed, and no view is worked out before somebody is free to ask about it."""
    client, ahead = SimulatedClient(until_at_once=3), []
    views = views_at(log, ticks, SIGHT)
    worked_out = 0

    def count() -> Iterator[MarketView]:
        nonlocal worked_out
        for view in views:
            worked_out += 1
            ahead.append(worked_out - steps)
            yield view

    steps = 0

    def progress(n: int) -> None:
        nonlocal steps
        steps += n

    with Answers(tmp_path, SIDE) as answers:
        missing = answers.missing_repeats(ticks.seq.tolist(), 2)
        asyncio.run(ask_all(count(), missing, answers, asker(client), 3, progress))
    assert client.most_at_once == 3
    assert max(ahead) <= 3


def test_what_is_stored_decides_again(log: Log, ticks: Ticks, tmp_path: Path) -> None:
    """From the tape the recorded analyst decides by itself what the model decided, tick by tick, and never asks."""
    client = SimulatedClient()
    with Answers(tmp_path, SIDE) as answers:
        ask(log, ticks, answers, client)
        tape = answers.recording.cassette(0)
        answers_by_seq = {a.seq: a for a in answers.recording.answers(ticks.seq.tolist(), [0])}
    analyst = RecordedAnalyst(tape, lambda: PROMPTS, ASKING, RulesAnalyst(SMALL), SMALL, "deepseek")
    advice = {v.as_of_seq: analyst.decide(v) for v in views_at(log, ticks, SIGHT)}
    assert {seq: a.fallback for seq, a in advice.items()} == {seq: a.fallback for seq, a in answers_by_seq.items()}
    assert {a.model for a in advice.values() if a.fallback is None} == {"deepseek-flash"}
    assert sum(a.fallback is None for a in advice.values()) == 8
    assert ticks_with_stale_answers(views_at(log, ticks, SIGHT), analyst) == set()


def test_answers_to_other_questions_are_outdated(log: Log, ticks: Ticks, tmp_path: Path) -> None:
    """Where other questions would be asked by now, the tick is named."""
    with Answers(tmp_path, SIDE) as answers:
        ask(log, ticks, answers, SimulatedClient())
        tape = answers.recording.cassette(0)
    other = RecordedAnalyst(tape, lambda: load("default", "zh"), ASKING, RulesAnalyst(SMALL), SMALL, "deepseek")
    assert ticks_with_stale_answers(views_at(log, ticks, SIGHT), other) == set(ticks.seq.tolist())


@pytest.mark.parametrize("verdict", ["no_balance", "unauthorised", "no_budget", "unreachable", "bad_request"])
def test_a_fault_of_today_ends_the_asking(log: Log, ticks: Ticks, tmp_path: Path, verdict: str) -> None:
    """It says nothing about the minute: asking stops, what was paid for is kept, the next time goes on from there."""
    fault = NoReply(verdict, "told plainly")  # type: ignore[arg-type]
    with Answers(tmp_path, SIDE) as answers:
        result, stored_count = ask(log, ticks, answers, SimulatedClient(faults={6: fault}), concurrency=1)
        assert result.stopped == f"{verdict}: told plainly"
        assert stored_count == 2
        incomplete = [a for a in answers.recording.all_answers() if not a.whole]
        assert [len(a.calls) for a in incomplete] == [1]
        assert ask(log, ticks, answers, SimulatedClient(), concurrency=1) == (AskingResult(), 6)


def refuse_first(*numbers: int, status: int = 400) -> dict[int, NoReply]:
    """Requests that are refused, by their number."""
    return {n: NoReply("bad_request", f"HTTP {status}", "no such model", status) for n in numbers}


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_server_that_refuses_every_request_is_left_alone(
    log: Log, ticks: Ticks, tmp_path: Path, concurrency: int
) -> None:
    """After a few conversations, not after all; nothing is stored, and the operator reads the server's reason."""
    client = SimulatedClient(faults=refuse_first(*range(1, 99)))
    with Answers(tmp_path, SIDE) as answers:
        result, stored_count = ask(log, ticks, answers, client, repeats=4, concurrency=concurrency)
        assert (result, stored_count) == (AskingResult("bad_request: HTTP 400: no such model", lasts=True), 0)
        assert MAX_REFUSED <= len(client.requests) < MAX_REFUSED + concurrency
        assert len(answers.missing_repeats(ticks.seq.tolist(), 4)) == len(ticks)
    few = SimulatedClient(faults=refuse_first(*range(1, 99)))
    with Answers(tmp_path, SIDE) as answers:
        result, stored_count = ask(log, select_ticks(ticks, ticks.seq.tolist()[:2]), answers, few)
        assert (result.stopped, result.lasts, stored_count) == ("bad_request: HTTP 400: no such model", True, 0)


@pytest.mark.parametrize("number", [1, 6, 15])
def test_one_request_that_is_refused_is_its_minutes_answer(log: Log, ticks: Ticks, tmp_path: Path, number: int) -> None:
    """Where the others are answered, first, in between or last: one bad minute keeps no other from being had."""
    with Answers(tmp_path, SIDE) as answers:
        client = SimulatedClient(faults=refuse_first(number, status=422))
        assert ask(log, ticks, answers, client, concurrency=1) == (AskingResult(), 8)
        endings = [a.fallback for a in answers.recording.answers(ticks.seq.tolist(), [0])]
        assert sorted(endings, key=str) == [None] * 7 + ["bad_request: HTTP 422"]
        paid = sum(len(a.calls) for a in answers.recording.all_answers())
        assert paid == len(client.requests) - 1


def test_the_last_missing_minute_may_be_refused(log: Log, ticks: Ticks, tmp_path: Path) -> None:
    """What was answered before says that the server works: the minute has its answer, and the command an end."""
    with Answers(tmp_path, SIDE) as answers:
        ask(log, select_ticks(ticks, ticks.seq.tolist()[:-1]), answers, SimulatedClient())
        assert ask(log, ticks, answers, SimulatedClient(faults=refuse_first(1))) == (AskingResult(), 1)
        assert answers.missing_repeats(ticks.seq.tolist(), 1) == {}


def test_a_server_that_begins_to_refuse_is_left_alone(log: Log, ticks: Ticks, tmp_path: Path) -> None:
    """What it answered is kept; what it refused is asked again the next time, and what that had cost counts."""
    with Answers(tmp_path, SIDE) as answers:
        client = SimulatedClient(faults=refuse_first(6, *range(7, 99)))
        result, stored_count = ask(log, ticks, answers, client, concurrency=1)
        assert (result.lasts, stored_count) == (True, 2)
        assert len(client.requests) == 5 + MAX_REFUSED
        assert sum(len(a.calls) for a in answers.recording.all_answers()) == 5
        assert ask(log, ticks, answers, SimulatedClient(), concurrency=1) == (AskingResult(), 6)


@pytest.mark.parametrize("status", [301, 308, 403, 404, 405, 410, 451])
def test_a_refusal_of_the_whole_endpoint_ends_at_once(log: Log, ticks: Ticks, tmp_path: Path, status: int) -> None:
    """It is about no request: one is enough."""
    client = SimulatedClient(faults=refuse_first(1, status=status))
    with Answers(tmp_path, SIDE) as answers:
        result, stored_count = ask(log, ticks, answers, client, concurrency=1)
    assert (len(client.requests), result.lasts, stored_count) == (1, True, 0)


def test_a_fault_of_the_minute_is_its_answer(log: Log, ticks: Ticks, tmp_path: Path) -> None:
    """A reply that did not come in time is stored as the fallback it would have been live, and not asked again."""
    faults = {2: NoReply("timeout", "no reply before the deadline")}
    with Answers(tmp_path, SIDE) as answers:
        assert ask(log, ticks, answers, SimulatedClient(faults=faults), concurrency=1) == (AskingResult(), 8)
        first = answers.recording.answer(int(ticks.seq[0]), 0)
        assert (first.fallback, len(first.calls)) == ("timeout: no reply before the deadline", 1)
        assert answers.missing_repeats(ticks.seq.tolist(), 1) == {}


def test_cancelled_it_loses_only_what_is_under_way(log: Log, ticks: Ticks, tmp_path: Path) -> None:
    """Answers stored before stay; what the broken conversations had cost is kept; the rest is asked the next time."""
    client = SimulatedClient(pause_s=0.02)

    async def cut_off(answers: Answers) -> None:
        missing = answers.missing_repeats(ticks.seq.tolist(), 1)
        enough = asyncio.Event()
        views = views_at(log, ticks, SIGHT)
        asking = asyncio.create_task(ask_all(views, missing, answers, asker(client), 2, lambda _: enough.set()))
        await enough.wait()
        await asyncio.sleep(0.03)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    with Answers(tmp_path, SIDE) as answers:
        asyncio.run(cut_off(answers))
        remaining = answers.missing_repeats(ticks.seq.tolist(), 1)
        assert 0 < len(remaining) < 8
        paid = sum(len(a.calls) for a in answers.recording.all_answers())
        assert (8 - len(remaining)) * 2 <= paid <= len(client.requests)
        assert ask(log, ticks, answers, SimulatedClient()) == (AskingResult(), len(remaining))
