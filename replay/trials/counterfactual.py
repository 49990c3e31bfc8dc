"""
Asking a model today about minutes of the past: the log is driven once, and every tick that still lacks an answer is
asked about on what was known at it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from agents.analyst import Analyst
from agents.llm.client.errors import NoReply
from agents.llm.conversation.dialogue import Agent, ModelOptions, Outcome, Turn, converse, proceed
from agents.llm.conversation.prompts import Prompts
from agents.llm.deepseek import deadline_ns
from agents.llm.firewall.admit import problem_of_view
from agents.llm.recorded import MissingCall
from agents.llm.wire.api import Attempt, Reply, Request, Usage, Verdict, digest_of
from analysis.observe import Observer
from analysis.parameters import Parameters
from analysis.view import MarketView
from eventlog.clock import Clock
from eventlog.facts.capture import TICK
from eventlog.store.batch import Batch
from eventlog.store.log import Log
from projections.state import MarketState, TickEntry
from replay.decisions import Ticks
from replay.trials.answer import Answer, Call
from replay.trials.answers import Answers
from replay.trials.course import AskingResult, Course
from runtime.analysis_config import AnalysisConfig
from runtime.loop import drive
from runtime.warm_up import read_with_warm_up, state_of

BatchChange = Callable[[Iterable[Batch]], Iterable[Batch]]
"""Makes another market of a log's batches before anything is folded."""

ENDING_VERDICTS: frozenset[Verdict] = frozenset(
    {"no_balance", "unauthorised", "no_budget", "unreachable", "bad_request"}
)
"""Faults that say nothing about the minute that was asked about: asking ends, and the minute is asked about again."""

_ABOUT_ONE_REQUEST = frozenset({400, 413, 422})


class Client(Protocol):
    """What is needed of a model's client; see `ModelClient`."""

    async def complete(self, request: Request, until_ns: int, on_attempt: Callable[[Attempt], None]) -> Reply:
        """The reply to a request."""


@dataclass(frozen=True, slots=True)
class Asker:
    """
    Who asks, and how.

    Attributes:
        cost_usd_e12: of an attempt. code: the digest that answers are marked with.
    """

    client: Client
    prompts: Prompts
    options: ModelOptions
    parameters: Parameters
    clock: Clock
    cost_usd_e12: Callable[[Attempt], int]
    code: str


def live_ticks(log: Log, ticks: Ticks) -> Ticks:
    """Those of some ticks that were reached with trades live: at the others nobody decides anything."""
    if len(ticks) == 0:
        return ticks
    live = [np.empty(0, np.int64)]
    for batch in log.read(int(ticks.seq[0]) - 1, int(ticks.seq[-1]), [TICK], {TICK: ("trades",)}):
        rows = batch.rows.get(TICK)
        if rows is not None:
            live.append(rows["seq"][rows["trades"] == "live"])
    return select_ticks(ticks, np.concatenate(live).tolist())


def select_ticks(ticks: Ticks, seqs: Iterable[int]) -> Ticks:
    """Those of some ticks that have one of some seqs."""
    kept = np.isin(ticks.seq, np.fromiter(seqs, np.int64))
    return Ticks(ticks.seq[kept], ticks.boundary_ns[kept], ticks.recv_ns[kept])


def views_at(log: Log, ticks: Ticks, config: AnalysisConfig, change: BatchChange = iter) -> Iterator[MarketView]:
    """
    What is seen at each of some ticks, one after the other: the log is read no further than the view that is asked for.
    """
    if len(ticks) == 0:
        return
    state = state_of(log, config.windows)
    observer = Observer(config.symbol, state, config.parameters)
    wanted = frozenset(ticks.seq.tolist())
    seen: list[MarketView] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.seq in wanted:
            seen.append(observer.observe(tick, now))

    for batch in change(warmed_up(log, int(ticks.boundary_ns[0]), int(ticks.seq[-1]), config.windows)):
        rows = batch.rows.get(TICK)
        for piece in [batch] if rows is None else batch.split_after(rows["seq"]):
            drive([piece], state, on_tick)
            yield from seen
            seen.clear()


def ticks_with_stale_answers(views: Iterable[MarketView], analyst: Analyst) -> set[int]:
    """The ticks whose recorded answers do not fit what would be asked now."""
    found = set()
    for view in views:
        try:
            analyst.decide(view)
        except MissingCall:
            found.add(view.as_of_seq)
    return found


async def ask_all(
    views: Iterator[MarketView],
    missing: Mapping[int, Sequence[int]],
    answers: Answers,
    asker: Asker,
    concurrency: int,
    on_progress: Callable[[int], None],
) -> AskingResult:
    """
    Ask about every view as often as is missing, and store each answer as it comes.

    A view is worked out when somebody is free to ask about it, so that few are held at once. Cancelling it loses what
    is under way and nothing else: what is stored is not asked again.
    """
    course, free = Course(answers, on_progress), asyncio.Semaphore(concurrency)

    async def one(view: MarketView, repeat: int) -> None:
        try:
            if course.asked.stopped is None:
                course.add(*await _answer(view, repeat, asker, answers.add))
        except NoReply as fault:
            course.stop(fault)
        finally:
            free.release()

    async with asyncio.TaskGroup() as group:
        while course.asked.stopped is None:
            async with free:
                view = await asyncio.to_thread(next, views, None)
            if view is None:
                break
            for repeat in missing.get(view.as_of_seq, ()):
                await free.acquire()
                group.create_task(one(view, repeat))
    course.end()
    return course.asked


async def _answer(
    view: MarketView, repeat: int, asker: Asker, keep: Callable[[Answer], None]
) -> tuple[Answer, NoReply | None]:
    """
    One conversation, and the refusal that it ended with where this may be about its request alone; what was paid for is
    kept even where it comes to nothing.

    Raises:
        NoReply: there is no use in asking on.
    """
    started = asker.clock.now_ns()
    until = started + deadline_ns(view) - view.as_of_ns
    calls: list[Call] = []
    ended, refusal = False, None

    def made(whole: bool, outcome: Outcome, took: Sequence[Call]) -> Answer:
        return Answer(
            seq=view.as_of_seq,
            as_of_ns=view.as_of_ns,
            repeat=repeat,
            prompt_digest=asker.prompts.digest,
            code=asker.code,
            whole=whole,
            fallback=None if outcome.decision else outcome.reason,
            cut=outcome.cut,
            took_ms=(asker.clock.now_ns() - started) // 1_000_000,
            calls=tuple(took),
            model=outcome.model,
            anomalies=tuple(outcome.anomalies),
            refusals=tuple(outcome.refusals),
            numbers=outcome.numbers,
            ungrounded=outcome.ungrounded,
        )

    def note(agent: Agent, attempt: Attempt) -> None:
        call = _call_of(agent, attempt, asker.cost_usd_e12(attempt))
        if not ended:
            calls.append(call)
        elif call.charged != Usage():
            keep(made(False, Outcome(reason="came late", cut=True), [call]))

    try:
        outcome = await _converse(view, asker, until, note)
    except (NoReply, asyncio.CancelledError) as fault:
        if isinstance(fault, asyncio.CancelledError) or (
            fault.verdict in ENDING_VERDICTS and not _is_about_one_request(fault)
        ):
            if calls:
                keep(made(False, Outcome(reason="broken off", cut=True), calls))
            raise
        outcome = Outcome(reason=str(fault), cut=True)
        refusal = fault if fault.verdict in ENDING_VERDICTS else None
    finally:
        ended = True
    return made(True, outcome, calls), refusal


def _is_about_one_request(fault: NoReply) -> bool:
    return fault.verdict == "bad_request" and fault.status in _ABOUT_ONE_REQUEST


async def _converse(view: MarketView, asker: Asker, until_ns: int, note: Callable[[Agent, Attempt], None]) -> Outcome:
    problem = problem_of_view(view)
    if problem is not None:
        return Outcome(reason=problem)
    dialogue = converse(view, asker.prompts, asker.options, asker.parameters)
    turn = proceed(dialogue)
    while isinstance(turn, Turn):
        turn = proceed(dialogue, await asker.client.complete(turn.request, until_ns, partial(note, turn.agent)))
    return turn


def _call_of(agent: Agent, attempt: Attempt, cost_usd_e12: int) -> Call:
    reply = attempt.reply
    return Call(
        agent=agent,
        request=digest_of(attempt.request),
        attempt=attempt.number,
        verdict=attempt.verdict,
        sent_ns=attempt.sent_ns,
        took_ms=attempt.took_ms,
        cost_usd_e12=cost_usd_e12,
        usage=reply.usage if reply else Usage(),
        charged=attempt.charge,
        detail=attempt.detail,
        reply=attempt.body if attempt.verdict == "ok" else None,
        model=reply.model if reply else None,
        fingerprint=reply.fingerprint if reply else None,
    )
