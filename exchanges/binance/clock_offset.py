"""
How far the venue's clock is from ours, from round trips; pure.

Each trip bounds the truth: the venue read its clock after we sent and before we received, and it leaves out what is
less than a millisecond. Together they bound it closer (K. Marzullo and S. Owicki, 1983, and after them NTP).
"""

from collections.abc import Sequence
from statistics import median_low

from eventlog.facts.capture import ClockOffset
from exchanges.binance.rest import RoundTrip

_MS_NS = 1_000_000


def clock_offset(trips: Sequence[RoundTrip]) -> ClockOffset:
    """
    The offset that at least one round trip shows.

    The median of the trips' middles, moved into the bounds all of them share; where they share none, as when a clock
    was set meanwhile, the bounds are the widest.
    """
    bounds = [(t.server_ms * _MS_NS - t.received_ns, (t.server_ms + 1) * _MS_NS - t.sent_ns) for t in trips]
    low, high = max(b[0] for b in bounds), min(b[1] for b in bounds)
    middle = median_low((a + b) // 2 for a, b in bounds)
    if low > high:
        low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
    middle = min(max(middle, low), high)
    return ClockOffset(middle, max(middle - low, high - middle), len(trips))
