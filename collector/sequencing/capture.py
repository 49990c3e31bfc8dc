"""
Trades and book diffs as they come, and the fetching of trades that did not come.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import structlog

from collector.fact_queue import FactQueue
from collector.sequencing.book_auditor import BookAuditor
from collector.sequencing.diff_sequencer import DiffSequencer, Ready
from collector.sequencing.log_tail import LogTail
from collector.sequencing.tick_maker import CaptureProgress
from collector.sequencing.trade_sequencer import TradeSequencer
from eventlog.clock import Clock
from eventlog.codec import decode_entries
from eventlog.facts.capture import SESSION, Session, TradesState
from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import AGG_TRADE
from eventlog.spill.missing_ids import missing_ids
from eventlog.spill.recovery import load_agg_ids
from eventlog.store.log import Log
from eventlog.store.writer import LostRange
from exchanges.errors import ExchangeError, VenueReset
from exchanges.port import Arrival, Exchange, HistoricalTrade
from market.arrays import I64
from market.timestamps import HOUR_NS, SECOND_NS

MAX_OFFSET_NS = 10 * SECOND_NS
"""Of the exchange's clock from ours: beyond it, trades count in another minute than the one they came in."""

MAX_UNVERIFIED_NS = 1_000 * SECOND_NS
"""
Longest time that trades count as live without a trade or an answer of the exchange that there was none; a silent stream
is probed after 900 s at the latest (see `exchanges.binance.feed.stall_detector`).
"""

# Ids that fell while time rose by less: an old message, not a venue that began anew.
_MIN_RESET_NS = 10 * SECOND_NS
# Pauses before a question about a gap is asked again, the last one repeated.
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_log = structlog.get_logger()


class Capture:
    """
    Keeps the trades in the log without a gap.

    Args:
        exchange: the market.
        log: open for reading, to find what a server lost.
        queue: appends facts to the log.
        clock: the time.
        tail: the end of the log.
        history_hours: how far back an empty log begins.
        progress: for ticks; updated here.
        auditor: the recorder's own book, None for none.

    Attributes:
        clock_offset_ns: how far the exchange's clock is ahead of ours as last measured, None before that; set by the
            recorder.
    """

    def __init__(
        self,
        exchange: Exchange,
        log: Log,
        queue: FactQueue,
        clock: Clock,
        tail: LogTail,
        history_hours: int,
        progress: CaptureProgress,
        auditor: BookAuditor | None = None,
    ) -> None:
        self.exchange = exchange
        self.log = log
        self.queue = queue
        self.clock = clock
        self.progress = progress
        self.auditor = auditor
        gaps = [(g.first, g.last, g.next, g.cause) for g in tail.open_gaps]
        self.trades = TradeSequencer(tail.next_agg_id, gaps)
        self.diffs = DiffSequencer(tail.last_update_id)
        self._history_hours = history_hours
        self._first_id = tail.first_agg_id
        self._cause = "first_start" if tail.next_agg_id is None else "restart"
        self._diff_cause = "feed_skipped" if tail.last_update_id is None else "restart"
        self._fetch_needed = asyncio.Event()
        self._must_catch_up = True
        # Id and time of the newest live trade; before the first, the log's end and our own start.
        self._newest = (tail.next_agg_id - 1, clock.now_ns()) if tail.next_agg_id is not None else (0, 0)
        self._put_task: asyncio.Task[int] | None = None
        self.clock_offset_ns: int | None = None
        self._newest_lateness_ns: int | None = None  # receive time of the newest live trade less its own time
        self._verified_ns = 0  # when the log last had the newest trade there is
        self._unreadable_count = 0  # trades that came since and could not be read
        self._is_newest_unreadable = False  # the exchange having no newer one then verifies nothing

    def state(self) -> TradesState:
        """Whether the log's trades are up to date with the market."""
        return self.assessment()[0]

    def assessment(self) -> tuple[TradesState, str]:
        """
        The state of the log's trades, and why they are not live; empty where they are.

        A connection is not enough: trades are live while, not long ago, one was logged or the exchange had no newer
        one, and no unreadable trade came since.
        """
        if not self.exchange.open_connections:
            return "down", "the feed is not connected"
        if self.clock_offset_ns is not None and abs(self.clock_offset_ns) > MAX_OFFSET_NS:
            offset_s = self.clock_offset_ns / SECOND_NS
            return (
                "down",
                f"the venue's clock is {offset_s:+.1f} s from ours: minutes cannot be told apart; set this clock",
            )
        if self._unreadable_count:
            return "down", f"{self._unreadable_count} trades came that could not be read"
        if self._newest_lateness_ns is not None and self.is_out_of_time:
            late_s = self._newest_lateness_ns / SECOND_NS
            return "down", f"trades come {late_s:+.1f} s after their own time: a clock is wrong, or the feed is late"
        if self.trades.next_id is None:
            return "catching_up", "no trade is in the log yet"
        if self.trades.catching_up or self._must_catch_up:
            return "catching_up", "trades before the newest are still being fetched"
        proof = self.exchange.silence_proof
        if proof.mute_ns > max(proof.quiet_ns, self.progress.last_trade_recv_ns or 0):
            return "catching_up", "the last connection brought no trade though there were some, nor has this one yet"
        if self.clock_offset_ns is None and self._newest_lateness_ns is None:
            return "catching_up", "neither the venue's clock nor a trade tells yet whether this clock is right"
        silent_ns = self.clock.now_ns() - max(self._verified_ns, proof.quiet_ns)
        if silent_ns > MAX_UNVERIFIED_NS:
            return (
                "down",
                f"no trade came for {silent_ns // SECOND_NS} s, and the venue did not say that there was none",
            )
        return "live", ""

    @property
    def is_out_of_time(self) -> bool:
        """Whether the newest trade came so long before or after its own time that minutes cannot be trusted."""
        return self._newest_lateness_ns is not None and abs(self._newest_lateness_ns) > MAX_OFFSET_NS

    @property
    def has_clock_doubts(self) -> bool:
        """Whether recent data suggests that this clock, or the exchange's, was set to another time."""
        return self.is_out_of_time or self._unreadable_count > 0

    def close_filled_gaps(self) -> list[Fact]:
        """Close the open gaps of an earlier run in which nothing is missing; return the facts to log."""
        return self.trades.add_fetched((), self.clock.now_ns())

    def give_up_pending(self) -> list[Fact]:
        """Give up pending diffs at the end; return the facts to log. Pending trades are fetched by the next run."""
        return self.add_audits(self.diffs.give_up(self.clock.now_ns()))

    async def feed(self) -> None:
        """Log what the feed brings, until cancelled."""
        arrivals = self.exchange.arrivals()
        try:
            async for batch in arrivals:
                self.queue.note_arrivals(batch)
                await self.queue.put(self._sequence_batch(batch))
                if self.trades.missing_range() is not None:
                    self._fetch_needed.set()
        finally:
            await arrivals.aclose()

    def _sequence_batch(self, batch: Sequence[Arrival]) -> list[Fact]:
        """The facts to log for a batch of arrivals, in order."""
        now = self.clock.now_ns()
        facts: list[Fact] = []
        trades: list[tuple[int, Fact]] = []
        for arrival in batch:
            fact = arrival.fact
            if fact is not None and arrival.what == "trade":
                trades.append((arrival.last_id, fact))
                self._expect_no_reset(arrival)
                self._newest_lateness_ns = arrival.recv_ns - arrival.time_ns
                self.progress.last_trade_recv_ns = arrival.recv_ns
                continue
            facts += self._sequence_trades(trades, now)
            trades = []
            if fact is None:
                facts += self._note_connection(arrival)
            elif arrival.what == "diff":
                self.progress.last_depth_recv_ns = arrival.recv_ns
                facts += self.add_audits(
                    self.diffs.take(arrival.first_id, arrival.last_id, fact, self._diff_cause, now)
                )
                self._diff_cause = "feed_skipped"
            else:
                self._unreadable_count += arrival.kind in ("", AGG_TRADE)
                facts.append(fact)
        return facts + self._sequence_trades(trades, now) + self.add_audits(self.diffs.expire(now))

    def add_audits(self, ready: Sequence[Ready]) -> list[Fact]:
        """Facts to log now, with the audits of the book; to be queued before anything is awaited."""
        return self.auditor.follow(ready) if self.auditor is not None else [r.fact for r in ready]

    def _expect_no_reset(self, arrival: Arrival) -> None:
        """
        Refuse smaller ids at later times: these are of another market, e.g. of a test network that was reset.

        Raises:
            VenueReset: this log cannot go on with such ids.
        """
        newest_id, time_ns = self._newest
        if arrival.last_id > newest_id:
            self._newest = (arrival.last_id, arrival.time_ns)
        elif time_ns and arrival.time_ns > time_ns + _MIN_RESET_NS:
            raise VenueReset(
                f"the venue's trade ids went back from {newest_id} to {arrival.last_id} while time went on: it began"
                " anew; record into another storage_dir"
            )

    def _sequence_trades(self, trades: list[tuple[int, Fact]], now: int) -> list[Fact]:
        if not trades:
            return []
        if self.trades.next_id is None:
            return []  # history comes first: `fill` finds where it begins and asks for all of it
        facts = self.trades.add_live(trades, now, self._cause)
        if any(fact.kind == AGG_TRADE for fact in facts):
            self._mark_verified(now)
        if not self.trades.catching_up:
            self._cause = "feed_skipped"
        return facts

    def _mark_verified(self, now_ns: int) -> None:
        self._verified_ns, self._unreadable_count, self._is_newest_unreadable = now_ns, 0, False

    def _note_connection(self, arrival: Arrival) -> list[Fact]:
        """Log that a connection was opened or ended; one that overlaps with another leaves no gap."""
        event: Literal["connected", "disconnected"] = "connected" if arrival.what == "connected" else "disconnected"
        facts = [Session(event, arrival.detail).fact(SESSION, arrival.recv_ns)]
        if arrival.overlapping:
            _log.info(event, reason=arrival.detail, overlapping=True)
        elif event == "connected":
            _log.info(event, reason=arrival.detail)
            if arrival.detail.startswith("silent"):  # it takes over from a connection that did not bring everything
                self._cause = self._diff_cause = "silent"
            self._must_catch_up = True
            self._fetch_needed.set()
            self.diffs.restart()
        else:
            self._cause = self._diff_cause = "disconnect"
            _log.warning(event, reason=arrival.detail)
            facts = self.add_audits(self.diffs.give_up(arrival.recv_ns)) + facts
        return facts

    async def fill(self) -> None:
        """Fetch missing trades until cancelled: at start, after every connection, and where the feed left a gap."""
        attempt = 0
        while True:
            try:
                if self.trades.next_id is None:
                    await self._find_start()
                has_progress = await self._fetch_once()
                attempt = 0 if has_progress else attempt + 1
            except ExchangeError as error:
                attempt += 1
                _log.warning("trades not available, trying again", reason=str(error))
            now = self.clock.now_ns()
            await self.queue.put(self.trades.expire(now) + self.add_audits(self.diffs.expire(now)))
            if attempt or (self.trades.missing_range() is None and not self._must_catch_up):
                self._fetch_needed.clear()
                pause = _BACKOFF_S[min(attempt, len(_BACKOFF_S)) - 1] if attempt else 1.0
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.sleep(pause) if attempt else self._fetch_needed.wait(), pause)

    async def _find_start(self) -> None:
        """Find where an empty log begins: some hours ago, or with the newest trade there is."""
        since_ns = self.clock.now_ns() - self._history_hours * HOUR_NS
        first = await self.exchange.first_trade_since(since_ns)
        if first is None:
            raise ExchangeError("the market has no trades yet")
        _log.info("fetching history", hours=self._history_hours, first_agg_id=first)
        self.trades.start_at(first)
        self._first_id = first

    async def _fetch_once(self) -> bool:
        """Fetch one page of what is missing; whether it brought anything, or nothing was missing."""
        missing = self.trades.missing_range()
        if missing is None and not self._must_catch_up:
            return True
        first = missing[0] if missing else self.trades.next_id
        if first is None:
            return False
        page, is_last = await self._fetch_page(first)
        facts = self.trades.add_fetched([(t.trade_id, t.fact) for t in page], self.clock.now_ns())
        await self.queue.put(facts)
        if is_last:
            self._must_catch_up = False
            if page:
                self._is_newest_unreadable = page[-1].fact.kind != AGG_TRADE
            if not self._is_newest_unreadable:
                self._mark_verified(self.clock.now_ns())
            else:
                self._unreadable_count += bool(page)
        if not self.trades.catching_up and not self._must_catch_up:
            self._cause = "feed_skipped"
        return bool(facts) or missing is None

    async def _fetch_page(self, first_id: int) -> tuple[Sequence[HistoricalTrade], bool]:
        """
        Fetch trades from an id on, and whether these are the last ones now.

        A page with missing ids is fetched again: only ids that are missing twice do not exist.
        """
        full_page = self.exchange.capabilities.trades_page
        page = await self.exchange.trades_from(first_id)
        if not page or page[-1].trade_id - first_id == len(page) - 1:
            return page, len(page) < full_page
        second = await self.exchange.trades_from(first_id)
        if not second:
            raise ExchangeError(f"trades from {first_id} were there, and then none")
        end = min(page[-1].trade_id, second[-1].trade_id)  # beyond it, ids were missing once at most
        trades = {trade.trade_id: trade for trade in (*page, *second) if trade.trade_id <= end}
        is_last = len(page) < full_page and page[-1].trade_id == second[-1].trade_id
        return [trades[trade_id] for trade_id in sorted(trades)], is_last

    async def recover_lost(self, lost_range: LostRange) -> None:
        """Find out which trades were among the entries that the server lost, and fetch these again."""
        _log.error("the server lost entries", first_seq=lost_range.first, last_seq=lost_range.last)
        stored_ids = await asyncio.get_running_loop().run_in_executor(None, load_agg_ids, self.log)
        # Nothing may be awaited from here on: queue and sequencer must be read at the same moment.
        known_ids = np.concatenate(
            (stored_ids, *(self._ids_of(facts) for facts in self.queue.pending_facts(AGG_TRADE)))
        )
        watermark = self.trades.watermark
        facts: list[Fact] = []
        if self._first_id is not None and watermark is not None and self._first_id < watermark:
            now = self.clock.now_ns()
            for first, last in missing_ids(known_ids, self._first_id, watermark, self.trades.missing_ranges()):
                facts += self.trades.add_lost(first, last, now)
        if self.auditor is not None:
            self.auditor.reset()
        self._fetch_needed.set()
        self._put_task = asyncio.create_task(self.queue.put(facts))

    def _ids_of(self, trades: Sequence[Fact]) -> I64:
        if not trades:
            return np.empty(0, np.int64)
        entries = [Entry(0, f.kind, f.recv_ns, f.data) for f in trades]
        return decode_entries(entries, self.log.venue)[AGG_TRADE].column("agg_id").to_numpy().astype(np.int64)
