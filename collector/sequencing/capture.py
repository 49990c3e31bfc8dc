"""
Trades and book diffs as they come, and the asking for what did not come.
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
from eventlog.spill.recovery import held_agg_ids
from eventlog.store.log import Log
from eventlog.store.writer import LostRange
from exchanges.errors import ExchangeError, VenueReset
from exchanges.port import Arrival, Exchange, HistoricalTrade
from market.arrays import I64
from market.timestamps import HOUR_NS, SECOND_NS

LARGEST_OFFSET_NS = 10 * SECOND_NS
"""Of the venue's clock from ours: beyond, a minute's trades are not those that came in it."""

LONGEST_UNPROVEN_NS = 1_000 * SECOND_NS
"""
Without a trade or the venue's word that there was none; a silent stream is asked about after 900 s at the latest (see
`exchanges.binance.feed.stall_detector`).
"""

_FULL_PAGE = 1000
_RESET_NS = 10 * SECOND_NS
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_log = structlog.get_logger()


class Capture:
    """
    Keeps the trades in the log without a hole.

    Args:
        tail: where the log stands. history_hours: how far back an empty log begins.
        seen: what ticks report; kept up to date here.
        keeper: the recorder's own book; None where none is kept.
    """

    def __init__(
        self,
        exchange: Exchange,
        log: Log,
        recorder: FactQueue,
        clock: Clock,
        tail: LogTail,
        history_hours: int,
        seen: CaptureProgress,
        keeper: BookAuditor | None = None,
    ) -> None:
        self.exchange = exchange
        self.log = log
        self.recorder = recorder
        self.clock = clock
        self.seen = seen
        self.keeper = keeper
        gaps = [(g.first, g.last, g.next, g.cause) for g in tail.open_gaps]
        self.trades = TradeSequencer(tail.next_agg_id, gaps)
        self.diffs = DiffSequencer(tail.last_update_id)
        self._history_hours = history_hours
        self._first_id = tail.first_agg_id
        self._cause = "first_start" if tail.next_agg_id is None else "restart"
        self._diff_cause = "feed_skipped" if tail.last_update_id is None else "restart"
        self._ask = asyncio.Event()
        self._catch_up = True
        # Id and time of the newest live trade; before the first, the log's end and our own start.
        self._newest = (tail.next_agg_id - 1, clock.now_ns()) if tail.next_agg_id is not None else (0, 0)
        self._later: asyncio.Task[int] | None = None
        self.clock_offset_ns: int | None = None  # how far the venue's clock is ahead of ours, as last measured
        self._late_ns: int | None = None  # how long after its own time the newest trade of the feed came
        self._proven_ns = 0  # when the log last was seen to hold the newest trade there is
        self._unreadable = 0  # trades that came since and could not be read
        self._newest_unreadable = False  # so that the venue's word that there is no newer one proves nothing

    def state(self) -> TradesState:
        """Whether the log's trades are as new as the market's."""
        return self.assessment()[0]

    def assessment(self) -> tuple[TradesState, str]:
        """
        The state of the log's trades, and why they are not live; empty where they are.

        A connection alone proves nothing: trades are live while the log took one, or the venue said that there is none,
        not long ago, and none came meanwhile that nobody could read.
        """
        if not self.exchange.open_connections:
            return "down", "the feed is not connected"
        if self.clock_offset_ns is not None and abs(self.clock_offset_ns) > LARGEST_OFFSET_NS:
            ahead = self.clock_offset_ns / SECOND_NS
            return (
                "down",
                f"the venue's clock is {ahead:+.1f} s from ours: minutes cannot be told apart; set this clock",
            )
        if self._unreadable:
            return "down", f"{self._unreadable} trades came that could not be read"
        if self._late_ns is not None and self.out_of_time:
            late = self._late_ns / SECOND_NS
            return "down", f"trades come {late:+.1f} s after their own time: a clock is wrong, or the feed is late"
        if self.trades.next_id is None:
            return "catching_up", "no trade is in the log yet"
        if self.trades.catching_up or self._catch_up:
            return "catching_up", "trades before the newest are still being fetched"
        if self.exchange.last_mute_ns > max(self.exchange.last_quiet_ns, self.seen.last_trade_recv_ns or 0):
            return "catching_up", "the last connection brought no trade though there were some, nor has this one yet"
        if self.clock_offset_ns is None and self._late_ns is None:
            return "catching_up", "neither the venue's clock nor a trade tells yet whether this clock is right"
        silent_ns = self.clock.now_ns() - max(self._proven_ns, self.exchange.last_quiet_ns)
        if silent_ns > LONGEST_UNPROVEN_NS:
            return (
                "down",
                f"no trade came for {silent_ns // SECOND_NS} s, and the venue did not say that there was none",
            )
        return "live", ""

    @property
    def out_of_time(self) -> bool:
        """Whether the newest trade came so long before or after its own time that its minute is another one."""
        return self._late_ns is not None and abs(self._late_ns) > LARGEST_OFFSET_NS

    @property
    def doubts_clocks(self) -> bool:
        """Whether what came lately may be so because this clock, or the venue's, was set to another time."""
        return self.out_of_time or self._unreadable > 0

    def settled(self) -> list[Fact]:
        """What can be said about the open gaps of an earlier run before anything was asked."""
        return self.trades.fetched((), self.clock.now_ns())

    def left(self) -> list[Fact]:
        """The diffs that still wait when nothing more will come; trades that wait are asked for by the next run."""
        return self.kept(self.diffs.give_up(self.clock.now_ns()))

    async def feed(self) -> None:
        """The live stream into the log."""
        arrivals = self.exchange.arrivals()
        try:
            async for batch in arrivals:
                self.recorder.arrived(batch)
                await self.recorder.put(self._sort(batch))
                if self.trades.wanted() is not None:
                    self._ask.set()
        finally:
            await arrivals.aclose()

    def _sort(self, batch: Sequence[Arrival]) -> list[Fact]:
        """What goes into the log for a batch of arrivals, in their order."""
        now = self.clock.now_ns()
        facts: list[Fact] = []
        run: list[tuple[int, Fact]] = []
        for arrival in batch:
            fact = arrival.fact
            if fact is not None and arrival.what == "agg_trade":
                run.append((arrival.number, fact))
                self._expect_no_reset(arrival)
                self._late_ns = arrival.recv_ns - arrival.time_ns
                self.seen.last_trade_recv_ns = arrival.recv_ns
                continue
            facts += self._live(run, now)
            run = []
            if fact is None:
                facts += self._news(arrival)
            elif arrival.what == "diff":
                self.seen.last_depth_recv_ns = arrival.recv_ns
                facts += self.kept(self.diffs.take(arrival.first, arrival.number, fact, self._diff_cause, now))
                self._diff_cause = "feed_skipped"
            else:
                self._unreadable += arrival.kind in ("", AGG_TRADE)
                facts.append(fact)
        return facts + self._live(run, now) + self.kept(self.diffs.overdue(now))

    def kept(self, ready: Sequence[Ready]) -> list[Fact]:
        """Facts that go into the log now, with what its book says of them; to be queued before anything is awaited."""
        return self.keeper.follow(ready) if self.keeper is not None else [r.fact for r in ready]

    def _expect_no_reset(self, arrival: Arrival) -> None:
        """
        Ids that go back while time goes on are another market's: a test network was wiped, an exchange began anew.

        Raises:
            VenueReset: this log cannot go on with them.
        """
        agg_id, time_ns = self._newest
        if arrival.number > agg_id:
            self._newest = (arrival.number, arrival.time_ns)
        elif time_ns and arrival.time_ns > time_ns + _RESET_NS:
            raise VenueReset(
                f"the venue's trade ids went back from {agg_id} to {arrival.number} while time went on: it began anew; "
                "record into another storage_dir"
            )

    def _live(self, run: list[tuple[int, Fact]], now: int) -> list[Fact]:
        if not run:
            return []
        if self.trades.next_id is None:
            return []  # history comes first: `fill` finds where it begins and asks for all of it
        facts = self.trades.live(run, now, self._cause)
        if any(fact.kind == AGG_TRADE for fact in facts):
            self._proven(now)
        if not self.trades.catching_up:
            self._cause = "feed_skipped"
        return facts

    def _proven(self, now_ns: int) -> None:
        self._proven_ns, self._unreadable, self._newest_unreadable = now_ns, 0, False

    def _news(self, arrival: Arrival) -> list[Fact]:
        """A connection came or went; one that overlaps with another changes nothing for the log."""
        event: Literal["connected", "disconnected"] = "connected" if arrival.what == "connected" else "disconnected"
        facts = [Session(event, arrival.detail).fact(SESSION, arrival.recv_ns)]
        if arrival.overlapping:
            _log.info(event, reason=arrival.detail, overlapping=True)
        elif event == "connected":
            _log.info(event, reason=arrival.detail)
            if arrival.detail.startswith("silent"):  # it takes over from a connection that did not bring everything
                self._cause = self._diff_cause = "silent"
            self._catch_up = True
            self._ask.set()
            self.diffs.renewed()
        else:
            self._cause = self._diff_cause = "disconnect"
            _log.warning(event, reason=arrival.detail)
            facts = self.kept(self.diffs.give_up(arrival.recv_ns)) + facts
        return facts

    async def fill(self) -> None:
        """Ask for missing trades: at start, after every connection, and wherever the feed left a hole."""
        attempt = 0
        while True:
            try:
                if self.trades.next_id is None:
                    await self._find_start()
                progressed = await self._ask_once()
                attempt = 0 if progressed else attempt + 1
            except ExchangeError as error:
                attempt += 1
                _log.warning("trades not available, trying again", reason=str(error))
            now = self.clock.now_ns()
            await self.recorder.put(self.trades.overdue(now) + self.kept(self.diffs.overdue(now)))
            if attempt or (self.trades.wanted() is None and not self._catch_up):
                self._ask.clear()
                pause = _BACKOFF_S[min(attempt, len(_BACKOFF_S)) - 1] if attempt else 1.0
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.sleep(pause) if attempt else self._ask.wait(), pause)

    async def _find_start(self) -> None:
        """Where an empty log begins: some hours ago, or with the newest trade there is."""
        since = self.clock.now_ns() - self._history_hours * HOUR_NS
        first = await self.exchange.first_trade_since(since)
        if first is None:
            raise ExchangeError("the market has no trades yet")
        _log.info("fetching history", hours=self._history_hours, first_agg_id=first)
        self.trades.start_at(first)
        self._first_id = first

    async def _ask_once(self) -> bool:
        """One page of what is wanted; whether that brought anything, or nothing was wanted."""
        wanted = self.trades.wanted()
        if wanted is None and not self._catch_up:
            return True
        first = wanted[0] if wanted else self.trades.next_id
        if first is None:
            return False
        page, is_last = await self._page_from(first)
        facts = self.trades.fetched([(n.agg_id, n.fact) for n in page], self.clock.now_ns())
        await self.recorder.put(facts)
        if is_last:
            self._catch_up = False
            if page:
                self._newest_unreadable = page[-1].fact.kind != AGG_TRADE
            if not self._newest_unreadable:
                self._proven(self.clock.now_ns())
            else:
                self._unreadable += bool(page)
        if not self.trades.catching_up and not self._catch_up:
            self._cause = "feed_skipped"
        return bool(facts) or wanted is None

    async def _page_from(self, agg_id: int) -> tuple[Sequence[HistoricalTrade], bool]:
        """
        Trades from an id on, and whether there are no more now.

        Ids that are left out are asked for again: only what the venue leaves out twice does not exist.
        """
        page = await self.exchange.trades_from(agg_id)
        if not page or page[-1].agg_id - agg_id == len(page) - 1:
            return page, len(page) < _FULL_PAGE
        again = await self.exchange.trades_from(agg_id)
        if not again:
            raise ExchangeError(f"trades from {agg_id} were there, and then none")
        end = min(page[-1].agg_id, again[-1].agg_id)  # beyond, ids were left out once at most
        both = {each.agg_id: each for each in (*page, *again) if each.agg_id <= end}
        is_last = len(page) < _FULL_PAGE and page[-1].agg_id == again[-1].agg_id
        return [both[known] for known in sorted(both)], is_last

    async def lost(self, lost: LostRange) -> None:
        """The server lost entries: find out which trades went with them, and ask for those again."""
        _log.error("the server lost entries", first_seq=lost.first, last_seq=lost.last)
        held = await asyncio.get_running_loop().run_in_executor(None, held_agg_ids, self.log)
        # Nothing may be awaited from here on: the queue and the sequencer must be seen at one moment.
        known = np.concatenate((held, *(self._ids_of(facts) for facts in self.recorder.queued(AGG_TRADE))))
        end = self.trades.settled_before
        facts: list[Fact] = []
        if self._first_id is not None and end is not None and self._first_id < end:
            now = self.clock.now_ns()
            for first, last in missing_ids(known, self._first_id, end, self.trades.missing()):
                facts += self.trades.lost(first, last, now)
        if self.keeper is not None:
            self.keeper.forget()
        self._ask.set()
        self._later = asyncio.create_task(self.recorder.put(facts))

    def _ids_of(self, trades: Sequence[Fact]) -> I64:
        if not trades:
            return np.empty(0, np.int64)
        entries = [Entry(0, f.kind, f.recv_ns, f.data) for f in trades]
        return decode_entries(entries, self.log.venue)[AGG_TRADE].column("agg_id").to_numpy().astype(np.int64)
