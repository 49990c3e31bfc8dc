"""
How far the exchange's clock is from ours, from round trips; pure.

Each trip bounds the offset: the exchange read its clock after we sent and before we received, and rounds down to
milliseconds. Together they bound it closer (K. Marzullo and S. Owicki, 1983, and after them NTP).
"""

from collections.abc import Sequence
from statistics import median_low

from eventlog.facts.capture import ClockOffset
from exchanges.binance.rest import RoundTrip
from market.timestamps import MILLISECOND_NS


def clock_offset(trips: Sequence[RoundTrip]) -> ClockOffset:
    """
    Estimate the offset and its uncertainty from at least one round trip.

    The median of the trips' midpoints, moved into the bounds that all of them share; where they share none, as when a
    clock was set meanwhile, the uncertainty covers the bounds of every trip.
    """
    bounds = [
        (t.server_ms * MILLISECOND_NS - t.received_ns, (t.server_ms + 1) * MILLISECOND_NS - t.sent_ns) for t in trips
    ]
    low, high = max(b[0] for b in bounds), min(b[1] for b in bounds)
    middle = median_low((a + b) // 2 for a, b in bounds)
    if low > high:
        low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
    middle = min(max(middle, low), high)
    return ClockOffset(middle, max(middle - low, high - middle), len(trips))
