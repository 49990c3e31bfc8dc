"""
The order book, rebuilt from snapshots and diffs by the venue's own procedure.

Source: Binance, "How to manage a local order book correctly" (spot, corrected 2025-11-12). The book is anchored anew at
every snapshot, with the diffs of the last two minutes applied again, so that it is a function of the newest snapshot
and what followed. A missing diff makes it unusable until the next snapshot.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from eventlog.batch import Batch, Rows
from eventlog.facts import DIFF, SNAPSHOT
from market.fixed_point import I64
from market.timestamps import MINUTE_NS
from projections import digest
from projections.book_levels import BROKEN, DEPTH, IN_STEP, NO_BOOK, UNHEARD, Run, follow, frozen, load, quoted
from projections.snapshot_window import Snapshot

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
"""What is read of a diff."""

BUFFER_NS = 2 * MINUTE_NS
"""How far back diffs are kept, to be applied again on a snapshot that arrives after them."""

Status = Literal["no_book", "live", "gap", "one_sided", "crossed"]


class Quote(NamedTuple):
    """Best bid and best ask with their quantities."""

    bid_e8: int
    bid_quantity_e8: int
    ask_e8: int
    ask_quantity_e8: int


class Sides(NamedTuple):
    """k bid levels and j ask levels, best first."""

    bid_price_e8: I64
    bid_quantity_e8: I64
    ask_price_e8: I64
    ask_quantity_e8: I64


@dataclass(frozen=True, slots=True)
class Steps:
    """
    What n diffs did to the book, one after the other.

    Attributes:
        outcome: (n,) OLD, WHOLE, BARE, BROKE or UNREAD of `book_levels`.
        tops: (n + 1, 2, DEPTH, 2) bids and asks, best first, key and quantity: before the first diff, after each.
    """

    recv_ns: I64
    event_time_ns: I64
    last_update_id: I64
    outcome: I64
    tops: I64


@dataclass(frozen=True, slots=True)
class _Anchor:
    seq: int
    recv_ns: int
    request_ns: int
    response_ns: int
    limit: int
    farthest_e8: tuple[int | None, int | None]  # the last known price of a side, None where the side is complete


class _Buffered(NamedTuple):
    newest_ns: int
    last_update_id: int
    run: Run


class OrderBook:
    """
    The fold.

    Args:
        anchor_minutes: for how long a snapshot is good; of older ones nothing is remembered.
    """

    def __init__(self, anchor_minutes: int = 60) -> None:
        self.anchor_minutes = anchor_minutes
        self._keys = np.empty((2, 1024), np.int64)
        self._quantities = np.empty((2, 1024), np.int64)
        self._sizes = np.zeros(2, np.int64)
        self._chain = np.array([NO_BOOK, 0, UNHEARD], np.int64)
        self._anchor: _Anchor | None = None
        self._seen: list[tuple[int, int]] = []  # receive time and update id of the snapshots of the last minutes
        self._buffer: deque[_Buffered] = deque()
        self._newest_ns = 0
        self._heard_ns = 0  # when the last diff was received

    def apply(self, batch: Batch, *, traced: bool = True) -> list[Steps]:
        """
        Take a batch's snapshots and diffs, in seq order.

        Returns:
            What each run of diffs did; nothing where it is not to be traced.
        """
        diffs, books = batch.rows.get(DIFF), batch.rows.get(SNAPSHOT)
        if diffs is None and books is None:
            return []
        run = None if diffs is None else _run_of(diffs)
        done: list[Steps] = []
        at = 0
        for row in range(books.start, books.stop) if books else ():
            if diffs is not None and run is not None:
                before = int(np.searchsorted(diffs["seq"], books.columns["seq"][row])) if books else 0
                done += self._follow(diffs, run, at, before, traced)
                at = before
            if books:
                self._take(books, row)
        if diffs is not None and run is not None:
            done += self._follow(diffs, run, at, len(diffs), traced)
        while self._buffer and self._buffer[0].newest_ns < self._newest_ns - BUFFER_NS:
            self._buffer.popleft()
        return done

    def close(self, boundary_ns: int) -> None:
        """A tick: what rests on a snapshot older than the window is forgotten."""
        oldest = boundary_ns - self.anchor_minutes * MINUTE_NS
        if self._anchor is not None and self._anchor.recv_ns <= oldest:
            self._anchor = None
            self._sizes[:] = 0
            self._chain[:2] = NO_BOOK, 0

    @property
    def status(self) -> Status:
        """Live, or why not."""
        if self._chain[0] == NO_BOOK:
            return "no_book"
        if self._chain[0] == BROKEN:
            return "gap"
        if self._sizes.min() == 0:
            return "one_sided"
        return "live" if quoted(self._keys, self._sizes) else "crossed"

    @property
    def usable(self) -> bool:
        """Whether the book is whole: anchored, no diff missing, two sides, not crossed."""
        return self.status == "live"

    @property
    def last_update_id(self) -> int | None:
        """The last update in the book; None without one."""
        return int(self._chain[1]) if self._chain[0] == IN_STEP else None

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
        """The best `count` levels a side, or as many as there are; none without a book in step."""
        bids, asks = (self._side(side, count) for side in (0, 1))
        return Sides(*bids, *asks)

    def levels(self) -> Sides:
        """Every level held, those beyond the snapshot's reach included."""
        return self.top(int(self._sizes.max()))

    def as_snapshot(self) -> Snapshot | None:
        """
        The book in the form of a snapshot; None where it is not usable.

        Levels beyond the farthest price of the snapshot below it are left out: between them others are unknown.
        """
        if not self.usable or self._anchor is None:
            return None
        anchor = self._anchor
        bid, bid_quantity, ask, ask_quantity = self.levels()
        low, high = anchor.farthest_e8
        bids = len(bid) if low is None else int(np.searchsorted(-bid, -low, side="right"))
        asks = len(ask) if high is None else int(np.searchsorted(ask, high, side="right"))
        cut = [n for n, far in ((bids, low), (asks, high)) if far is not None]
        return Snapshot(
            seq=anchor.seq,
            request_ns=anchor.request_ns,
            response_ns=anchor.response_ns,
            last_update_id=int(self._chain[1]),
            limit=min(cut) if cut else max(bids, asks) + 1,
            bid_price_e8=bid[:bids],
            bid_quantity_e8=bid_quantity[:bids],
            ask_price_e8=ask[:asks],
            ask_quantity_e8=ask_quantity[:asks],
        )

    def digest(self) -> str:
        """The digest of everything this fold answers with."""
        anchor = self._anchor.seq if self._anchor is not None else 0
        in_step = self._chain[0] == IN_STEP
        head = [self.anchor_minutes, int(self._chain[0]), int(self._chain[1]) if in_step else 0, anchor]
        return digest.of_columns(np.array(head, np.int64), *self.levels()).hex()

    def _side(self, side: int, count: int) -> tuple[I64, I64]:
        stop = int(self._sizes[side]) if self._chain[0] == IN_STEP else 0
        start = max(0, stop - count)
        keys, quantities = self._keys[side, start:stop][::-1], self._quantities[side, start:stop][::-1]
        return (keys.copy() if side == 0 else -keys), quantities.copy()

    def _follow(self, diffs: Rows, run: Run, start: int, stop: int, traced: bool) -> list[Steps]:
        if start == stop:
            return []
        tops = np.empty((stop - start + 1, 2, DEPTH, 2), np.int64) if traced else _UNTRACED
        outcome = self._step(run, start, stop, np.iinfo(np.int64).min, tops)
        part = _part(run, start, stop)
        self._buffer.append(_Buffered(int(part[0].max()), int(part[2].max()), part))
        self._newest_ns = self._buffer[-1].newest_ns  # not the largest ever: one bad stamp must not last
        self._heard_ns = int(part[0][-1])
        if not traced:
            return []
        return [Steps(part[0], frozen(diffs["event_time_ns"][start:stop]), part[2], outcome, tops)]

    def _step(self, run: Run, start: int, stop: int, oldest_ns: int, tops: I64) -> I64:
        outcome = np.empty(stop - start, np.int64)
        self._keys, self._quantities = follow(
            self._keys, self._quantities, self._sizes, self._chain, run, start, stop, oldest_ns, outcome, tops
        )
        return outcome

    def _take(self, books: Rows, row: int) -> None:
        columns = books.columns
        recv_ns, update_id = int(columns["recv_ns"][row]), int(columns["last_update_id"][row])
        self._newest_ns = recv_ns
        oldest = recv_ns - self.anchor_minutes * MINUTE_NS
        self._seen = [mark for mark in self._seen if mark[0] > oldest]
        newer_seen = any(seen_id > update_id for _, seen_id in self._seen)
        self._seen.append((recv_ns, update_id))
        if newer_seen:
            return
        sides = [(columns.levels(f"{s}_price_e8", row), columns.levels(f"{s}_quantity_e8", row)) for s in _SIDES]
        most = max(len(prices) for prices, _ in sides)
        if most > self._keys.shape[1]:
            self._keys, self._quantities = np.empty((2, 2 * most), np.int64), np.empty((2, 2 * most), np.int64)
        for side, (prices, quantities) in enumerate(sides):
            load(self._keys, self._quantities, side, prices, quantities)
            self._sizes[side] = len(prices)
        limit = int(columns["limit"][row])
        far = [int(prices[-1]) if len(prices) >= limit > 0 else None for prices, _ in sides]
        times = int(columns["request_ns"][row]), int(columns["response_ns"][row])
        self._anchor = _Anchor(int(columns["seq"][row]), recv_ns, *times, limit, (far[0], far[1]))
        heard = int(self._chain[2]) if self._heard_ns > oldest else UNHEARD
        self._chain[:] = IN_STEP, update_id, heard
        for held in self._buffer:
            if held.last_update_id > update_id:
                self._step(held.run, 0, len(held.run[0]), self._newest_ns - BUFFER_NS, _UNTRACED)
        self._chain[2] = heard


_SIDES = ("bid", "ask")
_UNTRACED = np.empty((0, 2, DEPTH, 2), np.int64)


def _run_of(rows: Rows) -> Run:
    """The rows as arrays of one kind: the kernel is compiled for each kind it meets."""
    times, first, last = (frozen(rows[name]) for name in ("recv_ns", "first_update_id", "last_update_id"))
    lists = []
    for side in _SIDES:
        offsets, prices = rows.columns.flat(f"{side}_price_e8")
        _, quantities = rows.columns.flat(f"{side}_quantity_e8")
        lists += [frozen(offsets[rows.start : rows.stop + 1]), frozen(prices), frozen(quantities)]
    return times, first, last, lists[0], lists[1], lists[2], lists[3], lists[4], lists[5]


def _part(run: Run, start: int, stop: int) -> Run:
    times, first, last, bids, bid, bid_quantity, asks, ask, ask_quantity = run
    rows, ends = slice(start, stop), slice(start, stop + 1)
    return times[rows], first[rows], last[rows], bids[ends], bid, bid_quantity, asks[ends], ask, ask_quantity
