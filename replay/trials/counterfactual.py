"""
Asking a model today about minutes of the past: the log is read once, and the model is asked about every tick without
an answer, on what was known at that tick.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from agents.analyst import Analyst
from agents.llm.client.errors import NoReply
from agents.llm.conversation.deadline import deadline_ns
from agents.llm.conversation.dialogue import Agent, ModelOptions, Outcome, Turn, converse, proceed
from agents.llm.conversation.prompts import Prompts
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
"""Changes a log's batches before any projection."""

ENDING_VERDICTS: frozenset[Verdict] = frozenset(
    {"no_balance", "unauthorised", "no_budget", "unreachable", "bad_request"}
)
"""Faults that are not about the minute: asking ends, and the minute is asked about again."""

_ABOUT_ONE_REQUEST = frozenset({400, 413, 422})  # statuses that speak of one request, not of the key or the server


class Client(Protocol):
    """The part of `ModelClient` that is used here."""

    async def complete(self, request: Request, until_ns: int, on_attempt: Callable[[Attempt], None]) -> Reply:
        """
        The reply to a request.

        Args:
            request: what is sent.
            until_ns: the deadline.
            on_attempt: called with each attempt, failed ones included.
        """


@dataclass(frozen=True, slots=True)
class Asker:
    """
    What is needed to ask a model about a view.

    Attributes:
        options: of the model. parameters: thresholds that its decision is checked with.
        cost_usd_e12: the cost of an attempt, 1e-12 USD. code: the digest of the code, stored with each answer.
    """

    client: Client
    prompts: Prompts
    options: ModelOptions
    parameters: Parameters
    clock: Clock
    cost_usd_e12: Callable[[Attempt], int]
    code: str


def live_ticks(log: Log, ticks: Ticks) -> Ticks:
    """The ticks at which trades are live: at the others no analyst decides."""
    if len(ticks) == 0:
        return ticks
    live = [np.empty(0, np.int64)]
    for batch in log.read(int(ticks.seq[0]) - 1, int(ticks.seq[-1]), [TICK], {TICK: ("trades",)}):
        rows = batch.rows.get(TICK)
        if rows is not None:
            live.append(rows["seq"][rows["trades"] == "live"])
    return select_ticks(ticks, np.concatenate(live).tolist())


def select_ticks(ticks: Ticks, seqs: Iterable[int]) -> Ticks:
    """The ticks whose seq is one of some seqs."""
    is_selected = np.isin(ticks.seq, np.fromiter(seqs, np.int64))
    return Ticks(ticks.seq[is_selected], ticks.boundary_ns[is_selected], ticks.recv_ns[is_selected])


def views_at(log: Log, ticks: Ticks, config: AnalysisConfig, change: BatchChange = iter) -> Iterator[MarketView]:
    """
    The view at each of some ticks; the log is read no further than the view that is requested next.

    Args:
        log: the market log.
        ticks: the ticks, in seq order.
        config: the symbol, windows and thresholds to analyse with.
        change: changes the log's batches first; `iter` leaves them as they are.
    """
    if len(ticks) == 0:
        return
    state = state_of(log, config.windows)
    observer = Observer(config.symbol, state, config.parameters)
    seqs = frozenset(ticks.seq.tolist())
    views: list[MarketView] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if tick.seq in seqs:
            views.append(observer.observe(tick, now))

    for batch in change(read_with_warm_up(log, int(ticks.boundary_ns[0]), int(ticks.seq[-1]), config.windows)):
        rows = batch.rows.get(TICK)
        for piece in [batch] if rows is None else batch.split_after(rows["seq"]):
            drive([piece], state, on_tick)
            yield from views
            views.clear()


def ticks_with_stale_answers(views: Iterable[MarketView], analyst: Analyst) -> set[int]:
    """The seqs of views about which the recorded analyst would now ask something that is not on record."""
    stale_seqs = set()
    for view in views:
        try:
            analyst.decide(view)
        except MissingCall:
            stale_seqs.add(view.as_of_seq)
    return stale_seqs


async def ask_all(
    views: Iterator[MarketView],
    missing: Mapping[int, Sequence[int]],
    answers: Answers,
    asker: Asker,
    concurrency: int,
    on_progress: Callable[[int], None],
) -> AskingResult:
    """
    Ask about every view as often as answers are missing, and store each answer when it comes.

    A view is computed when a conversation can begin, so that few are in memory. Cancelling loses only the conversations
    under way: what is stored is not asked again.

    Args:
        views: in seq order.
        missing: the missing repeats, by seq.
        answers: where answers are stored.
        asker: the client, prompts and options.
        concurrency: conversations at the same time, at most.
        on_progress: called with 1 for each complete answer.

    Returns:
        Why asking stopped early, if it did.
    """
    course, free = Course(answers, on_progress), asyncio.Semaphore(concurrency)

    async def ask_one(view: MarketView, repeat: int) -> None:
        try:
            if course.result.stopped is None:
                course.add(*await _answer(view, repeat, asker, answers.add))
        except NoReply as fault:
            course.stop(fault)
        finally:
            free.release()

    async with asyncio.TaskGroup() as group:
        while course.result.stopped is None:
            async with free:
                view = await asyncio.to_thread(next, views, None)
            if view is None:
                break
            for repeat in missing.get(view.as_of_seq, ()):
                await free.acquire()
                group.create_task(ask_one(view, repeat))
    course.end()
    return course.result


async def _answer(
    view: MarketView, repeat: int, asker: Asker, store: Callable[[Answer], None]
) -> tuple[Answer, NoReply | None]:
    """
    One conversation, and the refusal that it ended with where this may concern its request alone; paid calls are
    stored even where it fails.

    Raises:
        NoReply: further requests would fail as well.
    """
    started_ns = asker.clock.now_ns()
    until_ns = started_ns + deadline_ns(view) - view.as_of_ns
    calls: list[Call] = []
    is_over, refusal = False, None

    def build_answer(is_complete: bool, outcome: Outcome, own_calls: Sequence[Call]) -> Answer:
        return Answer(
            seq=view.as_of_seq,
            as_of_ns=view.as_of_ns,
            repeat=repeat,
            prompt_digest=asker.prompts.digest,
            code=asker.code,
            whole=is_complete,
            fallback=None if outcome.decision else outcome.reason,
            cut=outcome.cut,
            took_ms=(asker.clock.now_ns() - started_ns) // 1_000_000,
            calls=tuple(own_calls),
            model=outcome.model,
            anomalies=tuple(outcome.anomalies),
            refusals=tuple(outcome.refusals),
            numbers=outcome.numbers,
            ungrounded=outcome.ungrounded,
        )

    def note(agent: Agent, attempt: Attempt) -> None:
        call = _call_of(agent, attempt, asker.cost_usd_e12(attempt))
        if not is_over:
            calls.append(call)
        elif call.charged != Usage():
            store(build_answer(False, Outcome(reason="came late", cut=True), [call]))

    try:
        outcome = await _converse(view, asker, until_ns, note)
    except (NoReply, asyncio.CancelledError) as fault:
        if isinstance(fault, asyncio.CancelledError) or (
            fault.verdict in ENDING_VERDICTS and not _is_about_one_request(fault)
        ):
            if calls:
                store(build_answer(False, Outcome(reason="broken off", cut=True), calls))
            raise
        outcome = Outcome(reason=str(fault), cut=True)
        refusal = fault if fault.verdict in ENDING_VERDICTS else None
    finally:
        is_over = True
    return build_answer(True, outcome, calls), refusal


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
