"""
The hot loop of the order book: an array of ticks around the touch, and two sorted arrays for levels off it.

A level's key is its price for bids and minus its price for asks, so that the best level of either side has the largest
key. A level on the grid of ticks costs one store, wherever it is; one off the grid or far away, one more row. Ticks
without a level use no memory.
"""

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from eventlog.store.batch import Rows
from market.arrays import I64
from market.compiled import compiled

_T = TypeVar("_T", bound=np.generic)

DEPTH = 5
"""Number of populated levels a side in a trace."""

ABSENT = np.iinfo(np.int64).min
"""The key of an absent level, and the edge of a side that is known to its end."""

NO_BOOK, SYNCHRONISED, BROKEN = 0, 1, 2
"""States of a chain: whether update ids have been followed without a gap since a snapshot."""

STALE, APPLIED, APPLIED_UNQUOTED, AFTER_GAP, UNUSABLE = 0, 1, 2, 3, 4
"""
Outcomes of a diff: known already; applied between two good quotes; applied, but a quote was missing or crossed before
or after, or a snapshot contained part of the diffs before it; not applied, for a gap lies before it; not applied, for
there is no book, or a snapshot is ahead of it.
"""

NO_DIFF_YET = -1
"""The last id of the diffs where none has come lately."""

Run = tuple[I64, I64, I64, I64, I64, I64, I64, I64, I64]
"""n diffs: receive times, first and last update ids; n + 1 offsets, prices and quantities of bids; the same of asks."""

SIDES = ("bid", "ask")


class Sides(NamedTuple):
    """k bid levels and j ask levels, best first."""

    bid_price_e8: I64
    bid_quantity_e8: I64
    ask_price_e8: I64
    ask_quantity_e8: I64

    def side_levels(self, side: int) -> tuple[I64, I64]:
        """Prices and quantities of the bids (0) or of the asks (1)."""
        return self[2 * side], self[2 * side + 1]


def read_only(values: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """The same values, contiguous and read-only: a kernel is compiled once for each combination of array layouts."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def build_run(rows: Rows) -> Run:
    """Build a run from rows of diffs."""
    times, first, last = (read_only(rows[name]) for name in ("recv_ns", "first_update_id", "last_update_id"))
    lists = []
    for side in SIDES:
        offsets, prices = rows.columns.flatten(f"{side}_price_e8")
        _, quantities = rows.columns.flatten(f"{side}_quantity_e8")
        lists += [read_only(offsets[rows.start : rows.stop + 1]), read_only(prices), read_only(quantities)]
    return times, first, last, lists[0], lists[1], lists[2], lists[3], lists[4], lists[5]


def slice_run(run: Run, start: int, stop: int) -> Run:
    """
    The diffs start to stop of a run; prices and quantities are shared, not copied.

    Args:
        run: n diffs.
        start, stop: indices of diffs, stop exclusive.
    """
    times, first, last, bids, bid, bid_quantity, asks, ask, ask_quantity = run
    rows, ends = slice(start, stop), slice(start, stop + 1)
    return times[rows], first[rows], last[rows], bids[ends], bid, bid_quantity, asks[ends], ask, ask_quantity


class Levels(NamedTuple):
    """
    The levels of a book, changed in place.

    Attributes:
        near: (2, width) quantities of bids and of asks by tick, the largest key last, 0 where there is no level.
        ends: (2, 2) for each side the last tick that is populated, −1 for none, and the first that was ever named.
        grid: the size of a tick, the key of the first tick of the bids, and of the asks.
        sizes: (2,) number of levels of a side off the ticks. keys, quantities: (2, capacity) those, the best last.
    """

    near: I64
    ends: I64
    grid: I64
    sizes: I64
    keys: I64
    quantities: I64


@compiled
def apply_diffs(levels, chain, run, start, stop, oldest_ns, outcome, tops):  # type: ignore[no-untyped-def]
    """
    Apply the diffs start to stop of a run by the venue's procedure.

    Args:
        levels: changed in place but for the levels off the ticks, which are replaced where their capacity is exceeded.
        chain: (3,) state, last update id of the book, last update id of the diffs; changed. The two ids differ where a
            snapshot is ahead of the diffs: no flow is formed from it to them.
        run: n diffs.
        start, stop: indices of diffs, stop exclusive.
        oldest_ns: diffs received before this are skipped.
        outcome: (stop − start,) is filled in.
        tops: (stop − start + 1, 2, DEPTH, 2), the best levels before the first diff and after each; empty where they
            are not traced.

    Returns:
        The levels.
    """
    recv_ns, first_id, last_id, bids, bid, bid_quantity, asks, ask, ask_quantity = run
    is_traced = len(tops) > 0
    is_good = is_quoted(levels)
    if is_traced:
        copy_top(levels, tops[0])
    for i in range(start, stop):
        index = i - start
        if recv_ns[i] < oldest_ns:
            outcome[index] = STALE
        elif chain[0] != SYNCHRONISED:
            chain[2] = last_id[i]
            outcome[index] = UNUSABLE
        elif last_id[i] <= chain[1]:
            outcome[index] = UNUSABLE if last_id[i] > chain[2] else STALE
            chain[2] = max(chain[2], last_id[i])
        elif first_id[i] > chain[1] + 1:
            chain[0], chain[2] = BROKEN, last_id[i]
            outcome[index] = AFTER_GAP
        else:
            is_joined = chain[2] == chain[1] or (chain[2] == NO_DIFF_YET and first_id[i] == chain[1] + 1)
            levels = set_levels(levels, 0, bid, bid_quantity, bids[i], bids[i + 1])
            levels = set_levels(levels, 1, ask, ask_quantity, asks[i], asks[i + 1])
            chain[1], chain[2] = last_id[i], last_id[i]
            was_good = is_good and is_joined
            is_good = is_quoted(levels)
            outcome[index] = APPLIED if was_good and is_good else APPLIED_UNQUOTED
        if is_traced:
            copy_top(levels, tops[index + 1])
    return levels


@compiled
def best_key(levels, side):  # type: ignore[no-untyped-def]
    """The key of the best level of a side, ABSENT where it is empty."""
    tick, size = levels.ends[side, 0], levels.sizes[side]
    best = levels.grid[1 + side] + tick * levels.grid[0] if tick >= 0 else ABSENT
    return max(best, levels.keys[side, size - 1]) if size > 0 else best


@compiled
def is_quoted(levels):  # type: ignore[no-untyped-def]
    """Whether there are a best bid and a best ask, the bid below the ask."""
    bid, ask = best_key(levels, 0), best_key(levels, 1)
    return bid != ABSENT and ask != ABSENT and bid < -ask


@compiled
def copy_top(levels, top):  # type: ignore[no-untyped-def]
    """Fill (2, DEPTH, 2) with key and quantity of the best levels, best first."""
    near, ends, grid, sizes, keys, quantities = levels
    for side in range(2):
        tick, first, far = ends[side, 0], ends[side, 1], sizes[side] - 1
        for level in range(DEPTH):
            while tick >= first and near[side, tick] == 0:
                tick -= 1
            near_key = grid[1 + side] + tick * grid[0] if tick >= first else ABSENT
            far_key = keys[side, far] if far >= 0 else ABSENT
            top[side, level, 0] = max(near_key, far_key)
            if near_key > far_key:
                top[side, level, 1] = near[side, tick]
                tick -= 1
            elif far >= 0:
                top[side, level, 1] = quantities[side, far]
                far -= 1
            else:
                top[side, level, 1] = 0


@compiled
def set_levels(levels, side, prices, amounts, start, stop):  # type: ignore[no-untyped-def]
    """
    Set the levels of a list of prices and quantities.

    Args:
        levels: as for `apply_diffs`.
        side: 0 for bids, 1 for asks.
        prices, amounts: at least `stop` values, 1e-8 and counts of quantity; 0 deletes a level.
        start, stop: indices into both, stop exclusive.

    Returns:
        The levels, as `apply_diffs`.
    """
    near, ends, grid, sizes, _, _ = levels
    keys, quantities = _ensure_capacity(levels.keys, levels.quantities, sizes[side] + stop - start)
    side_keys, side_quantities = keys[side], quantities[side]
    row, width, unit, base = near[side], near.shape[1], grid[0], grid[1 + side]
    per_unit = 1.0 / unit
    sign = 1 - 2 * side
    best, first = ends[side, 0], ends[side, 1]
    for i in range(start, stop):
        key, amount = sign * prices[i], amounts[i]
        offset = key - base
        tick = np.int64(offset * per_unit + 0.5)
        if offset < 0 or tick >= width or tick * unit != offset:
            sizes[side] = _put_level(side_keys, side_quantities, sizes[side], key, amount)
            continue
        row[tick] = amount
        first = min(first, tick)
        best = max(best, tick if amount != 0 else -1)  # selected, not branched upon: which it is cannot be guessed
        if tick == best and amount == 0:
            while best >= first and row[best] == 0:
                best -= 1
            if best < first:
                best, first = -1, width
    ends[side, 0], ends[side, 1] = best, first
    return Levels(near, ends, grid, sizes, keys, quantities)


@compiled
def _ensure_capacity(keys, quantities, size):  # type: ignore[no-untyped-def]
    capacity = keys.shape[1]
    if size <= capacity:
        return keys, quantities
    wider_keys, wider = np.empty((2, 2 * size), np.int64), np.empty((2, 2 * size), np.int64)
    wider_keys[:, :capacity] = keys
    wider[:, :capacity] = quantities
    return wider_keys, wider


@compiled
def _put_level(keys, quantities, size, key, quantity):  # type: ignore[no-untyped-def]
    low, high = 0, size
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    exists = low < size and keys[low] == key
    if quantity == 0:
        if exists:
            size -= 1
            for i in range(low, size):
                keys[i] = keys[i + 1]
                quantities[i] = quantities[i + 1]
    elif exists:
        quantities[low] = quantity
    else:
        for i in range(size, low, -1):
            keys[i] = keys[i - 1]
            quantities[i] = quantities[i - 1]
        keys[low] = key
        quantities[low] = quantity
        size += 1
    return size
