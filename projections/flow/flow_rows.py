"""
The hot loops of book flow: diffs and trades summed by second.

Order flow imbalance of a populated level, and the five levels of it: Cont, Kukanov, Stoikov 2014, eq. 1-2, and
Xu, Gould, Howison 2019, section 3. A level that is not there counts as infinitely far away and empty.
"""

import numpy as np
import numpy.typing as npt

from market.arrays import I64
from market.compiled import compiled
from market.timestamps import SECOND_NS
from projections.book.book_levels import AFTER_GAP, APPLIED, DEPTH, STALE

WIDTH = 2 + DEPTH + 11
"""
Columns of a row: second, OFI of each level, weighted size change, buy, sell, trades, updates, unread, resets; then of
the second's last good quote: update id, bid, its quantity, ask, its quantity.
"""

SIZE_CHANGE = 1 + DEPTH  # places of columns: second, flows of the levels, then these
UPDATE_ID = SIZE_CHANGE + 7  # after the sums; what follows is the newest quote's, not summed
SIZE_WEIGHTS = (8, 5, 4, 2, 1)
"""0.4, 0.25, 0.2, 0.1 and 0.05, times 20."""

_MAX_SUM = np.int64(2**62)  # `LARGEST_E8`, as a number that compiled code keeps as 64 bits
_MAX_QUANTITY = np.int64(
    2**56
)  # five levels of two sides, weighted and differenced, stay within 2^62; more is not read
_AHEAD_NS = (
    60 * SECOND_NS
)  # a row further ahead of its receive time is dropped: one bad stamp must not keep a row in memory


def sum_steps(recv_ns: I64, event_time_ns: I64, last_update_id: I64, outcome: I64, tops: I64) -> I64 | None:
    """
    Sum the flow of n diffs into rows, one for each run of diffs in the same second.

    Args:
        recv_ns, event_time_ns: (n,) receive time and the venue's time.
        last_update_id: (n,) of each diff.
        outcome, tops: see `order_book.Steps`.

    Returns:
        (k, WIDTH) rows; None where a sum passes 2^62.
    """
    rows, fits = _sum_steps(recv_ns, event_time_ns, last_update_id, outcome, tops)
    return rows if fits else None


def sum_trades(
    trade_time_ns: I64, quantity_e8: I64, buyer_is_maker: npt.NDArray[np.bool_], oldest_ns: int
) -> I64 | None:
    """
    Sum n trades into rows, one for each run of trades in the same second.

    Args:
        trade_time_ns: (n,) the venue's time.
        quantity_e8: (n,) 1e-8 base, none negative.
        buyer_is_maker: (n,) true where the seller was the aggressor.
        oldest_ns: trades before this are skipped.

    Returns:
        (k, WIDTH) rows; None where a sum passes 2^62.
    """
    rows, fits = _sum_trades(trade_time_ns, quantity_e8, buyer_is_maker, oldest_ns)
    return rows if fits else None


def merge_rows(rows: I64) -> I64 | None:
    """Merge rows, ordered by second and update id, into one per second; None where a sum passes 2^62."""
    merged_rows, fits = _merge_rows(rows)
    return merged_rows if fits else None


def level_flow(before: I64, after: I64) -> I64:
    """
    The flow of each populated level between two books.

    Args:
        before, after: (2, DEPTH, 2) bids and asks, best first; key (minus the price for asks) and quantity.

    Returns:
        (DEPTH + 1,): OFI of each level, and the weighted size change times 20.
    """
    row = np.zeros(WIDTH, np.int64)
    _add_flow(row, before, after)
    return row[1 : SIZE_CHANGE + 1]


@compiled
def _add_flow(row, before, after):  # type: ignore[no-untyped-def]
    """False where a sum no longer fits."""
    fits = True
    for level in range(DEPTH):
        flow = np.int64(0)
        change = np.int64(0)
        for side in range(2):
            key, new_quantity = after[side, level, 0], after[side, level, 1]
            old_key, old_quantity = before[side, level, 0], before[side, level, 1]
            sign = 1 - 2 * side
            if key >= old_key:
                flow += sign * new_quantity
            if key <= old_key:
                flow -= sign * old_quantity
            change += sign * (new_quantity - old_quantity)
        row[1 + level] += flow
        row[SIZE_CHANGE] += SIZE_WEIGHTS[level] * change
        fits = fits and abs(row[1 + level]) <= _MAX_SUM
    return fits and abs(row[SIZE_CHANGE]) <= _MAX_SUM


@compiled
def _readable(top):  # type: ignore[no-untyped-def]
    for side in range(2):
        for level in range(DEPTH):
            if top[side, level, 1] > _MAX_QUANTITY:
                return False
    return True


@compiled
def _sum_steps(recv_ns, times, update_ids, outcome, tops):  # type: ignore[no-untyped-def]
    rows = np.zeros((len(times), WIDTH), np.int64)
    row_count = 0
    fits = True
    for i in range(len(times)):
        if outcome[i] == STALE or times[i] > recv_ns[i] + _AHEAD_NS:
            continue
        row_count = _row_for(rows, row_count, times[i])
        row = rows[row_count - 1]
        if outcome[i] == APPLIED and _readable(tops[i]) and _readable(tops[i + 1]):
            fits = _add_flow(row, tops[i], tops[i + 1]) and fits
            row[SIZE_CHANGE + 4] += 1
            if update_ids[i] > row[UPDATE_ID]:
                row[UPDATE_ID] = update_ids[i]
                for side in range(2):
                    row[UPDATE_ID + 1 + 2 * side] = (1 - 2 * side) * tops[i + 1, side, 0, 0]
                    row[UPDATE_ID + 2 + 2 * side] = tops[i + 1, side, 0, 1]
        else:
            row[SIZE_CHANGE + 5] += 1
            row[SIZE_CHANGE + 6] += outcome[i] == AFTER_GAP
    return rows[:row_count].copy(), fits


@compiled
def _sum_trades(times, quantities, sold, oldest_ns):  # type: ignore[no-untyped-def]
    """A run of trades in one second is summed in registers and stored once."""
    n = len(times)
    rows = np.zeros((256, WIDTH), np.int64)
    row_count = 0
    i = 0
    while i < n:
        while i < n and times[i] < oldest_ns:
            i += 1
        if i == n:
            break
        second = times[i] - times[i] % SECOND_NS
        end = second + SECOND_NS
        total, sell, first = np.int64(0), np.int64(0), i
        while i < n and second <= times[i] < end:
            if quantities[i] > _MAX_SUM - total:
                return rows[:0].copy(), False
            total += quantities[i]
            sell += quantities[i] * sold[i]  # sides alternate at random: no branch to guess
            i += 1
        if row_count == len(rows):
            wider = np.zeros((2 * row_count, WIDTH), np.int64)
            wider[:row_count] = rows
            rows = wider
        rows[row_count, 0] = second
        rows[row_count, UPDATE_ID] = -1
        rows[row_count, SIZE_CHANGE + 1], rows[row_count, SIZE_CHANGE + 2] = total - sell, sell
        rows[row_count, SIZE_CHANGE + 3] = i - first
        row_count += 1
    return rows[:row_count].copy(), True


@compiled
def _row_for(rows, row_count, time):  # type: ignore[no-untyped-def]
    second = time - time % SECOND_NS
    if row_count == 0 or rows[row_count - 1, 0] != second:
        rows[row_count, 0] = second
        rows[row_count, UPDATE_ID] = -1
        row_count += 1
    return row_count


@compiled
def _merge_rows(rows):  # type: ignore[no-untyped-def]
    merged_rows = np.empty_like(rows)
    row_count = 0
    for i in range(len(rows)):
        if row_count == 0 or merged_rows[row_count - 1, 0] != rows[i, 0]:
            merged_rows[row_count] = rows[i]
            row_count += 1
            continue
        for column in range(1, UPDATE_ID):
            merged_rows[row_count - 1, column] += rows[i, column]  # two sums that fit cannot wrap past 2^62 unseen
            if (
                abs(merged_rows[row_count - 1, column]) > _MAX_SUM
                or merged_rows[row_count - 1, column] == np.iinfo(np.int64).min
            ):
                return rows[:0].copy(), False
        if rows[i, UPDATE_ID] > merged_rows[row_count - 1, UPDATE_ID]:
            merged_rows[row_count - 1, UPDATE_ID:] = rows[i, UPDATE_ID:]
    return merged_rows[:row_count].copy(), True
