"""
The analyzer: follows a market's log, analyses every tick, decides, publishes.

`python agent_analyzer.py --config config/development.yaml`
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeVar

import structlog
import typer

import console
import logging_setup
from agents.analyst import Analyst
from agents.decide import Decided, Decider
from agents.deepseek import ModelAnalyst
from agents.model.client import ModelClient
from agents.publisher import Publisher
from agents.rules import RulesAnalyst
from collector import status
from collector.archiver import Archiver
from console import JsonOption
from eventlog import hot as hots
from eventlog.clock import WallClock
from eventlog.code_version import code_digest, lock_digest
from eventlog.cold import ColdLog
from eventlog.decision_log import last_analysed
from eventlog.embedded_server import EmbeddedServer
from eventlog.errors import EventLogError, StoreFull, StoreUnavailable
from eventlog.facts import ANALYZER_SESSION, MODEL_CALL, AnalyzerSession, Fact
from eventlog.hot import HotLog
from eventlog.log import Log
from eventlog.names import LogName
from eventlog.writer import LogWriter, Lost
from exchanges.logs import mapper_for, quantity_decimals
from market.instrument import Market
from market.timestamps import iso
from projections.state import KINDS, READS, MarketState, TickEntry
from replay.decisions import Sight, grid_before
from replay.drive import drive
from replay.model_settings import budget_of, endpoint_of, prompts_of, questions_of, remember
from replay.sight import session_settings, sight_of
from settings import Settings, SettingsError, load

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_log = structlog.get_logger()

_T = TypeVar("_T")

_ARCHIVE_EVERY_S = 300.0
_KEEP_ENTRIES = 2_000


@app.command()
def main(
    config: Annotated[Path, typer.Option("--config", help="settings file")] = Path("config/development.yaml"),
    show_status: Annotated[bool, typer.Option("--status", help="say what the running analyzer does, and end")] = False,
    as_json: JsonOption = False,
) -> None:
    """Analyse every tick of a recorded market as it comes, and publish recommendations. Ctrl+C ends it."""
    settings = load(config)
    market = Market.parse(settings.market)
    if show_status:
        console.print_status(status.read(LogName("decisions", market).folder(settings.redis.storage_dir)), as_json)
        return
    sight = sight_of(settings, market.symbol)
    prompts_of(questions_of(settings.analyzer.deepseek))  # a fault in them is told before anything starts
    logging_setup.set_up(settings.app.logs_dir, settings.app.log_level)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    server = EmbeddedServer(settings.redis.storage_dir) if settings.redis.server_url is None else None
    keeper = server.ensure() if server is not None else None
    try:
        url = settings.redis.server_url
        socket = str(server.socket) if server else None
        connect = partial(hots.connect, url=url) if url else partial(hots.connect, unix_socket=socket)
        _Analyzer(settings, market, sight, connect, stop).run()
    finally:
        if server is not None and keeper is not None:
            server.release(keeper)


class _Analyzer:
    """Everything one run of the analyzer holds."""

    def __init__(
        self, settings: Settings, market: Market, sight: Sight, connect: Callable[[], Any], stop: threading.Event
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._sight = sight
        self._clock = WallClock()
        storage = settings.redis.storage_dir
        events, decisions = LogName("events", market), LogName("decisions", market)
        mapper = mapper_for(market)
        self._log = Log(ColdLog(storage, events), HotLog(connect(), events), mapper.decoders)
        if self._log.cold.exists():
            mapper.quantity_decimals = quantity_decimals(self._log.cold, self._log.hot)
        self._writer = LogWriter(ColdLog(storage, decisions), HotLog(connect(), decisions), self._clock)
        made = Log(ColdLog(storage, decisions), HotLog(connect(), decisions), {})
        self._analysed, self._as_of_ns = last_analysed(made)
        self._archiver = Archiver(made, self._writer, _KEEP_ENTRIES)
        self._state = MarketState(self._sight.windows)
        self._rules = RulesAnalyst(self._sight.parameters)
        self._model = self._model_analyst(made) if settings.analyzer.deepseek.api_key is not None else None
        analyst: Analyst = self._model or self._rules
        self._decider = Decider(market.symbol, self._state, analyst, self._sight.parameters)
        self._publisher = Publisher(connect, market, settings.app.logs_dir, self._clock)
        self._archived_at = time.monotonic()
        self._unstored: list[Fact] = []
        self._lost = False
        self._counts = {"analyses": 0, "recommendations": 0, "published": 0}

    def run(self) -> None:
        """Follow the log until told to stop."""
        try:
            while not self._log.cold.exists() and not self._stop.wait(0.2):
                pass  # the collector has not started yet
            if not self._analysed:
                self._analysed = self._log.last_seq() if not self._stop.is_set() else 0
            self._store_session("started")
            first_ns = min(self._clock.now_ns(), self._as_of_ns or self._clock.now_ns())
            after = self._log.seq_before(first_ns - self._sight.windows.warmup_ns)
            _log.info("analysing", market=str(self._log.name.market), after_seq=self._analysed, folding_from=after + 1)
            self._report(None)
            batches = chain(grid_before(self._log, after), self._log.follow(after, self._stop.is_set, KINDS, READS))
            drive(batches, self._state, self._on_tick)
            self._end_model()
            self._store_session("stopped")
        except Exception:
            self._end_model()  # what was paid for counts, whatever else went wrong
            raise
        finally:
            self._archive()
            self._writer.close()
            _log.info("stopped", **self._counts)

    def _on_tick(self, tick: TickEntry, state: MarketState) -> None:
        if tick.seq <= self._analysed:
            return
        decided = self._decider.decide(tick, state)
        decision = self._until(lambda: self._publisher.decision(decided, self._log))
        if decision is None:  # told to stop while the server was away: the next start analyses this tick
            self._unstored = [fact for fact in self._model_facts() if fact.kind == MODEL_CALL]
            return
        if self._store([*self._model_facts(), *decision.facts]) is not None or self._lost:
            self._lost = False
            self._store_session("started")  # the server lost the one before
        self._publisher.show(decision)
        self._analysed = tick.seq
        self._counts["analyses"] += 1
        self._counts["recommendations"] += decided.advice is not None
        self._counts["published"] += decision.published
        self._report(decided)
        if time.monotonic() - self._archived_at > _ARCHIVE_EVERY_S:
            self._archive()

    def _model_analyst(self, made: Log) -> ModelAnalyst:
        """The analyst that asks a model, with what today's calls have spent already."""
        chosen, parameters = self._settings.analyzer.deepseek, self._sight.parameters
        questions, budget = questions_of(chosen), budget_of(chosen)
        remember(budget, made, self._clock.now_ns())
        client = ModelClient(endpoint_of(chosen), budget, self._clock)
        prompts = prompts_of(questions)
        return ModelAnalyst(
            client,
            budget,
            prompts,
            questions.asking,
            self._rules,
            parameters,
            self._clock,
            self._stop.is_set,
            self._store,
        )

    def _keep(self, facts: Sequence[Fact]) -> None:
        """Store what came while a model is waited for, without waiting for the server."""
        with contextlib.suppress(StoreUnavailable, StoreFull):  # the writer keeps what it could not store
            self._lost |= self._writer.append(facts) is not None

    def _model_facts(self) -> Sequence[Fact]:
        return self._model.facts() if self._model is not None else ()

    def _end_model(self) -> None:
        if self._model is not None:
            self._model.close()
            self._store([*self._unstored, *self._model.facts()])
            self._unstored = []

    def _store_session(self, event: Any) -> None:
        parameters = self._sight.parameters
        known = session_settings(self._settings, parameters)
        session = AnalyzerSession(event, code_digest(), lock_digest(), parameters.digest(), known)
        self._store([session.fact(ANALYZER_SESSION, self._clock.now_ns())])

    def _store(self, facts: Sequence[Fact]) -> Lost | None:
        """Append facts; while the server is away what is pending is sent again. Returns what the server had lost."""
        waiting = list(facts)

        def append() -> tuple[Lost | None]:
            handed = tuple(waiting)
            waiting.clear()  # the writer keeps what it could not store
            return (self._writer.append(handed),)

        done = self._until(append)
        return done[0] if done else None

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
                if self._stop.wait(0.2):
                    return None

    def _archive(self) -> None:
        self._archived_at = time.monotonic()
        try:
            self._archiver.archive()
            self._archiver.compact(self._clock.now_ns())
        except EventLogError as error:
            _log.warning("decisions not archived, trying again later", reason=str(error))

    def _report(self, decided: Decided | None) -> None:
        fields: dict[str, Any] = {"market": str(self._log.name.market), **self._counts}
        if decided is not None:
            fields["last_analysis"] = iso(decided.tick.boundary_ns)
            fields["stance"] = decided.advice.stance if decided.advice else f"none: trades are {decided.tick.trades}"
            fields["zones"] = len(decided.advice.zones) if decided.advice else 0
        if self._model is not None:
            fields["model"] = self._model.status()
        fields["written_at"] = iso(self._clock.now_ns())
        try:
            status.write(self._writer.cold.folder, fields)
        except EventLogError as error:
            _log.warning("status not written", reason=str(error))


if __name__ == "__main__":
    console.run(app, (EventLogError, SettingsError))
