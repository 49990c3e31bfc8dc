"""
The model analyst: leads a model through the three steps, and falls back to the rules where it gives no sound answer
in time. `decide` returns at the deadline at the latest.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import structlog

from agents.llm.client.budget import Budget
from agents.llm.client.client import ModelClient
from agents.llm.client.errors import NoReply
from agents.llm.client.prices import USD_E12
from agents.llm.client.record import call_of
from agents.llm.conversation.deadline import deadline_ns
from agents.llm.conversation.dialogue import Agent, ModelOptions, Outcome, Turn, converse, proceed
from agents.llm.conversation.prompts import Prompts
from agents.llm.firewall.admit import problem_of_view
from agents.llm.to_advice import advice_of
from agents.llm.wire.api import Attempt
from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from analysis.view import MarketView
from eventlog.clock import Clock
from eventlog.facts.entry import Fact
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION, ModelDecision
from market.timestamps import SECOND_NS

_log = structlog.get_logger()

NAME = "deepseek"
_POLL_S = 0.02  # how often a waiting `decide` looks for the reply or a stop


class ModelAnalyst:
    """
    Asks a model for advice at every tick.

    The client lives on a loop in a thread of its own: a reply that comes after the deadline is still recorded.

    Args:
        client, budget: what sends requests, and what limits their cost.
        prompts, options: the texts, and how a request is made of them.
        rules: decides where the model does not. parameters: the thresholds of the firewall and of zones.
        clock: wall time for deadlines and facts.
        is_stopping: whether the process is to end; `decide` then waits no longer.
        on_call: takes each call's fact once its outcome is known, late ones included; called in the client's thread,
            must not block.
    """

    name = NAME

    def __init__(
        self,
        client: ModelClient,
        budget: Budget,
        prompts: Prompts,
        options: ModelOptions,
        rules: RulesAnalyst,
        parameters: Parameters,
        clock: Clock,
        is_stopping: Callable[[], bool],
        on_call: Callable[[Fact], object],
    ) -> None:
        self._client = client
        self._budget = budget
        self._prompts = prompts
        self._options = options
        self._rules = rules
        self._parameters = parameters
        self._clock = clock
        self._is_stopping = is_stopping
        self._on_call = on_call
        self._ending: Fact | None = None
        self._counts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model", daemon=True)
        self._thread.start()

    def decide(self, view: MarketView) -> Advice:
        """See `Analyst.decide`; returns at the deadline at the latest."""
        until_ns = deadline_ns(view)
        problem = problem_of_view(view)
        outcome = Outcome(reason=problem) if problem else self._ask(view, until_ns)
        advice = advice_of(view, outcome, NAME, self._prompts.digest, self._rules, self._parameters)
        self._counts["decided" if outcome.decision else "fallback"] += 1
        self._counts["numbers"] += outcome.numbers
        self._counts["ungrounded"] += outcome.ungrounded
        decision = ModelDecision(
            market_seq=view.as_of_seq,
            as_of_ns=view.as_of_ns,
            analyst=NAME,
            model=outcome.model,
            prompt_digest=self._prompts.digest,
            fallback=advice.fallback,
            cut=outcome.cut,
            anomalies=outcome.anomalies,
            refusals=outcome.refusals,
            numbers=outcome.numbers,
            ungrounded=outcome.ungrounded,
        )
        self._ending = decision.fact(MODEL_DECISION, self._clock.now_ns())
        return advice

    def take_ending(self) -> Fact | None:
        """The fact about how the last tick ended, to be stored with its analysis; None when it was taken already."""
        ending, self._ending = self._ending, None
        return ending

    def status(self) -> dict[str, object]:
        """Counts since the start, today's usage, and the client's last trouble, for `--status`."""
        totals = self._budget.totals(self._clock.now_ns())
        counts = {name: self._counts[name] for name in ("decided", "fallback", "numbers", "ungrounded")}
        return {
            **counts,
            "attempts": self._client.verdicts,
            "stopped": self._client.stop_reason,
            "trouble": self._client.trouble,
            "tokens_today": totals["tokens_today"],
            "usd_today": round(totals["usd_e12_today"] / USD_E12, 6),
            "cache_hit_share": self._budget.cache_hit_share,
        }

    def close(self) -> None:
        """Abort the requests in flight, recording them, and end the client's thread."""
        asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop).result(timeout=3)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=3)
        self._loop.close()

    def _ask(self, view: MarketView, until_ns: int) -> Outcome:
        # a clock that steps back must not lengthen the minute
        limit_s = (until_ns - view.as_of_ns) / SECOND_NS
        remaining_s = min(limit_s, (until_ns - self._clock.now_ns()) / SECOND_NS)
        if remaining_s <= 0:
            return Outcome(reason="the tick was reached too late to ask", cut=True)
        future = asyncio.run_coroutine_threadsafe(self._converse(view, until_ns, remaining_s), self._loop)
        give_up_at = time.monotonic() + remaining_s
        while not future.done() and not self._is_stopping() and time.monotonic() < give_up_at:
            time.sleep(_POLL_S)
        if future.done():
            return self._outcome_of(future)
        future.cancel()  # what is in flight is still recorded when it comes
        reason = "stopping" if self._is_stopping() else "the model had not answered at the deadline"
        return Outcome(reason=reason, cut=True)

    def _outcome_of(self, future: "Future[Outcome]") -> Outcome:
        try:
            return future.result()
        except NoReply as no_reply:
            return Outcome(reason=str(no_reply), cut=True)
        except Exception as error:
            _log.error("the conversation failed; the rules answer", fault=type(error).__name__)
            return Outcome(reason=f"our own fault: {type(error).__name__}", cut=True)

    async def _converse(self, view: MarketView, until_ns: int, remaining_s: float) -> Outcome:
        deadline = self._loop.time() + remaining_s
        dialogue = converse(view, self._prompts, self._options, self._parameters)
        turn = proceed(dialogue)
        while isinstance(turn, Turn):
            note = partial(self._note, view, turn.agent)
            turn = proceed(dialogue, await self._client.complete(turn.request, until_ns, note, deadline))
        return turn

    def _note(self, view: MarketView, agent: Agent, attempt: Attempt) -> None:
        cost = self._budget.cost_e12(attempt.charge, attempt.sent_ns)
        call = call_of(attempt, view, NAME, agent, self._prompts.digest, cost)
        self._on_call(call.fact(MODEL_CALL, self._clock.now_ns()))

    async def _wind_up(self) -> None:
        await self._client.close()  # first: a request that had not begun would be cancelled without a record
        current = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not current]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
