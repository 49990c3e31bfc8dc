"""
Keeps a market's views and trade files up to date as its log grows, by a fold of its own beside the recorder.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars

from collector.views.trade_files import FOLDER, TradeFiles
from collector.views.views import Views
from eventlog.clock import Clock
from eventlog.errors import EventLogError
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from market.instrument import Market
from projections.state import READS, STATE_KINDS, MarketState, TickEntry, Windows

_GATHER_MS = 250  # delay of a view, which is of a minute, for a fraction of the reads
_CHECK_EVERY_S = 5.0  # how often it is checked that the server still has what was published
_PAUSES_S = (2.0, 5.0, 15.0, 60.0)  # before starting again after an error: it then folds days

_log = structlog.get_logger()

Drive = Callable[[Iterable[Batch], MarketState, Callable[[TickEntry, MarketState], None]], None]
"""The loop that puts facts into the folds and calls a function at every tick, see `runtime.loop`."""


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """
    What is published of a market.

    Attributes:
        windows: of the folds.
        window_minutes: of `trades_window`.
        trade_files: whether minutes that leave that window are written as files.
    """

    windows: Windows
    window_minutes: int
    trade_files: bool


class ViewPublisher:
    """
    Folds a market's log in a thread of its own and publishes what the folds hold at each new tick. After an error it
    starts again from the log.

    Args:
        market: whose log is folded.
        storage: folder of all logs.
        plan: what is published.
        log_of: opens the log for reading, with a connection of its own.
        connect: opens a connection for writing views.
        drive: see `runtime.loop`.
        clock: the time, for the start of the folds and `written_at`.
    """

    def __init__(
        self,
        market: Market,
        storage: Path,
        plan: ViewPlan,
        log_of: Callable[[ColdLog, HotLog], Log],
        connect: Callable[[], Any],
        drive: Drive,
        clock: Clock,
    ) -> None:
        self.market = market
        self._storage = storage
        self._plan = plan
        self._log_of = log_of
        self._connect = connect
        self._drive = drive
        self._clock = clock
        self._stop = threading.Event()
        self._views: Views | None = None
        self._failure = ""
        self._has_published = False
        self._thread = threading.Thread(target=self._run, name="views", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self, timeout_s: float) -> None:
        """Tell the thread to end, and wait for it up to `timeout_s`."""
        self._stop.set()
        self._thread.join(timeout_s)

    def status(self) -> dict[str, Any]:
        """The fields that `--status` shows: number of minutes and books in the views, and why they are not written."""
        views = self._views
        failure = self._failure or (views.failure if views is not None else "")
        return {
            "trade_window_count": views.minutes if views is not None else 0,
            "depth_snapshots_count": views.books if views is not None else 0,
            "views_failure": failure,
        }

    def _run(self) -> None:
        bind_contextvars(market=str(self.market))
        attempt = 0
        while not self._stop.is_set():
            self._has_published = False
            try:
                self._follow()
            except EventLogError as error:
                self._note_failure(str(error))
            except Exception:
                self._failure = "a fault of ours; the log says more"
                _log.exception("views ended; they begin again, recording goes on")
            attempt = 0 if self._has_published else attempt + 1
            self._stop.wait(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])

    def _note_failure(self, failure: str) -> None:
        if failure != self._failure:
            _log.warning("views not written, trying again", reason=failure)
        self._failure = failure

    def _follow(self) -> None:
        """Fold what the log has, then each entry as it comes, until told to end."""
        name, plan = LogName("events", self.market), self._plan
        log = self._log_of(ColdLog(self._storage, name), HotLog(self._connect(), name))
        after = log.seq_before(self._clock.now_ns() - plan.windows.warmup_ns)
        last_seq = log.last_seq()
        views = self._views = Views(self._connect, self.market, plan.window_minutes, self._clock)
        files = TradeFiles(name.folder(self._storage).parent / FOLDER, plan.window_minutes)

        def on_tick(tick: TickEntry, state: MarketState) -> None:
            if tick.seq <= last_seq:
                return
            views.publish(tick, state)
            self._has_published, self._failure = True, ""
            try:
                if plan.trade_files:
                    files.write(state)
            except EventLogError as error:
                self._note_failure(str(error))

        checked_s = time.monotonic()

        def is_over() -> bool:
            nonlocal checked_s
            if time.monotonic() - checked_s > _CHECK_EVERY_S:
                views.check_server()
                checked_s = time.monotonic()
            return self._stop.is_set()

        batches = log.follow(after, is_over, STATE_KINDS, READS, pause=self._stop.wait, gather_ms=_GATHER_MS)
        self._drive(batches, MarketState(plan.windows), on_tick)
