"""
The live analyzer: it follows a market's log, analyses every tick, decides, publishes.
"""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import chain, takewhile
from typing import Any, TypeVar

import structlog

from agents.analyst import Analyst
from agents.llm.client.client import ModelClient
from agents.llm.deepseek import ModelAnalyst
from agents.rules import RulesAnalyst
from analyzer.outlet import Outlet
from analyzer.publisher import Publisher
from eventlog.clock import WallClock
from eventlog.code_version import code_digest, lock_digest
from eventlog.errors import EventLogError, StoreFull, StoreUnavailable
from eventlog.facts.analysis import ANALYZER_SESSION, AnalyzerSession
from eventlog.facts.entry import Fact
from eventlog.names import LogName
from eventlog.spill.recovery import catch_up
from eventlog.spill.spill import Spill, read_spill_seq
from eventlog.store.archiver import Archiver
from eventlog.store.cold import ColdLog
from eventlog.store.decision_log import last_analysed
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter
from market.instrument import Market
from market.timestamps import iso
from projections.state import KINDS, READS, MarketState, TickEntry
from runtime.analysis_config import AnalysisConfig, session_settings
from runtime.daemon import status
from runtime.daemon.recurring_warning import RecurringWarning
from runtime.daemon.server_watch import EVERY_S, ServerWatch
from runtime.daemon.stopping import StopSignal
from runtime.decide import Decided, Decider
from runtime.late_scale import LateScale
from runtime.loop import drive
from runtime.model_config import budget_of, endpoint_of, prompts_of, questions_of, remember
from runtime.open_log import mapper_for
from runtime.settings.settings import Settings
from runtime.warm_up import past_of

_log = structlog.get_logger()

_T = TypeVar("_T")

_ARCHIVE_EVERY_S = 300.0
_KEEP_ENTRIES = 2_000
_REPORT_EVERY_S = 1.0
_JOIN_S = 0.3
_KEEP_BACK_S = 3.0  # of the time to end in; what is not stored before that goes to a file


class Analyzer:
    """
    The analysis of one market, live: every tick of its log is analysed as it comes, and what is decided is published.

    Args:
        sight: what decides a decision. connect: a new connection to the log's server.

    Raises:
        WriterRefused: another analyzer is at work. StoreUnavailable: the server does not answer.
    """

    def __init__(
        self, settings: Settings, market: Market, sight: AnalysisConfig, connect: Callable[[], Any], stop: StopSignal
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._is_stopping = stop.requested.is_set
        self._sight = sight
        self._clock = WallClock()
        storage = settings.redis.storage_dir
        events, decisions = LogName("events", market), LogName("decisions", market)
        recorded, stream = ColdLog(storage, events), HotLog(connect(), events)
        scale = LateScale(mapper_for(market), recorded, stream)
        self._log = Log(recorded, stream, scale.decoders)
        cold = ColdLog(storage, decisions)
        self._writer = LogWriter(cold, HotLog(connect(), decisions), self._clock, [read_spill_seq(cold.folder)])
        made = Log(ColdLog(storage, decisions), HotLog(connect(), decisions), {})
        spill = Spill(cold.folder)
        catch_up(spill, self._writer, made, self._clock, self._is_stopping)
        self._analysed, self._as_of_ns = last_analysed(made)
        self._archiver = Archiver(made, self._writer, _KEEP_ENTRIES)
        self._outlet = Outlet(self._writer, spill, lambda _: [self._session("started")])
        self._state = MarketState(self._sight.windows, scale.learn())
        self._rules = RulesAnalyst(self._sight.parameters)
        self._model = self._model_analyst(made) if settings.analyzer.deepseek.api_key is not None else None
        analyst: Analyst = self._model or self._rules
        self._decider = Decider(market.symbol, self._state, analyst, self._sight.parameters)
        self._publisher = Publisher(connect, market, settings.app.logs_dir, self._clock, settings.app.logs_keep_days)
        self._watch = ServerWatch(connect)
        self._status_warning = RecurringWarning("status not written", "status written again")
        self._archived_at = time.monotonic()
        self._reporting = threading.Lock()
        self._ended = threading.Event()
        self._reporter = threading.Thread(target=self._keep_reporting, name="status", daemon=True)
        self._began = False
        self._counts = {"analyses": 0, "recommendations": 0, "published": 0}
        self._last: dict[str, Any] = {}

    def run(self) -> None:
        """Follow the log until told to stop."""
        try:
            self._watch.look()
            _log.info("analyzer starts", name=self._settings.app.name, environment=self._settings.app.environment)
            self._report(None)
            self._reporter.start()
            if not self._is_recorded():
                return
            if not self._analysed:
                self._analysed = self._log.last_seq() if not self._is_stopping() else 0
            self._began = True
            self._store([self._session("started")])
            first_ns = min(self._clock.now_ns(), self._as_of_ns or self._clock.now_ns())
            past, after = past_of(self._log, first_ns, self._sight.windows)
            _log.info("analysing", market=str(self._log.name.market), after_seq=self._analysed, books_from=after + 1)
            following = self._log.follow(after, self._is_stopping, KINDS, READS)
            drive(chain(takewhile(lambda _: not self._is_stopping(), past), following), self._state, self._on_tick)
        finally:
            self._end()

    def _on_tick(self, tick: TickEntry, state: MarketState) -> None:
        if tick.seq <= self._analysed or self._is_stopping():
            return  # what comes after the stop the next start analyses
        began = time.monotonic()
        decided = self._decider.decide(tick, state)
        ending = self._model.take_ending() if self._model is not None else None
        decision = self._until(lambda: self._publisher.decision(decided, self._log))
        if decision is None:
            return  # told to stop while the server was away: the next start analyses this tick
        self._store([*([ending] if ending is not None else []), *decision.facts])
        self._publisher.show(decision)
        self._analysed = tick.seq
        self._counts["analyses"] += 1
        self._counts["recommendations"] += decided.advice is not None
        self._counts["published"] += decision.published
        _log.debug("analysed", tick=iso(tick.boundary_ns), seconds=round(time.monotonic() - began, 3))
        self._publisher.tell(decision)
        self._report(decided)
        if time.monotonic() - self._archived_at > _ARCHIVE_EVERY_S:
            self._archive()

    def _keep_reporting(self) -> None:
        """What `--status` shows and what the server is like, beside an analysis that may be waiting for it."""
        looked_at = time.monotonic()
        while not self._ended.wait(_REPORT_EVERY_S):
            if time.monotonic() - looked_at > EVERY_S:
                self._watch.look()
                looked_at = time.monotonic()
            self._report(None)

    def _model_analyst(self, made: Log) -> ModelAnalyst:
        """The analyst that asks a model, with what today's calls have spent already."""
        chosen, parameters = self._settings.analyzer.deepseek, self._sight.parameters
        questions, budget = questions_of(chosen), budget_of(chosen)
        remember(budget, made, self._clock.now_ns())
        endpoint = endpoint_of(chosen, self._settings.proxy_for(chosen.endpoint_url))
        return ModelAnalyst(
            client=ModelClient(endpoint, budget, self._clock),
            budget=budget,
            prompts=prompts_of(questions),
            asking=questions.asking,
            rules=self._rules,
            parameters=parameters,
            clock=self._clock,
            is_stopping=self._is_stopping,
            on_call=lambda fact: self._outlet.put([fact]),
        )

    def _session(self, event: Any) -> Fact:
        parameters = self._sight.parameters
        known = session_settings(self._settings, parameters)
        session = AnalyzerSession(event, code_digest(), lock_digest(), parameters.digest(), known)
        return session.fact(ANALYZER_SESSION, self._clock.now_ns())

    def _is_recorded(self) -> bool:
        """Whether there is a recording, once the collector has begun one; False where the stop came first."""
        if not self._log.cold.exists():
            _log.warning("no recording yet: waiting for the collector", market=str(self._log.name.market))
        while not self._log.cold.exists():
            if self._stop.requested.wait(0.2):
                return False
        return True

    def _store(self, facts: Sequence[Fact]) -> None:
        """Append facts, waiting for the server as long as nobody wants to stop; they are kept in any case."""
        self._outlet.wait(self._outlet.put(facts), self._is_stopping)

    def _until(self, act: Callable[[], _T]) -> _T | None:
        """Do something as soon as the server answers; None where the stop came first."""
        away = False
        while True:
            try:
                return act()
            except (StoreUnavailable, StoreFull) as error:
                if not away:
                    _log.warning("log server away, waiting", reason=str(error))
                away = True
                if self._stop.requested.wait(0.2):
                    return None

    def _end(self) -> None:
        """Store what there is, also after a fault: what was paid for counts."""
        try:
            if self._model is not None:
                self._model.close()
            if self._began:
                self._outlet.put([self._session("stopped")])
            self._outlet.close(max(0.1, self._stop.left_s() - _KEEP_BACK_S))
            if not self._outlet.away:
                self._archive()
        finally:
            self._ended.set()
            if self._reporter.is_alive():
                self._reporter.join(_JOIN_S)
            self._report(None, is_last=True)
            self._writer.close()
            _log.info("stopped", **self._counts)

    def _archive(self) -> None:
        self._archived_at = time.monotonic()
        try:
            done = self._archiver.archive(lambda: self._stop.left_s() < 1.0)
            self._archiver.compact(self._clock.now_ns())
            _log.debug("decisions archived", entries=done)
        except EventLogError as error:
            _log.warning("decisions not archived, trying again later", reason=str(error))

    def _report(self, decided: Decided | None, is_last: bool = False) -> None:
        with self._reporting:
            if decided is not None:
                self._last = _about(decided)
            if self._ended.is_set() and not is_last:
                return  # the log's folder may be another process's by now
            fields = {"market": str(self._log.name.market), **self._counts, **self._last}
            if self._model is not None:
                fields["model"] = self._model.status()
            fields["server_away"] = self._outlet.away
            fields["waiting_facts"] = self._outlet.waiting
            fields["server"] = self._watch.status()
            fields["written_at"] = iso(self._clock.now_ns())
            try:
                status.write(self._writer.cold.folder, fields)
            except EventLogError as error:
                self._status_warning.occurs(str(error))
            else:
                self._status_warning.ends()


def _about(decided: Decided) -> dict[str, Any]:
    """What `--status` shows of an analysis."""
    advice = decided.advice
    return {
        "last_analysis": iso(decided.tick.boundary_ns),
        "stance": advice.stance if advice else f"none: trades are {decided.tick.trades}",
        "zones": len(advice.zones) if advice else 0,
    }
