"""
Keeps a market's views and trade files as its log grows: a fold of its own beside the recorder, for looking at only.
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
from projections.state import KINDS, READS, MarketState, TickEntry, Windows

_GATHER_MS = 250  # a view is of a minute: it may come so much later, for a fraction of the reads
_LOOK_EVERY_S = 5.0
_PAUSES_S = (2.0, 5.0, 15.0, 60.0)  # after whatever ended it: to begin again it folds days

_log = structlog.get_logger()

Drive = Callable[[Iterable[Batch], MarketState, Callable[[TickEntry, MarketState], None]], None]
"""The one loop: facts into the folds, and at every tick whoever wants to look."""


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """
    What is published of a market.

    Attributes:
        windows: of the folds. window_minutes: of `trades_window`. trade_files: whether minutes that leave it are
            written as files.
    """

    windows: Windows
    window_minutes: int
    trade_files: bool


class ViewPublisher:
    """
    Folds a market's log in a thread of its own and publishes what the folds hold at each new tick. Whatever ends it, it
    begins again: the folds are made of the log, and the views of the folds.

    Args:
        log_of: opens the log for reading, with a connection of its own. connect: a new connection, for writing views.
        drive: see `runtime.loop`.
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
        self._ended = threading.Event()
        self._views: Views | None = None
        self._failure = ""
        self._got_on = False
        self._thread = threading.Thread(target=self._run, name="views", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self, timeout_s: float) -> None:
        """End, and wait for it a while."""
        self._ended.set()
        self._thread.join(timeout_s)

    def status(self) -> dict[str, Any]:
        """What `--status` shows: how many minutes and books the views hold, and why they are not written."""
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
        while not self._ended.is_set():
            self._got_on = False
            try:
                self._follow()
            except EventLogError as error:
                self._say(str(error))
            except Exception:
                self._failure = "a fault of ours; the log says more"
                _log.exception("views ended; they begin again, recording goes on")
            attempt = 0 if self._got_on else attempt + 1
            self._ended.wait(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])

    def _say(self, failure: str) -> None:
        if failure != self._failure:
            _log.warning("views not written, trying again", reason=failure)
        self._failure = failure

    def _follow(self) -> None:
        """Fold what the log holds, then each entry as it comes, until told to end."""
        name, plan = LogName("events", self.market), self._plan
        log = self._log_of(ColdLog(self._storage, name), HotLog(self._connect(), name))
        after = log.seq_before(self._clock.now_ns() - plan.windows.warmup_ns)
        known = log.last_seq()
        views = self._views = Views(self._connect, self.market, plan.window_minutes, self._clock)
        files = TradeFiles(name.folder(self._storage).parent / FOLDER, plan.window_minutes)

        def on_tick(tick: TickEntry, state: MarketState) -> None:
            if tick.seq <= known:
                return
            views.publish(tick, state)
            self._got_on, self._failure = True, ""
            try:
                if plan.trade_files:
                    files.write(state)
            except EventLogError as error:
                self._say(str(error))

        looked_at = time.monotonic()

        def is_over() -> bool:
            nonlocal looked_at
            if time.monotonic() - looked_at > _LOOK_EVERY_S:
                views.look()
                looked_at = time.monotonic()
            return self._ended.is_set()

        batches = log.follow(after, is_over, KINDS, READS, pause=self._ended.wait, gather_ms=_GATHER_MS)
        self._drive(batches, MarketState(plan.windows), on_tick)
