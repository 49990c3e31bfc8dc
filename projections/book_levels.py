"""
The hot loop of the order book: levels in two sorted arrays, changed in place.

A level's key is its price for bids and minus its price for asks, so that the best level of either side has the largest
key and stands last: changes near the touch move little, and a price far away costs one more row, whatever its distance.
"""

from typing import TypeVar

import numba as nb
import numpy as np
import numpy.typing as npt

from market.fixed_point import I64

_T = TypeVar("_T", bound=np.generic)

DEPTH = 5
"""How many populated levels a side a trace holds."""

ABSENT = np.iinfo(np.int64).min
"""The key of a level that is not there."""

NO_BOOK, IN_STEP, BROKEN = 0, 1, 2
"""Whether update ids have been followed without a hole since a snapshot."""

OLD, WHOLE, BARE, BROKE, UNREAD = 0, 1, 2, 3, 4
"""
What became of a diff: known already; applied between two good quotes; applied, but a quote was missing or crossed
before or after, or a snapshot held part of what led up to it; found a hole before it; found no book, or one that a
snapshot had carried past it.
"""

UNHEARD = -1
"""The last id of the diffs where none has come lately."""

Run = tuple[I64, I64, I64, I64, I64, I64, I64, I64, I64]
"""n diffs: receive times, first and last update ids; n + 1 offsets, prices and quantities of bids; the same of asks."""


def frozen(values: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """The same values, contiguous and read-only: a kernel is compiled anew for every kind of array it meets."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def load(keys: I64, quantities: I64, side: int, price_e8: I64, quantity_e8: I64) -> None:
    """Put k levels, best first, into the first k places of a side, best last."""
    size = len(price_e8)
    keys[side, :size] = price_e8[::-1] if side == 0 else -price_e8[::-1]
    quantities[side, :size] = quantity_e8[::-1]


@nb.njit(cache=True)
def follow(keys, quantities, sizes, chain, run, start, stop, oldest_ns, outcome, tops):  # type: ignore[no-untyped-def]
    """
    Apply the diffs start to stop of a run by the venue's procedure.

    Args:
        keys, quantities: (2, capacity), bids and asks; replaced by wider ones where they do not suffice.
        sizes: (2,) levels held. chain: (3,) state, last update id of the book, last update id of the diffs. Both are
            changed. The two ids differ where a snapshot is ahead of the diffs: no flow is formed from it to them.
        oldest_ns: diffs received before this are passed over.
        outcome: (stop - start,) is filled in. tops: (stop - start + 1, 2, DEPTH, 2), the best levels before the first
            diff and after each; empty where nobody wants them.

    Returns:
        keys and quantities.
    """
    received, first_id, last_id = run[0], run[1], run[2]
    traced = len(tops) > 0
    good = quoted(keys, sizes)
    if traced:
        copy_top(keys, quantities, sizes, tops[0])
    for i in range(start, stop):
        at = i - start
        if received[i] < oldest_ns:
            outcome[at] = OLD
        elif chain[0] != IN_STEP:
            chain[2] = last_id[i]
            outcome[at] = UNREAD
        elif last_id[i] <= chain[1]:
            outcome[at] = UNREAD if last_id[i] > chain[2] else OLD
            chain[2] = max(chain[2], last_id[i])
        elif first_id[i] > chain[1] + 1:
            chain[0], chain[2] = BROKEN, last_id[i]
            outcome[at] = BROKE
        else:
            joined = chain[2] == chain[1] or (chain[2] == UNHEARD and first_id[i] == chain[1] + 1)
            keys, quantities = _change(keys, quantities, sizes, 0, run[3], run[4], run[5], i)
            keys, quantities = _change(keys, quantities, sizes, 1, run[6], run[7], run[8], i)
            chain[1], chain[2] = last_id[i], last_id[i]
            before = good and joined
            good = quoted(keys, sizes)
            outcome[at] = WHOLE if before and good else BARE
        if traced:
            copy_top(keys, quantities, sizes, tops[at + 1])
    return keys, quantities


@nb.njit(cache=True)
def quoted(keys, sizes):  # type: ignore[no-untyped-def]
    """Whether there are a best bid and a best ask, the bid below the ask."""
    return sizes[0] > 0 and sizes[1] > 0 and keys[0, sizes[0] - 1] < -keys[1, sizes[1] - 1]


@nb.njit(cache=True)
def copy_top(keys, quantities, sizes, top):  # type: ignore[no-untyped-def]
    """Fill (2, DEPTH, 2) with key and quantity of the best levels, best first."""
    for side in range(2):
        size = sizes[side]
        for level in range(DEPTH):
            if level < size:
                top[side, level, 0] = keys[side, size - 1 - level]
                top[side, level, 1] = quantities[side, size - 1 - level]
            else:
                top[side, level, 0] = ABSENT
                top[side, level, 1] = 0


@nb.njit(cache=True)
def _change(keys, quantities, sizes, side, offsets, prices, amounts, row):  # type: ignore[no-untyped-def]
    needed = sizes[side] + offsets[row + 1] - offsets[row]
    if needed > keys.shape[1]:
        held = keys.shape[1]
        wider_keys = np.empty((2, 2 * needed), np.int64)
        wider = np.empty((2, 2 * needed), np.int64)
        wider_keys[:, :held] = keys
        wider[:, :held] = quantities
        keys, quantities = wider_keys, wider
    side_keys, side_quantities, size = keys[side], quantities[side], sizes[side]
    for i in range(offsets[row], offsets[row + 1]):
        key = prices[i] if side == 0 else -prices[i]
        size = _put(side_keys, side_quantities, size, key, amounts[i])
    sizes[side] = size
    return keys, quantities


@nb.njit(cache=True)
def _put(keys, quantities, size, key, quantity):  # type: ignore[no-untyped-def]
    low, high = 0, size
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    found = low < size and keys[low] == key
    if quantity == 0:
        if found:
            size -= 1
            for i in range(low, size):
                keys[i] = keys[i + 1]
                quantities[i] = quantities[i + 1]
    elif found:
        quantities[low] = quantity
    else:
        for i in range(size, low, -1):
            keys[i] = keys[i - 1]
            quantities[i] = quantities[i - 1]
        keys[low] = key
        quantities[low] = quantity
        size += 1
    return size
