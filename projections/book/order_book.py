"""
The order book, rebuilt from snapshots and diffs by the venue's own procedure.

Source: Binance, "How to manage a local order book correctly" (spot, corrected 2025-11-12). The book is anchored again
at every snapshot, with the diffs of the last two minutes applied again, so that it is a function of the newest snapshot
and the diffs after it. A missing diff makes it unusable until the next snapshot. The previous book is compared with the
new one at the same update id; where the snapshot is ahead of the diffs the previous book is kept until they reach it,
and flow is formed from it.
"""

from typing import Literal, NamedTuple

import numpy as np

from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.store.batch import Batch, Rows
from market.arrays import I64
from market.timestamps import MINUTE_NS
from projections import digest
from projections.book.book_audit import Audit, BookPair, audit_books
from projections.book.book_levels import (
    AFTER_GAP,
    BROKEN,
    DEPTH,
    NO_BOOK,
    NO_DIFF_YET,
    Run,
    Sides,
    build_run,
    read_only,
    slice_run,
)
from projections.book.book_state import BookState
from projections.book.diff_buffer import DiffBuffer, UpdateGap, find_gap
from projections.book.snapshot_window import Snapshot

COLUMNS = (
    "recv_ns",
    "event_time_ns",
    "first_update_id",
    "last_update_id",
    "bid_price_e8",
    "bid_quantity_e8",
    "ask_price_e8",
    "ask_quantity_e8",
)
"""The columns of a diff that are read."""

Status = Literal["no_book", "live", "gap", "one_sided", "crossed"]


class Quote(NamedTuple):
    """Best bid and best ask with their quantities."""

    bid_e8: int
    bid_quantity_e8: int
    ask_e8: int
    ask_quantity_e8: int


class Steps(NamedTuple):
    """
    The effect of n diffs on the book, one after the other.

    Attributes:
        outcome: (n,) one of STALE, APPLIED, APPLIED_UNQUOTED, AFTER_GAP and UNUSABLE of `book_levels`.
        tops: (n + 1, 2, DEPTH, 2) bids and asks, best first, key and quantity: before the first diff, after each.
    """

    recv_ns: I64
    event_time_ns: I64
    last_update_id: I64
    outcome: I64
    tops: I64


class OrderBook:
    """
    The fold of the order book.

    Args:
        anchor_minutes: how long a snapshot is valid; nothing is kept of older ones.
        max_differing: largest number of differing levels of a healthy audit.

    Attributes:
        audit: the last comparison of the book with the venue's; None where there was none within `anchor_minutes`.
        gap: where updates were last missing; None where none were within `anchor_minutes`.
    """

    def __init__(self, anchor_minutes: int = 60, max_differing: int = 0) -> None:
        self.anchor_minutes = anchor_minutes
        self.max_differing = max_differing
        self.audit: Audit | None = None
        self.gap: UpdateGap | None = None
        self._book = BookState()
        self._previous: BookState | None = None  # the book of before, until the diffs reach the snapshot of this one
        self._recent_snapshots: list[
            tuple[int, int]
        ] = []  # receive time and update id of the snapshots of the last minutes
        self._buffer = DiffBuffer()
        self._newest_ns = 0
        self._last_diff_ns = 0  # when the last diff was received

    def apply(self, batch: Batch, *, traced: bool = True) -> list[Steps]:
        """
        Apply a batch's snapshots and diffs, in seq order.

        Returns:
            The effect of each run of diffs; empty where it is not traced.
        """
        diffs, books = batch.rows.get(DIFF), batch.rows.get(SNAPSHOT)
        if diffs is None and books is None:
            return []
        run = None if diffs is None else build_run(diffs)
        steps: list[Steps] = []
        start = 0
        for row in range(books.start, books.stop) if books else ():
            if diffs is not None and run is not None:
                stop = int(np.searchsorted(diffs["seq"], books.columns["seq"][row])) if books else 0
                steps += self._apply_diffs(diffs, run, start, stop, traced)
                start = stop
            if books:
                self._apply_snapshot(books, row)
        if diffs is not None and run is not None:
            steps += self._apply_diffs(diffs, run, start, len(diffs), traced)
        self._buffer.trim(self._newest_ns)
        return steps

    def close(self, boundary_ns: int) -> None:
        """Close the window at a tick: state that rests on a snapshot older than the window is dropped."""
        oldest = boundary_ns - self.anchor_minutes * MINUTE_NS
        anchor = self._book.anchor
        if anchor is not None and anchor.recv_ns <= boundary_ns - MINUTE_NS:
            self._previous = None  # the diffs have stopped, or the snapshot is not of their kind
        if anchor is not None and anchor.recv_ns <= oldest:
            last_diff_id = self._book.chain[2]
            self._book = BookState()
            self._book.chain[2] = last_diff_id
        if self.audit is not None and self.audit.recv_ns <= oldest:
            self.audit = None
        if self.gap is not None and self.gap.recv_ns <= oldest:
            self.gap = None

    @property
    def status(self) -> Status:
        """Live, or the reason why the book is not usable."""
        book = self._book
        if book.chain[0] == NO_BOOK:
            return "no_book"
        if book.chain[0] == BROKEN:
            return "gap"
        if not book.two_sided:
            return "one_sided"
        return "live" if book.is_quoted else "crossed"

    @property
    def usable(self) -> bool:
        """Whether the book is complete: anchored, no diff missing, two sides, not crossed."""
        return self.status == "live"

    @property
    def in_reach(self) -> bool:
        """
        Whether price is within the reach of the last snapshot: beyond it a better level than the best may be unknown.
        """
        return self._book.in_reach

    @property
    def trusted(self) -> bool:
        """Whether it is usable, within reach, and did not differ from the venue's own when they were last compared."""
        return self.usable and self.in_reach and (self.audit is None or self.audit.healthy)

    @property
    def last_update_id(self) -> int | None:
        """The last update in the book; None without one."""
        return self._book.last_update_id if self._book.synchronised else None

    @property
    def edges_e8(self) -> tuple[int | None, int | None]:
        """The lowest bid and the highest ask up to which every level is known; None where all are, or none."""
        return self._book.anchor.farthest_e8 if self._book.anchor is not None else (None, None)

    def quote(self) -> Quote | None:
        """The best bid and ask; None where the book is not usable."""
        if not self.usable:
            return None
        sides = self.top(1)
        return Quote(*(int(column[0]) for column in sides))

    @property
    def mid_e8(self) -> float | None:
        """Half-way between best bid and best ask; None where the book is not usable."""
        best = self.quote()
        return None if best is None else (best.bid_e8 + best.ask_e8) / 2

    def top(self, count: int) -> Sides:
        """The best `count` levels a side, or as many as there are; none without a synchronised book."""
        return self._book.top(count)

    def levels(self) -> Sides:
        """All levels, those beyond the snapshot's reach included."""
        return self._book.levels()

    def as_snapshot(self) -> Snapshot | None:
        """
        The book as a snapshot; None where it is not usable or price has left its reach.

        Levels beyond the farthest price of the snapshot below it are left out: between them others are unknown.
        """
        return self._book.as_snapshot() if self.usable and self.in_reach else None

    def digest(self) -> str:
        """The digest of the state."""
        anchor = self._book.anchor
        state = int(self._book.chain[0])
        head = [self.anchor_minutes, state, self.last_update_id or 0, anchor.seq if anchor is not None else 0]
        parts = [np.array(head, np.int64), *self.levels()]
        if self.audit is not None:
            parts.append(np.array(self.audit.to_numbers(), np.int64))
        if self.gap is not None:
            parts.append(np.array(self.gap[:3], np.int64))
        if self._previous is not None:
            parts += [np.array([self._previous.last_update_id], np.int64), *self._previous.levels()]
        return digest.of_columns(*parts).hex()

    def _apply_diffs(self, diffs: Rows, run: Run, start: int, stop: int, traced: bool) -> list[Steps]:
        if start == stop:
            return []
        self._buffer.add(slice_run(run, start, stop))
        self._newest_ns = int(run[0][start:stop].max())  # not the largest ever: one bad stamp must not last
        self._last_diff_ns = int(run[0][stop - 1])
        steps = []
        while start < stop:
            end, outcome, tops = self._apply_to_leader(run, start, stop, traced)
            if traced:
                times = read_only(diffs["event_time_ns"][start:end])
                steps.append(Steps(run[0][start:end], times, run[2][start:end], outcome, tops))
            start = end
        return steps

    def _apply_to_leader(self, run: Run, start: int, stop: int, traced: bool) -> tuple[int, I64, I64]:
        """Apply diffs as far as one book leads: the previous one as long as there is one."""
        book, previous = self._book, self._previous
        if previous is not None:
            reaching = np.flatnonzero(run[2][start:stop] >= book.last_update_id)
            stop = start + int(reaching[0]) + 1 if len(reaching) else stop
        leader = book if previous is None else previous
        tops = np.empty((stop - start + 1 if traced else 0, 2, DEPTH, 2), np.int64)
        outcome = leader.apply(run, start, stop, tops)
        gap = find_gap(outcome, run, start, leader, None, "diff_missing")
        self.gap = gap or self.gap
        if previous is None:
            return stop, outcome, tops
        if gap is not None:
            stop = start + int(np.flatnonzero(outcome == AFTER_GAP)[0]) + 1
            self._previous = None
        anchor_id = book.last_update_id
        book.apply(run, start, stop)
        if self._previous is not None and run[2][stop - 1] >= anchor_id:
            self._previous = None
            self._compare(previous, int(run[0][stop - 1]))
        size = stop - start
        return stop, outcome[:size], tops[: size + 1] if traced else tops

    def _apply_snapshot(self, books: Rows, row: int) -> None:
        columns = books.columns
        recv_ns, update_id = int(columns["recv_ns"][row]), int(columns["last_update_id"][row])
        self._newest_ns = recv_ns
        oldest = recv_ns - self.anchor_minutes * MINUTE_NS
        self._recent_snapshots = [mark for mark in self._recent_snapshots if mark[0] > oldest]
        has_newer = any(other_id > update_id for _, other_id in self._recent_snapshots)
        self._recent_snapshots.append((recv_ns, update_id))
        if has_newer:
            return
        previous = self._previous or self._book
        last_diff_id = int(self._book.chain[2]) if self._last_diff_ns > oldest else NO_DIFF_YET
        self._book = BookState.from_snapshot(books, row, last_diff_id)
        self.gap = self._buffer.apply_to(self._book, recv_ns) or self.gap
        self._book.chain[2] = last_diff_id
        self._previous = None
        if (
            last_diff_id == NO_DIFF_YET
            or not previous.synchronised
            or previous.anchor is None
            or previous.anchor.recv_ns <= oldest
        ):
            return
        if previous.last_update_id < update_id:
            self._previous = previous
        else:
            self._compare(previous, recv_ns)

    def _compare(self, previous: BookState, at_ns: int) -> None:
        """Compare the previous book with the newly anchored one, where both are at the same update."""
        book = self._book
        if not book.synchronised or book.anchor is None or previous.last_update_id != book.last_update_id:
            return
        anchor, update_id = book.anchor, book.last_update_id
        edges = max(previous.edges[0], book.edges[0]), max(previous.edges[1], book.edges[1])
        self.audit = audit_books(
            BookPair(
                previous.levels(), book.levels(), edges, anchor.last_update_id, update_id,
                anchor.recv_ns, at_ns, lambda side: self._buffer.level_changes(side, update_id, at_ns),
            ),
            self.max_differing,
        )  # fmt: skip
