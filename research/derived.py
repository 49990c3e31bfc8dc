"""
Views over views, as SQL: minute bars, book levels and book changes.
"""

from market.fixed_point import DECIMALS
from market.timestamps import DAY_NS, MINUTE_NS
from research.columns import exact, moment


def minute_bars(decimals: int) -> str:
    """
    SQL for one row per known minute, the same as `projections.trades.minute_bars`.

    `trades` counts single trades; `vwap` is rounded to 1e-8 and null where nothing was traded.

    Args:
        decimals: that the log's quantities keep.
    """
    prices = ", ".join(exact(f"coalesce({name}_e8, last_e8)", DECIMALS) + f" AS {name}" for name in _PRICES)
    volumes = ", ".join(exact(f"coalesce({name}_e8, 0)", decimals) + f" AS {name}_vol" for name in _VOLUMES)
    vwap = "CAST(CASE WHEN total_e8 > 0 THEN (2 * notional + total_e8) // (2 * total_e8) END AS BIGINT)"
    return f"""
        WITH traded AS (
            SELECT {_floor("trade_time_ns")} AS minute_ns,
                arg_min(price_e8, agg_id) AS open_e8, max(price_e8) AS high_e8, min(price_e8) AS low_e8,
                arg_max(price_e8, agg_id) AS close_e8,
                sum(CASE WHEN buyer_is_maker THEN 0 ELSE quantity_e8 END) AS buy_e8,
                sum(CASE WHEN buyer_is_maker THEN quantity_e8 ELSE 0 END) AS sell_e8, sum(quantity_e8) AS total_e8,
                sum(last_trade_id - first_trade_id + 1) AS trades,
                sum(CAST(price_e8 AS HUGEINT) * quantity_e8) AS notional
            FROM agg_trade GROUP BY ALL
        ), live AS (
            SELECT unnest(range({_floor(f"(boundary_ns - least(greatest(interval_ns, 1), {DAY_NS}))")},
                boundary_ns, {MINUTE_NS})) AS minute_ns
            FROM tick WHERE trades = 'live'
        ), known AS (
            SELECT minute_ns FROM traded UNION SELECT minute_ns FROM live
        ), stretches AS (
            SELECT minute_ns, minute_ns - {MINUTE_NS} * row_number() OVER (ORDER BY minute_ns) AS stretch FROM known
        ), filled AS (
            SELECT *, last_value(close_e8 IGNORE NULLS) OVER (
                PARTITION BY stretch ORDER BY minute_ns ROWS UNBOUNDED PRECEDING
            ) AS last_e8 FROM stretches LEFT JOIN traded USING (minute_ns)
        )
        SELECT minute_ns, {moment("minute_ns")} AS minute, {prices},
            {volumes},
            CAST(coalesce(trades, 0) AS BIGINT) AS trades, {exact(vwap, DECIMALS)} AS vwap
        FROM filled WHERE last_e8 IS NOT NULL ORDER BY minute_ns
    """


def book_levels(decimals: int) -> str:
    """
    SQL for one row per level of each snapshot: bids first, each side from its best price (level 0) outwards.

    `dist_bps` is how far a level lies from the mid, null where a side is empty.

    Args:
        decimals: that the log's quantities keep.
    """
    return f"""
        SELECT seq, recv_ns, recv_at, last_update_id, side, level,
            {exact("price_e8", DECIMALS)} AS price, {exact("quantity_e8", decimals)} AS quantity, price_e8, quantity_e8,
            abs(price_e8 - mid_e8) / mid_e8 * 10000 AS dist_bps
        FROM (
            SELECT seq, recv_ns, recv_at, last_update_id, {_BOTH_SIDES},
                unnest(range(len(bid_price_e8)) || range(len(ask_price_e8))) AS level,
                (bid_price_e8[1] + ask_price_e8[1]) / 2 AS mid_e8
            FROM snapshot
        )
    """


def diffs(decimals: int) -> str:
    """
    SQL for one row per changed level of each book update; a quantity of 0 removes the level.

    Args:
        decimals: that the log's quantities keep.
    """
    return f"""
        SELECT seq, recv_ns, recv_at, event_time_ns, event_at, first_update_id, last_update_id, side,
            {exact("price_e8", DECIMALS)} AS price, {exact("quantity_e8", decimals)} AS quantity, price_e8, quantity_e8
        FROM (
            SELECT seq, recv_ns, recv_at, event_time_ns, event_at, first_update_id, last_update_id, {_BOTH_SIDES}
            FROM diff
        )
    """


_PRICES = ("open", "high", "low", "close")
_VOLUMES = ("buy", "sell", "total")
_BOTH_SIDES = """
    unnest(list_resize(CAST([] AS VARCHAR[]), len(bid_price_e8), 'bid')
        || list_resize(CAST([] AS VARCHAR[]), len(ask_price_e8), 'ask')) AS side,
    unnest(bid_price_e8 || ask_price_e8) AS price_e8, unnest(bid_quantity_e8 || ask_quantity_e8) AS quantity_e8
"""


def _floor(time_ns: str) -> str:
    """SQL for a time's minute, floored also before 1970."""
    return f"{time_ns} - (({time_ns} % {MINUTE_NS}) + {MINUTE_NS}) % {MINUTE_NS}"
