"""
An ordinary market as measured on recordings: sizes of levels and trades, lengths of runs.

Book: a 5000-level BTCUSDT REST snapshot of 2025-04-14, both sides, sizes over the overall median of a level. Trades:
all 863,403 BTCUSDT aggTrades of 2024-01-01. `python -m bench.background` prints recorded beside simulated.
"""

from math import log

import numpy as np

from market.arrays import F64

LEVELS_PER_TYPICAL = 95.0
"""The 75th percentile of level sizes within 16 bp is about 95 medians: `typical_quantity_e8` is that percentile."""

TRADES_PER_TYPICAL = 15.0
"""The median trade (0.00134 BTC) is about a fifteenth of that percentile (0.02 BTC)."""

SIZE_RANKS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
"""The ranks of the sizes below; between them the logarithm of the size is interpolated linearly."""

LEVEL_SIZES = (
    (0.5, 1.2, 3.0, 76.9, 538.0, 2080.0, 3350.0, 8440.0, 10400.0),  # below 2 bp
    (0.2, 0.38, 0.619, 90.0, 927.0, 3920.0, 4265.0, 4300.0, 4500.0),  # 2 to 4 bp
    (0.2, 4.0, 40.0, 150.0, 1405.0, 4055.0, 4544.0, 6840.0, 9000.0),  # 4 to 8 bp
    (0.2, 0.6, 1.0, 6.0, 48.0, 600.0, 2200.0, 4200.0, 6000.0),  # 8 to 16 bp
    (0.2, 0.33, 0.48, 1.4, 12.0, 140.0, 400.0, 2200.0, 4000.0),  # 16 to 32 bp
    (0.2, 0.33, 0.429, 0.75, 3.2, 10.0, 22.0, 800.0, 4000.0),  # 32 to 64 bp
    (0.2, 0.45, 0.62, 1.1, 4.6, 15.0, 55.0, 1000.0, 4000.0),  # from 64 bp
)
"""
Level size over the median level, by octave of distance. The recorded quantiles, lowered where quotes left behind by the
price would add to them; the last rank is cut where natural walls begin.
"""

FAR_BP, FAR_DENSITY = 64.0, 1.3
"""Beyond 64 bp the recorded book holds about 5.4 levels a dollar, nearer 4.2 to 5.0."""

TOUCH_SIZE = 43.0
"""The best quotes held 2.1 and 2.4 BTC, a hundred of the percentile above; less than half leaves room for trades."""

TRADE_RANKS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)  # quantiles at which TRADE_SIZES was measured
TRADE_SIZES = (0.05, 0.187, 0.463, 1.0, 4.84, 35.0, 100.0, 402.0, 3000.0)
"""Trade size over the median trade at those ranks."""

RUN_LENGTHS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 20.0, 50.0, 100.0)  # lengths at which RUN_SURVIVAL was measured
RUN_SURVIVAL = (1.0, 0.1288, 0.0658, 0.0443, 0.0341, 0.0279, 0.01446, 0.00414, 0.00077, 0.0001)
"""The share of orders that take at least that many levels: consecutive prints of one side in one millisecond."""


def level_size_table() -> F64:
    """Natural logarithms of `LEVEL_SIZES`, octaves by ranks, in medians of a level."""
    return np.log(np.array(LEVEL_SIZES))


def trade_size_table() -> F64:
    """Ranks, then natural logarithms of trade sizes in median trades."""
    return np.array([TRADE_RANKS, [log(size) for size in TRADE_SIZES]])


def even_sizes() -> F64:
    """The same table where every trade has the mean of `TRADE_SIZES`, 23.5 median trades."""
    return np.array([TRADE_RANKS, [log(23.5)] * len(TRADE_RANKS)])


def run_length_table() -> F64:
    """Natural logarithms of run lengths, then of the share of orders at least that long."""
    return np.log(np.array([RUN_LENGTHS, RUN_SURVIVAL]))
