"""
The order book once more, in its plainest form: two dictionaries, a diff at a time.

It gives the same results as `order_book.OrderBook`, which shares nothing with it but the audit; each checks the other,
and the recorder uses this one.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from market.arrays import I64
from projections.book.book_audit import Audit, BookPair, audit_books
from projections.book.book_levels import ABSENT, Sides
from projections.book.diff_buffer import BUFFER_NS, LevelChanges, UpdateGap

State = Literal["no_book", "in_step", "gap"]

_Levels = tuple[dict[int, int], dict[int, int]]


class BookDelta(NamedTuple):
    """A diff: changed prices of bids and of asks with their new quantities, 0 where a level is deleted."""

    recv_ns: int
    first_update_id: int
    last_update_id: int
    prices_e8: tuple[list[int], list[int]]
    quantities_e8: tuple[list[int], list[int]]


class BookSnapshot(NamedTuple):
    """A snapshot; `limit` is the number of levels a side that the request asked for."""

    recv_ns: int
    last_update_id: int
    limit: int
    sides: Sides


@dataclass(slots=True)
class _Book:
    levels: _Levels
    edges: tuple[int, int]  # keys as in `book_levels`
    snapshot_update_id: int
    recv_ns: int
    last_update_id: int

    def apply(self, diff: BookDelta) -> bool:
        """False where a diff is missing before this one."""
        if diff.last_update_id <= self.last_update_id:
            return True
        if diff.first_update_id > self.last_update_id + 1:
            return False
        for side, prices, quantities in zip(self.levels, diff.prices_e8, diff.quantities_e8, strict=True):
            side.update(zip(prices, quantities, strict=True))
            if 0 in quantities:
                for price, quantity in zip(prices, quantities, strict=True):
                    if quantity == 0:
                        side.pop(price, None)
        self.last_update_id = diff.last_update_id
        return True

    def sides(self) -> Sides:
        """Best first."""
        bids, asks = self.levels
        columns = [np.array(list(d.items()), np.int64).reshape(-1, 2) for d in (bids, asks)]
        bid, ask = columns[0][np.argsort(-columns[0][:, 0])], columns[1][np.argsort(columns[1][:, 0])]
        return Sides(bid[:, 0].copy(), bid[:, 1].copy(), ask[:, 0].copy(), ask[:, 1].copy())


class ReferenceBook:
    """
    The book after each snapshot and diff it was given, in the order of the log.

    Args:
        max_differing: largest number of differing levels of a healthy audit.
    """

    def __init__(self, max_differing: int = 0) -> None:
        self.max_differing = max_differing
        self.state: State = "no_book"
        self._book: _Book | None = None
        self._previous: _Book | None = None  # the book of before, until the diffs reach the snapshot of this one
        self._recent_diffs: deque[BookDelta] = deque()

    @property
    def last_update_id(self) -> int | None:
        """The last update in the book; None without one."""
        return self._book.last_update_id if self._book is not None and self.state == "in_step" else None

    @property
    def chain_id(self) -> int | None:
        """The last update id that the next diff must follow; None where no book is synchronised."""
        last = self.last_update_id
        return last if last is None or self._previous is None else self._previous.last_update_id

    @property
    def pending_update_id(self) -> int | None:
        """The update id that the diffs must reach for the last snapshot to be compared; None where none waits."""
        return self._book.snapshot_update_id if self._book is not None and self._previous is not None else None

    def levels(self) -> Sides:
        """All levels; none without a synchronised book."""
        if self._book is None or self.state != "in_step":
            nothing: I64 = np.empty(0, np.int64)
            return Sides(nothing, nothing, nothing, nothing)
        return self._book.sides()

    def apply_diff(self, diff: BookDelta) -> tuple[UpdateGap | None, Audit | None]:
        """
        Apply a diff.

        Returns:
            The gap before it; the audit that it made possible.
        """
        self._recent_diffs.append(diff)
        while self._recent_diffs[0].recv_ns < diff.recv_ns - BUFFER_NS:
            self._recent_diffs.popleft()
        if self._book is None or self.state != "in_step":
            return None, None
        gap = self._find_gap(self._previous or self._book, diff, "diff_missing", diff.recv_ns)
        is_reached = diff.last_update_id >= self._book.last_update_id
        if not self._book.apply(diff):
            self.state = "gap"
        previous = self._previous
        if previous is None:
            return gap, None
        if not previous.apply(diff):
            self._previous = None
        elif is_reached:
            self._previous = None
            return gap, self._compare(previous, diff.recv_ns)
        return gap, None

    def apply_snapshot(self, snapshot: BookSnapshot) -> tuple[UpdateGap | None, Audit | None]:
        """
        Start again from a snapshot, unless it is older than the one before.

        Returns:
            As `apply_diff`.
        """
        if self._book is not None and snapshot.last_update_id < self._book.snapshot_update_id:
            return None, None
        previous = (self._previous or self._book) if self.state == "in_step" else None
        self._book, self._previous, self.state = _build_book(snapshot), None, "in_step"
        gap = None
        for diff in self._recent_diffs:
            if diff.recv_ns < snapshot.recv_ns - BUFFER_NS:
                continue
            gap = self._find_gap(self._book, diff, "snapshot_too_old", snapshot.recv_ns)
            if not self._book.apply(diff):
                self.state = "gap"
                return gap, None
        if previous is None or not self._recent_diffs:
            return None, None
        if previous.last_update_id < snapshot.last_update_id:
            self._previous = previous
            return None, None
        return None, self._compare(previous, snapshot.recv_ns)

    def _find_gap(self, book: _Book, diff: BookDelta, cause: str, at_ns: int) -> UpdateGap | None:
        if diff.last_update_id <= book.last_update_id or diff.first_update_id <= book.last_update_id + 1:
            return None
        return UpdateGap(at_ns, book.last_update_id + 1, diff.first_update_id - 1, cause)

    def _compare(self, previous: _Book, at_ns: int) -> Audit | None:
        book = self._book
        if book is None or self.state != "in_step" or book.last_update_id != previous.last_update_id:
            return None
        edges = max(previous.edges[0], book.edges[0]), max(previous.edges[1], book.edges[1])
        books = BookPair(
            previous.sides(), book.sides(), edges, book.snapshot_update_id, book.last_update_id, book.recv_ns, at_ns,
            lambda side: self._level_changes(side, book.last_update_id, at_ns),
        )  # fmt: skip
        return audit_books(books, self.max_differing)

    def _level_changes(self, side: int, last_update_id: int, newest_ns: int) -> LevelChanges:
        diffs = [
            d for d in self._recent_diffs if d.last_update_id <= last_update_id and d.recv_ns >= newest_ns - BUFFER_NS
        ]
        counts = [len(d.prices_e8[side]) for d in diffs]
        prices = np.array([price for d in diffs for price in d.prices_e8[side]], np.int64)
        ids, times = (np.array([d[field] for d in diffs], np.int64) for field in (2, 0))
        return LevelChanges(prices, np.repeat(ids, counts), np.repeat(times, counts))


def _build_book(snapshot: BookSnapshot) -> _Book:
    sides = snapshot.sides
    levels = [dict(zip(*(column.tolist() for column in sides.side_levels(side)), strict=True)) for side in (0, 1)]
    edges = [
        (1 - 2 * side) * int(prices[-1]) if len(prices) >= snapshot.limit > 0 else ABSENT
        for side in (0, 1)
        for prices in (sides.side_levels(side)[0],)
    ]
    return _Book(
        (levels[0], levels[1]), (edges[0], edges[1]), snapshot.last_update_id, snapshot.recv_ns, snapshot.last_update_id
    )
