"""
The searches of the engine: the next trade that reaches a price, the level an order joins, the best price it meets.
"""

import numpy as np

from fills.trade_tape import BLOCK, GROUP
from market.compiled import compiled

NEVER = np.int64(2**63 - 1)
"""Later than every time, more than every quantity."""


@compiled
def next_reach(prices, blocks, sign, limit, start, stop):  # type: ignore[no-untyped-def]
    """
    The first trade in start..stop−1 at the limit or beyond; stop where there is none.

    Args:
        prices, blocks: of the trades, 1e-8 quote, and their extremes; see `TradeTape`.
        sign: +1 for a buy order: beyond is below.
        limit: 1e-8 quote.
        start, stop: indices of trades, stop exclusive.
    """
    if start < stop and sign * (limit - prices[start]) >= 0:
        return start
    high, low, group_high, group_low = blocks
    i = start
    while i < stop:
        group, block = i // GROUP, i // BLOCK
        if (sign > 0 and group_low[group] > limit) or (sign < 0 and group_high[group] < limit):
            i = (group + 1) * GROUP
        elif (sign > 0 and low[block] > limit) or (sign < 0 and high[block] < limit):
            i = (block + 1) * BLOCK
        else:
            block_end = min((block + 1) * BLOCK, stop)
            while i < block_end:
                if sign * (limit - prices[i]) >= 0:
                    return i
                i += 1
    return stop


@compiled
def level_at(levels, level, arrival, is_known):  # type: ignore[no-untyped-def]
    """The first row of a level at or after a time, and the size shown before it; −1 where it is not known."""
    offsets, change_ns, sizes = levels
    if level < 0:
        return np.int64(0), np.int64(0) if is_known else np.int64(-1)
    first, last = offsets[level], offsets[level + 1]
    row = first + np.searchsorted(change_ns[first:last], arrival)
    return np.int64(row), sizes[row - 1] if row > first else np.int64(0)


@compiled
def is_marketable(tape, quotes, sign, limit, arrival, start):  # type: ignore[no-untyped-def]
    """Whether an order would trade on arrival: by the other side's best price or, without it, by the last trade."""
    quote_ns, bid, ask = quotes
    quote = np.searchsorted(quote_ns, arrival) - 1
    if quote >= 0:
        return limit >= ask[quote] if sign > 0 else limit <= bid[quote]
    if start == 0 or start > len(tape[0]):
        return False
    distance = sign * (limit - tape[1][start - 1])
    return distance > 0 or (distance == 0 and tape[3][start - 1] == sign)


@compiled
def next_crossing(quotes, sign, limit, arrival, end):  # type: ignore[no-untyped-def]
    """When the other side's best price first reached the limit between arrival and end; NEVER where it did not."""
    quote_ns, bid, ask = quotes
    for quote in range(np.searchsorted(quote_ns, arrival), len(quote_ns)):
        if quote_ns[quote] >= end:
            break
        if (sign > 0 and ask[quote] <= limit) or (sign < 0 and bid[quote] > 0 and bid[quote] >= limit):
            return quote_ns[quote]
    return NEVER
