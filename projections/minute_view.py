"""
A minute bucket as others read it: the published view with decimals as text, and flat rows for export.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from market.fixed_point import DECIMALS, format_e8
from market.timestamps import iso
from projections.minute_buckets import Minute


def view(minute_ns: int, minute: Minute, decimals: int = DECIMALS) -> dict[str, Any]:
    """One minute: `{"timestamp", "price_levels": {"110000": {"buy_volume", …}}}`, decimals as text."""
    columns = zip(
        minute.level_e8.tolist(), minute.buy_e8.tolist(), minute.sell_e8.tolist(), minute.count.tolist(), strict=True
    )
    return {
        "timestamp": iso(minute_ns),
        "price_levels": {
            format_e8(level): {
                "buy_volume": format_e8(buy, decimals),
                "sell_volume": format_e8(sell, decimals),
                "total_volume": format_e8(buy + sell, decimals),
                "delta": format_e8(buy - sell, decimals),
                "trade_count": count,
            }
            for level, buy, sell, count in columns
        },
    }


def table(minute_ns: int, minute: Minute) -> pa.Table:
    """One minute as rows: minute (ns), level, buy, sell, total, delta (1e-8), count."""
    return pa.table(
        {
            "minute": pa.array(np.full(len(minute.level_e8), minute_ns)),
            "level_e8": pa.array(minute.level_e8),
            "buy_e8": pa.array(minute.buy_e8),
            "sell_e8": pa.array(minute.sell_e8),
            "total_e8": pa.array(minute.buy_e8 + minute.sell_e8),
            "delta_e8": pa.array(minute.buy_e8 - minute.sell_e8),
            "count": pa.array(minute.count),
        }
    )
