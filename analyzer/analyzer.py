"""
The live analyzer: follows a market's log, analyses every tick, decides, publishes.
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
from projections.state import READS, STATE_KINDS, MarketState, TickEntry
from runtime.analysis_config import AnalysisConfig, session_settings
from runtime.daemon import status
from runtime.daemon.recurring_warning import RecurringWarning
from runtime.daemon.server_watch import EVERY_S, ServerWatch
from runtime.daemon.stopping import StopSignal
from runtime.decide import Decider, TickDecision
from runtime.late_scale import LateScale
from runtime.loop import drive
from runtime.model_config import budget_of, endpoint_of, prompts_of, questions_of, restore_budget
from runtime.open_log import mapper_for
from runtime.settings.settings import Settings
from runtime.warm_up import read_past

_log = structlog.get_logger()

_T = TypeVar("_T")

_ARCHIVE_EVERY_S = 300.0  # pause between two archivings of decisions
_KEEP_ENTRIES = 2_000  # archived decisions that stay in the server for readers
_REPORT_EVERY_S = 1.0  # how old `--status` may be
_JOIN_S = 0.3  # of the time to end in, for the status thread
_KEEP_BACK_S = 3.0  # of the time to end in; what is not stored before that goes to a file


class Analyzer:
    """
    The live analysis of one market: every tick of its log is analysed as it comes, and decisions are published.

    Args:
        settings: of the whole installation. market: whose log is followed.
        config: the windows and thresholds of the analysis.
        connect: makes a new connection to the log's server.
        stop: when to end, and how much time is left for it.

    Raises:
        WriterRefused: another analyzer writes this decision log. StoreUnavailable: the server does not answer.
    """

    def __init__(
        self, settings: Settings, market: Market, config: AnalysisConfig, connect: Callable[[], Any], stop: StopSignal
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._is_stopping = stop.requested.is_set
        self._config = config
        self._clock = WallClock()
        storage = settings.redis.storage_dir
        events, decisions = LogName("events", market), LogName("decisions", market)
        archive, stream = ColdLog(storage, events), HotLog(connect(), events)
        scale = LateScale(mapper_for(market), archive, stream)
        self._log = Log(archive, stream, scale.decoders)
        cold = ColdLog(storage, decisions)
        self._writer = LogWriter(cold, HotLog(connect(), decisions), self._clock, [read_spill_seq(cold.folder)])
        decision_log = Log(ColdLog(storage, decisions), HotLog(connect(), decisions), {})
        spill = Spill(cold.folder)
        catch_up(spill, self._writer, decision_log, self._clock, self._is_stopping)
        self._analysed_seq, self._as_of_ns = last_analysed(decision_log)
        self._archiver = Archiver(decision_log, self._writer, _KEEP_ENTRIES)
        self._outlet = Outlet(self._writer, spill, lambda _: [self._session("started")])
        self._state = MarketState(self._config.windows, scale.learn())
        self._rules = RulesAnalyst(self._config.parameters)
        self._model = self._model_analyst(decision_log) if settings.analyzer.deepseek.api_key is not None else None
        analyst: Analyst = self._model or self._rules
        self._decider = Decider(market.symbol, self._state, analyst, self._config.parameters)
        self._publisher = Publisher(connect, market, settings.app.logs_dir, self._clock, settings.app.logs_keep_days)
        self._watch = ServerWatch(connect)
        self._status_warning = RecurringWarning("status not written", "status written again")
        self._archived_s = time.monotonic()
        self._reporting = threading.Lock()
        self._is_ended = threading.Event()
        self._reporter = threading.Thread(target=self._report_until_ended, name="status", daemon=True)
        self._has_begun = False
        self._counts = {"analyses": 0, "recommendations": 0, "published": 0}
        self._last: dict[str, Any] = {}

    def run(self) -> None:
        """Follow the log until the stop signal."""
        try:
            self._watch.poll()
            _log.info("analyzer starts", name=self._settings.app.name, environment=self._settings.app.environment)
            self._report(None)
            self._reporter.start()
            if not self._is_recorded():
                return
            if not self._analysed_seq:
                self._analysed_seq = self._log.last_seq() if not self._is_stopping() else 0
            self._has_begun = True
            self._store([self._session("started")])
            first_ns = min(self._clock.now_ns(), self._as_of_ns or self._clock.now_ns())
            past, after = read_past(self._log, first_ns, self._config.windows)
            _log.info(
                "analysing", market=str(self._log.name.market), after_seq=self._analysed_seq, books_from=after + 1
            )
            following = self._log.follow(after, self._is_stopping, STATE_KINDS, READS)
            drive(chain(takewhile(lambda _: not self._is_stopping(), past), following), self._state, self._on_tick)
        finally:
            self._end()

    def _on_tick(self, tick: TickEntry, state: MarketState) -> None:
        if tick.seq <= self._analysed_seq or self._is_stopping():
            return  # a tick after the stop is analysed at the next start
        start_s = time.monotonic()
        tick_decision = self._decider.decide(tick, state)
        ending = self._model.take_ending() if self._model is not None else None
        decision = self._retry_until_stopped(lambda: self._publisher.prepare(tick_decision, self._log))
        if decision is None:
            return  # stopped while the server was unavailable: the next start analyses this tick
        self._store([*([ending] if ending is not None else []), *decision.facts])
        self._publisher.publish(decision)
        self._analysed_seq = tick.seq
        self._counts["analyses"] += 1
        self._counts["recommendations"] += tick_decision.advice is not None
        self._counts["published"] += decision.published
        _log.debug("analysed", tick=iso(tick.boundary_ns), seconds=round(time.monotonic() - start_s, 3))
        self._publisher.log_decision(decision)
        self._report(tick_decision)
        if time.monotonic() - self._archived_s > _ARCHIVE_EVERY_S:
            self._archive()

    def _report_until_ended(self) -> None:
        """Write the status and check the server, in a thread: the server may block the analysis."""
        polled_s = time.monotonic()
        while not self._is_ended.wait(_REPORT_EVERY_S):
            if time.monotonic() - polled_s > EVERY_S:
                self._watch.poll()
                polled_s = time.monotonic()
            self._report(None)

    def _model_analyst(self, decision_log: Log) -> ModelAnalyst:
        """The model analyst, its budget reduced by today's recorded calls."""
        model_settings, parameters = self._settings.analyzer.deepseek, self._config.parameters
        questions, budget = questions_of(model_settings), budget_of(model_settings)
        restore_budget(budget, decision_log, self._clock.now_ns())
        endpoint = endpoint_of(model_settings, self._settings.proxy_for(model_settings.endpoint_url))
        return ModelAnalyst(
            client=ModelClient(endpoint, budget, self._clock),
            budget=budget,
            prompts=prompts_of(questions),
            options=questions.options,
            rules=self._rules,
            parameters=parameters,
            clock=self._clock,
            is_stopping=self._is_stopping,
            on_call=lambda fact: self._outlet.put([fact]),
        )

    def _session(self, event: Any) -> Fact:
        parameters = self._config.parameters
        settings_json = session_settings(self._settings, parameters)
        session = AnalyzerSession(event, code_digest(), lock_digest(), parameters.digest(), settings_json)
        return session.fact(ANALYZER_SESSION, self._clock.now_ns())

    def _is_recorded(self) -> bool:
        """Wait until the collector has begun a recording; False where the stop came first."""
        if not self._log.cold.exists():
            _log.warning("no recording yet: waiting for the collector", market=str(self._log.name.market))
        while not self._log.cold.exists():
            if self._stop.requested.wait(0.2):
                return False
        return True

    def _store(self, facts: Sequence[Fact]) -> None:
        """Append facts, waiting for the server until the stop; facts not stored by then are kept in a file."""
        self._outlet.wait(self._outlet.put(facts), self._is_stopping)

    def _retry_until_stopped(self, act: Callable[[], _T]) -> _T | None:
        """Call a function, again while the server does not answer; None where the stop came first."""
        is_unavailable = False
        while True:
            try:
                return act()
            except (StoreUnavailable, StoreFull) as error:
                if not is_unavailable:
                    _log.warning("log server away, waiting", reason=str(error))
                is_unavailable = True
                if self._stop.requested.wait(0.2):
                    return None

    def _end(self) -> None:
        """Store all pending facts, also after a fault: model calls were paid for."""
        try:
            if self._model is not None:
                self._model.close()
            if self._has_begun:
                self._outlet.put([self._session("stopped")])
            self._outlet.close(max(0.1, self._stop.remaining_s() - _KEEP_BACK_S))
            if not self._outlet.outage:
                self._archive()
        finally:
            self._is_ended.set()
            if self._reporter.is_alive():
                self._reporter.join(_JOIN_S)
            self._report(None, is_last=True)
            self._writer.close()
            _log.info("stopped", **self._counts)

    def _archive(self) -> None:
        self._archived_s = time.monotonic()
        try:
            entries = self._archiver.archive(lambda: self._stop.remaining_s() < 1.0)
            self._archiver.compact(self._clock.now_ns())
            _log.debug("decisions archived", entries=entries)
        except EventLogError as error:
            _log.warning("decisions not archived, trying again later", reason=str(error))

    def _report(self, tick_decision: TickDecision | None, is_last: bool = False) -> None:
        with self._reporting:
            if tick_decision is not None:
                self._last = _status_fields(tick_decision)
            if self._is_ended.is_set() and not is_last:
                return  # another process may hold the log's folder by now
            fields = {"market": str(self._log.name.market), **self._counts, **self._last}
            if self._model is not None:
                fields["model"] = self._model.status()
            fields["server_away"] = self._outlet.outage
            fields["waiting_facts"] = self._outlet.pending_count
            fields["server"] = self._watch.status()
            fields["written_at"] = iso(self._clock.now_ns())
            try:
                status.write_status(self._writer.cold.folder, fields)
            except EventLogError as error:
                self._status_warning.occurs(str(error))
            else:
                self._status_warning.ends()


def _status_fields(tick_decision: TickDecision) -> dict[str, Any]:
    """The status fields of the last analysis."""
    advice = tick_decision.advice
    return {
        "last_analysis": iso(tick_decision.tick.boundary_ns),
        "stance": advice.stance if advice else f"none: trades are {tick_decision.tick.trades}",
        "zones": len(advice.zones) if advice else 0,
    }
