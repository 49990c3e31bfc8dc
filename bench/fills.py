"""
The fill engine: a day of orders under every model beside one compiled pass over the day's trades.
"""

from pathlib import Path

import msgspec
import numpy as np

from bench.measure import Figure, ratio
from exchanges.binance.archives.archive import read_agg_trades
from fills.displayed_book import DisplayedBook
from fills.engine import fill_orders
from fills.latency import Latency
from fills.orders import Orders, orders_of
from fills.queue_models import MODELS
from fills.trade_tape import TradeTape
from market.arrays import F64
from market.timestamps import MINUTE_NS
from projections.trades.group_trades import group_trades

ZONES = 13_800
"""Orders of a day: the zones that the rules advise on it."""
_LIFE_MIN = 60  # how long a zone's order rests
_TICK_E8 = 1_000_000  # of the market
_LOT_E8 = 1000  # of the market
_REACH_BPS = (0.2, 60.0)  # how far from the price orders rest: from next to it to beyond an hour's usual range
_QUANTITIES_E8 = (100_000, 100_000_000)  # 0.001 to 1 BTC, drawn by their logarithm
_SIZES_E8 = (100_000, 1_000_000_000)  # 0.001 to 10 BTC displayed at an order's price, drawn by their logarithm
_SEED = 20240101  # any: the same draw in every run


def measure_fills(archive: Path, _: Path, repetitions: int) -> Figure:
    """
    Measure orders that rest for an hour under all models, with a book that changes every minute at each one's price.

    The pass beside it is the one that sums the trades by minute and price level.

    Args:
        archive: aggTrades of a day.
        repetitions: number of pairs.
    """
    trades = read_agg_trades(archive)
    time_ns, ids, sold = trades.trade_time_ns, trades.agg_id, trades.buyer_is_maker
    price, quantity = trades.price_e8, trades.quantity_e8
    tape = TradeTape.from_columns(time_ns, price, quantity, np.where(sold, -1, 1))
    orders, book = _draw(tape)
    filled = fill_orders(orders, tape, book).filled_e8 > 0

    median_ratio, ours_s, pass_s = ratio(
        lambda: fill_orders(orders, tape, book),
        lambda: group_trades(time_ns, ids, price, quantity, sold, None),
        repetitions,
    )
    rate = f"{ours_s / ZONES * 1e6:.1f} µs an order, {filled[0].mean():.0%} of them touched"
    detail = f"{1e3 * ours_s:.1f} ms / {1e3 * pass_s:.1f} ms: {ZONES} orders × {len(MODELS)} models; {rate}"
    return Figure("fills of a day / one pass over its trades", median_ratio, 3.0, True, detail)


def _draw(tape: TradeTape) -> tuple[Orders, DisplayedBook]:
    """Orders through the day, none marketable when it is sent, and sizes at the price of each, minute by minute."""
    chance = np.random.Generator(np.random.PCG64(_SEED))
    last = len(tape) - 1
    place = np.sort(chance.integers(0, last, ZONES))
    is_buy = chance.random(ZONES) < 0.5
    sign = np.where(is_buy, 1, -1)
    away = _log_uniform(chance, *_REACH_BPS, ZONES) / 1e4 * tape.price_e8[place]
    price = (tape.price_e8[place] // _TICK_E8 - sign * np.ceil(away / _TICK_E8).astype(np.int64)) * _TICK_E8
    quantity = _log_uniform(chance, *_QUANTITIES_E8, ZONES).astype(np.int64) // _LOT_E8 * _LOT_E8
    sent = tape.time_ns[place]
    orders = orders_of(is_buy, price, quantity, sent, sent + _LIFE_MIN * MINUTE_NS, entry=Latency.constant(0))
    at = np.add.outer(np.arange(_LIFE_MIN) * MINUTE_NS, sent - MINUTE_NS)
    by_time = np.argsort(at.ravel(), kind="stable")
    rows = (np.broadcast_to(column, at.shape).ravel()[by_time] for column in (is_buy, price))
    sizes = _log_uniform(chance, *_SIZES_E8, at.size).astype(np.int64) // _LOT_E8 * _LOT_E8
    spans = tuple(np.array([value], np.int64) for value in (0, 2**62, 0, 2**62))
    book = DisplayedBook.from_changes(at.ravel()[by_time], *rows, sizes, spans)
    none = np.empty(0, np.int64)  # the levels drawn make no book: post-only goes by the last trade
    return orders, msgspec.structs.replace(book, quote_ns=none, quote_bid_e8=none, quote_ask_e8=none)


def _log_uniform(chance: np.random.Generator, low: float, high: float, count: int) -> F64:
    return np.exp(chance.uniform(np.log(low), np.log(high), count))
