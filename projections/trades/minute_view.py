"""
A minute bucket for other programs: the published view with decimals as text, and flat rows for export.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from market.fixed_point import DECIMALS, format_e8
from market.timestamps import iso
from projections.trades.minute_buckets import Minute

_PRICES = ("open", "high", "low", "close")


def to_json(minute_ns: int, minute: Minute, decimals: int = DECIMALS) -> dict[str, Any]:
    """
    One minute: `{"timestamp", "open", "high", "low", "close", "price_levels": {"110000": {"buy_volume", …}}}`, decimals
    as text. `buy_vol`, `sell_vol` and `total_vol` are the same volumes under the names of older programs.

    Args:
        minute_ns: start of the minute.
        minute: its bucket.
        decimals: decimals of the market's quantities.
    """
    open_price, high, low, close_price = (format_e8(int(price)) for price in minute.bar[:4])
    columns = zip(
        minute.level_e8.tolist(), minute.buy_e8.tolist(), minute.sell_e8.tolist(), minute.count.tolist(), strict=True
    )
    return {
        "timestamp": iso(minute_ns),
        "open": open_price,
        "high": high,
        "low": low,
        "close": close_price,
        "price_levels": {format_e8(level): _level(buy, sell, count, decimals) for level, buy, sell, count in columns},
    }


def _level(buy: int, sell: int, count: int, decimals: int) -> dict[str, Any]:
    buy_volume, sell_volume, total_volume = (format_e8(quantity, decimals) for quantity in (buy, sell, buy + sell))
    return {
        "buy_volume": buy_volume,
        "sell_volume": sell_volume,
        "total_volume": total_volume,
        "delta": format_e8(buy - sell, decimals),
        "trade_count": count,
        "buy_vol": buy_volume,
        "sell_vol": sell_volume,
        "total_vol": total_volume,
    }


def to_bar_table(minute_ns: int, minute: Minute) -> pa.Table:
    """One minute as one row: minute (ns), open, high, low, close (1e-8 quote), buy, sell, total, delta, count."""
    buy, sell = minute.sides_e8
    prices = {f"{name}_e8": [int(price)] for name, price in zip(_PRICES, minute.bar[:4], strict=True)}
    sums = {"buy_e8": [buy], "sell_e8": [sell], "total_e8": [buy + sell], "delta_e8": [buy - sell]}
    count = [int(minute.count.sum())]
    return pa.table({"minute": pa.array([minute_ns], pa.int64()), **prices, **sums, "count": count})


def to_level_table(minute_ns: int, minute: Minute) -> pa.Table:
    """One minute as one row per level: minute (ns), level, buy, sell, total, delta (1e-8), count."""
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
