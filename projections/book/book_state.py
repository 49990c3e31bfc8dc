"""
One book in arrays: a snapshot, and the diffs since.
"""

from dataclasses import dataclass

import numpy as np

from eventlog.store.batch import Rows
from market.arrays import I64
from market.fixed_point import common_unit
from projections.book.book_levels import (
    ABSENT,
    DEPTH,
    NO_BOOK,
    NO_DIFF_YET,
    SIDES,
    SYNCHRONISED,
    Levels,
    Run,
    Sides,
    apply_diffs,
    best_key,
    copy_top,
    is_quoted,
    read_only,
    set_levels,
)
from projections.book.snapshot_window import Snapshot

_ANY_TIME = np.iinfo(np.int64).min
_MAX_WIDTH = 1 << 20  # ticks; memory is used only where a level is set
_WIDTH_FACTOR = 8  # so much wider than a snapshot, as many changes lie beyond it
_MAX_KEY = 1 << 61  # so that no difference of two keys wraps
_NO_TOPS = np.empty((0, 2, DEPTH, 2), np.int64)  # stands for "not asked for"


@dataclass(frozen=True, slots=True)
class Anchor:
    """
    The snapshot below a book.

    Attributes:
        farthest_e8: the last known price of bids and of asks, None where the side is complete.
    """

    seq: int
    recv_ns: int
    request_ns: int
    response_ns: int
    last_update_id: int
    farthest_e8: tuple[int | None, int | None]


class BookState:
    """
    Levels, and their place in the chain of update ids.

    A level beyond the edge of its snapshot is known once a diff has named it, until the next snapshot; levels between
    it and the edge are not, so the edge never moves.

    Attributes:
        chain: see `book_levels.apply_diffs`.
        edges: the farthest key of a side up to which every level is known, ABSENT where all are.
    """

    def __init__(self) -> None:
        self.anchor: Anchor | None = None
        self.chain = np.array([NO_BOOK, 0, NO_DIFF_YET], np.int64)
        self.edges = (ABSENT, ABSENT)
        self._levels = _empty_levels(np.empty(0, np.int64))

    @classmethod
    def from_snapshot(cls, books: Rows, row: int, last_diff_id: int) -> "BookState":
        """
        Build the book of one snapshot.

        Args:
            books: rows of snapshots.
            row: index of one in their columns.
            last_diff_id: the last update id of the diffs, NO_DIFF_YET where none has come lately.
        """
        columns, book = books.columns, cls()
        sides = [(columns.levels(f"{s}_price_e8", row), columns.levels(f"{s}_quantity_e8", row)) for s in SIDES]
        book._levels = _empty_levels(np.concatenate([prices for prices, _ in sides]))
        for side, (prices, quantities) in enumerate(sides):
            book._levels = set_levels(book._levels, side, read_only(prices), read_only(quantities), 0, len(prices))
        limit = int(columns["limit"][row])
        bid, ask = (int(prices[-1]) if len(prices) >= limit > 0 else None for prices, _ in sides)
        book.edges = (ABSENT if bid is None else bid, ABSENT if ask is None else -ask)
        names = ("seq", "recv_ns", "request_ns", "response_ns", "last_update_id")
        seq, recv_ns, request_ns, response_ns, update_id = (int(columns[name][row]) for name in names)
        book.anchor = Anchor(seq, recv_ns, request_ns, response_ns, update_id, (bid, ask))
        book.chain[:] = SYNCHRONISED, book.anchor.last_update_id, last_diff_id
        return book

    @property
    def synchronised(self) -> bool:
        """Whether no diff is missing since its snapshot."""
        return bool(self.chain[0] == SYNCHRONISED)

    @property
    def last_update_id(self) -> int:
        """The last update in it; of a broken book, the last before the gap."""
        return int(self.chain[1])

    @property
    def is_quoted(self) -> bool:
        """See `book_levels.is_quoted`."""
        return bool(is_quoted(self._levels))

    def apply(self, run: Run, start: int, stop: int, tops: I64 = _NO_TOPS, oldest_ns: int = _ANY_TIME) -> I64:
        """
        Apply the diffs start to stop of a run.

        Args:
            run: n diffs.
            start, stop: indices of diffs, stop exclusive.
            tops, oldest_ns: see `book_levels.apply_diffs`.

        Returns:
            (stop − start,): the outcome of each.
        """
        outcome = np.empty(stop - start, np.int64)
        self._levels = apply_diffs(self._levels, self.chain, run, start, stop, oldest_ns, outcome, tops)
        return outcome

    @property
    def in_reach(self) -> bool:
        """Whether the best level of each side lies within what its snapshot reached."""
        return all(best_key(self._levels, side) >= edge for side, edge in enumerate(self.edges))

    @property
    def two_sided(self) -> bool:
        """Whether neither side is empty."""
        return all(best_key(self._levels, side) != ABSENT for side in (0, 1))

    def top(self, count: int) -> Sides:
        """The best `count` levels a side, or as many as there are; none where it is not synchronised."""
        if count > DEPTH:
            return Sides(*(column[:count] for column in self.levels()))
        best = np.empty((2, DEPTH, 2), np.int64)
        copy_top(self._levels, best)
        columns = []
        for side in (0, 1):
            rows = best[side, : count if self.synchronised else 0]
            rows = rows[rows[:, 0] != ABSENT]
            columns += [rows[:, 0] * (1 - 2 * side), rows[:, 1].copy()]
        return Sides(*columns)

    def levels(self) -> Sides:
        """All levels, those beyond the snapshot's reach included; none where it is not synchronised."""
        bids, asks = (self._side(side) for side in (0, 1))
        return Sides(*bids, *asks)

    def as_snapshot(self) -> Snapshot | None:
        """Its levels up to the farthest price of its snapshot, as a snapshot; None where it is not synchronised."""
        anchor = self.anchor
        if anchor is None or not self.synchronised:
            return None
        bid, bid_quantity, ask, ask_quantity = self.levels()
        low, high = anchor.farthest_e8
        bids = len(bid) if low is None else int(np.searchsorted(-bid, -low, side="right"))
        asks = len(ask) if high is None else int(np.searchsorted(ask, high, side="right"))
        limits = [n for n, far in ((bids, low), (asks, high)) if far is not None]
        return Snapshot(
            seq=anchor.seq,
            request_ns=anchor.request_ns,
            response_ns=anchor.response_ns,
            last_update_id=self.last_update_id,
            limit=min(limits) if limits else max(bids, asks) + 1,
            bid_price_e8=bid[:bids],
            bid_quantity_e8=bid_quantity[:bids],
            ask_price_e8=ask[:asks],
            ask_quantity_e8=ask_quantity[:asks],
        )

    def _side(self, side: int) -> tuple[I64, I64]:
        if not self.synchronised:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        near, ends, grid, sizes, keys, quantities = self._levels
        last, first = ends[side].tolist()
        size = int(sizes[side])
        row = near[side, min(first, last + 1) : last + 1]
        ticks = np.flatnonzero(row)
        all_keys = np.concatenate((grid[1 + side] + (ticks + first) * grid[0], keys[side, :size]))
        all_quantities = np.concatenate((row[ticks], quantities[side, :size]))
        order = np.argsort(all_keys, kind="stable")[::-1] if size else slice(None, None, -1)
        all_keys, all_quantities = all_keys[order], np.ascontiguousarray(all_quantities[order])
        return all_keys * (1 - 2 * side), all_quantities


def _empty_levels(price_e8: I64) -> Levels:
    """No level yet, and ticks for several times the span of some prices, as far as that is not too wide."""
    unit, middle, width = 1, 0, 1
    if len(price_e8):
        unit = common_unit(price_e8)
        low, high = int(price_e8.min()), int(price_e8.max())
        middle = low + (high - low) // unit // 2 * unit
        width = max(1, min(_MAX_WIDTH, max(1024, _WIDTH_FACTOR * (high - low) // unit), _MAX_KEY // unit))
    base = middle - width // 2 * unit
    return Levels(
        near=np.zeros((2, width), np.int64),
        ends=np.array([[-1, width], [-1, width]], np.int64),
        grid=np.array([unit, base, -(base + (width - 1) * unit)], np.int64),
        sizes=np.zeros(2, np.int64),
        keys=np.empty((2, 64), np.int64),
        quantities=np.empty((2, 64), np.int64),
    )
