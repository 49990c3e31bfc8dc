"""
The order book once more, as plainly as it can be said: two dictionaries, a diff at a time.

It answers as `order_book.OrderBook` does, which shares nothing with it but the audit; each is the other's witness, and
the recorder keeps this one.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from market.arrays import I64
from projections.book.book_audit import Audit, Compared, audit
from projections.book.book_levels import ABSENT, Sides
from projections.book.diff_buffer import BUFFER_NS, Hole, Touches

State = Literal["no_book", "in_step", "gap"]

_Levels = tuple[dict[int, int], dict[int, int]]


class BookDelta(NamedTuple):
    """A diff: changed prices of bids and of asks with their new quantities, 0 where a level is gone."""

    recv_ns: int
    first_update_id: int
    last_update_id: int
    prices_e8: tuple[list[int], list[int]]
    quantities_e8: tuple[list[int], list[int]]


class BookSnapshot(NamedTuple):
    """A snapshot: `limit` levels a side were asked for."""

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
        for held, prices, quantities in zip(self.levels, diff.prices_e8, diff.quantities_e8, strict=True):
            held.update(zip(prices, quantities, strict=True))
            if 0 in quantities:
                for price, quantity in zip(prices, quantities, strict=True):
                    if quantity == 0:
                        held.pop(price, None)
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
        tolerated: how many differing levels an audit lets pass.
    """

    def __init__(self, tolerated: int = 0) -> None:
        self.tolerated = tolerated
        self.state: State = "no_book"
        self._book: _Book | None = None
        self._behind: _Book | None = None  # the book of before, until the diffs reach the snapshot of this one
        self._kept: deque[BookDelta] = deque()

    @property
    def last_update_id(self) -> int | None:
        """The last update in the book; None without one."""
        return self._book.last_update_id if self._book is not None and self.state == "in_step" else None

    @property
    def followed(self) -> int | None:
        """The last update id that the next diff must follow on; None where no book is in step."""
        last = self.last_update_id
        return last if last is None or self._behind is None else self._behind.last_update_id

    @property
    def awaited(self) -> int | None:
        """The update id that the diffs must reach for the last snapshot to be compared; None where none waits."""
        return self._book.snapshot_update_id if self._book is not None and self._behind is not None else None

    def levels(self) -> Sides:
        """Every level held; none without a book in step."""
        if self._book is None or self.state != "in_step":
            nothing: I64 = np.empty(0, np.int64)
            return Sides(nothing, nothing, nothing, nothing)
        return self._book.sides()

    def diff(self, diff: BookDelta) -> tuple[Hole | None, Audit | None]:
        """
        Take a diff.

        Returns:
            The hole it was found behind; the audit it made possible.
        """
        self._kept.append(diff)
        while self._kept[0].recv_ns < diff.recv_ns - BUFFER_NS:
            self._kept.popleft()
        if self._book is None or self.state != "in_step":
            return None, None
        hole = self._hole(self._behind or self._book, diff, "diff_missing", diff.recv_ns)
        reached = diff.last_update_id >= self._book.last_update_id
        if not self._book.apply(diff):
            self.state = "gap"
        behind = self._behind
        if behind is None:
            return hole, None
        if not behind.apply(diff):
            self._behind = None
        elif reached:
            self._behind = None
            return hole, self._compare(behind, diff.recv_ns)
        return hole, None

    def snapshot(self, shown: BookSnapshot) -> tuple[Hole | None, Audit | None]:
        """
        Start anew from a snapshot, unless it is older than the one before.

        Returns:
            As `diff`.
        """
        if self._book is not None and shown.last_update_id < self._book.snapshot_update_id:
            return None, None
        before = (self._behind or self._book) if self.state == "in_step" else None
        self._book, self._behind, self.state = _start(shown), None, "in_step"
        hole = None
        for diff in self._kept:
            if diff.recv_ns < shown.recv_ns - BUFFER_NS:
                continue
            hole = self._hole(self._book, diff, "snapshot_too_old", shown.recv_ns)
            if not self._book.apply(diff):
                self.state = "gap"
                return hole, None
        if before is None or not self._kept:
            return None, None
        if before.last_update_id < shown.last_update_id:
            self._behind = before
            return None, None
        return None, self._compare(before, shown.recv_ns)

    def _hole(self, book: _Book, diff: BookDelta, cause: str, at_ns: int) -> Hole | None:
        if diff.last_update_id <= book.last_update_id or diff.first_update_id <= book.last_update_id + 1:
            return None
        return Hole(at_ns, book.last_update_id + 1, diff.first_update_id - 1, cause)

    def _compare(self, before: _Book, at_ns: int) -> Audit | None:
        book = self._book
        if book is None or self.state != "in_step" or book.last_update_id != before.last_update_id:
            return None
        edges = max(before.edges[0], book.edges[0]), max(before.edges[1], book.edges[1])
        books = Compared(
            before.sides(), book.sides(), edges, book.snapshot_update_id, book.last_update_id, book.recv_ns, at_ns,
            lambda side: self._touches(side, book.last_update_id, at_ns),
        )  # fmt: skip
        return audit(books, self.tolerated)

    def _touches(self, side: int, last_update_id: int, newest_ns: int) -> Touches:
        kept = [d for d in self._kept if d.last_update_id <= last_update_id and d.recv_ns >= newest_ns - BUFFER_NS]
        counts = [len(d.prices_e8[side]) for d in kept]
        prices = np.array([price for d in kept for price in d.prices_e8[side]], np.int64)
        ids, times = (np.array([d[place] for d in kept], np.int64) for place in (2, 0))
        return Touches(prices, np.repeat(ids, counts), np.repeat(times, counts))


def _start(shown: BookSnapshot) -> _Book:
    sides = shown.sides
    levels = [dict(zip(*(column.tolist() for column in sides.of(side)), strict=True)) for side in (0, 1)]
    edges = [
        (1 - 2 * side) * int(prices[-1]) if len(prices) >= shown.limit > 0 else ABSENT
        for side in (0, 1)
        for prices in (sides.of(side)[0],)
    ]
    return _Book(
        (levels[0], levels[1]), (edges[0], edges[1]), shown.last_update_id, shown.recv_ns, shown.last_update_id
    )
