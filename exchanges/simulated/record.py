"""
Days of a simulated market straight into a log, on virtual time: trades, a book a minute, ticks.

A trade arrives at the end of the 100 ms in which it was made. The book is asked for at each boundary and answered 20 ms
later; the tick follows it.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from eventlog.errors import ImportRefused
from eventlog.facts import AGG_TRADE, INSTRUMENT, SNAPSHOT, TICK, Entry
from eventlog.importing import Importer, table
from exchanges.binance.mapper import BinanceMapper
from exchanges.simulated.engine import MarketEngine
from exchanges.simulated.parameters import STEP_NS, MarketParameters
from exchanges.simulated.trades import Trades, join_trades
from exchanges.simulated.wire import exchange_info
from market.fixed_point import I64
from market.timestamps import HOUR_NS, MINUTE_NS

_ANSWER_NS = 20_000_000
_STEPS_A_MINUTE = MINUTE_NS // STEP_NS
_MINUTES_A_SEGMENT = 60
_LIMIT = 5000


class _Info(msgspec.Struct):
    symbols: list[msgspec.Raw]


def record(
    importer: Importer,
    parameters: MarketParameters,
    seed: int,
    start_ns: int,
    hours: int,
    on_progress: Callable[[int], None],
) -> tuple[int, int]:
    """
    Record a new market into an empty log, an hour a segment.

    Args:
        start_ns: a whole minute. on_progress: told of every minute.

    Returns:
        How many trades and how many ticks were written.

    Raises:
        ImportRefused: the log holds something already.
    """
    if importer.cold.catalogue.last_seq:
        raise ImportRefused(f"{importer.cold.name} holds entries already; record into another --storage")
    engine = MarketEngine(parameters, np.random.Generator(np.random.PCG64(seed)), start_ns)
    importer.cold.append(1, 1, {INSTRUMENT: _instrument(parameters, start_ns)})
    trades = ticks = 0
    for hour in range(hours):
        made = _segment(engine, start_ns + hour * HOUR_NS, importer.cold.catalogue.last_seq + 1, on_progress)
        last_seq = importer.cold.catalogue.last_seq + sum(t.num_rows for t in made.values())
        importer.cold.append(importer.cold.catalogue.last_seq + 1, last_seq, made)
        trades += made[AGG_TRADE].num_rows
        ticks += made[TICK].num_rows
    return trades, ticks


def _instrument(parameters: MarketParameters, start_ns: int) -> pa.Table:
    symbol = msgspec.json.decode(exchange_info(parameters, start_ns // 1_000_000, 6000), type=_Info).symbols[0]
    return BinanceMapper(parameters.symbol).instruments([Entry(1, INSTRUMENT, start_ns, bytes(symbol))])


def _segment(engine: MarketEngine, start_ns: int, seq: int, on_progress: Callable[[int], None]) -> dict[str, pa.Table]:
    trades: list[Trades] = []
    trade_seq: list[I64] = []
    arrivals: list[I64] = []
    books: list[dict[str, Any]] = []
    ticks: list[dict[str, Any]] = []
    last_id: int | None = None
    for minute in range(_MINUTES_A_SEGMENT):
        boundary = start_ns + (minute + 1) * MINUTE_NS
        steps = engine.run(_STEPS_A_MINUTE)
        made = [s.trades for s in steps if len(s.trades)]
        count = sum(len(t) for t in made)
        trades += made
        trade_seq.append(np.arange(seq, seq + count))
        arrivals += [np.full(len(s.trades), s.time_ns) for s in steps if len(s.trades)]
        seq += count
        if made:
            last_id = int(made[-1].agg_id[-1])
        books.append(_book(engine, boundary, seq))
        ticks.append(_tick(boundary, seq, last_id, int(arrivals[-1][-1]) if arrivals else None))
        seq += 2
        on_progress(1)
    return {
        AGG_TRADE: _trade_table(join_trades(trades), np.concatenate(trade_seq), np.concatenate(arrivals)),
        SNAPSHOT: table(SNAPSHOT, _columns(books)),
        TICK: table(TICK, _columns(ticks)),
    }


def _book(engine: MarketEngine, boundary_ns: int, seq: int) -> dict[str, Any]:
    update_id, (bid_price, bid_quantity), (ask_price, ask_quantity) = engine.snapshot(_LIMIT)
    answered = boundary_ns + _ANSWER_NS
    return {
        "seq": seq, "recv_ns": answered, "request_ns": boundary_ns, "response_ns": answered, "limit": _LIMIT,
        "last_update_id": update_id, "bid_price_e8": bid_price, "bid_quantity_e8": bid_quantity,
        "ask_price_e8": ask_price, "ask_quantity_e8": ask_quantity,
    }  # fmt: skip


def _tick(boundary_ns: int, book_seq: int, last_id: int | None, last_recv_ns: int | None) -> dict[str, Any]:
    answered = boundary_ns + _ANSWER_NS
    return {
        "seq": book_seq + 1, "recv_ns": answered, "boundary_ns": boundary_ns, "interval_ns": MINUTE_NS,
        "trades": "live", "depth": "live", "snapshot_seq": book_seq, "last_agg_id": last_id,
        "last_trade_recv_ns": last_recv_ns, "last_depth_recv_ns": answered,
    }  # fmt: skip


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _trade_table(trades: Trades, seq: I64, recv_ns: I64) -> pa.Table:
    rows = len(seq)
    return table(
        AGG_TRADE,
        {
            "seq": seq,
            "recv_ns": recv_ns,
            "trade_time_ns": trades.time_ns,
            "event_time_ns": recv_ns // 1_000_000 * 1_000_000,
            "agg_id": trades.agg_id,
            "price_e8": trades.price_e8,
            "quantity_e8": trades.quantity_e8,
            "first_trade_id": trades.first_id,
            "last_trade_id": trades.last_id,
            "buyer_is_maker": trades.buyer_is_maker.astype(bool),
            "best_match": np.ones(rows, bool),
            "source": pa.array(["stream"] * rows, pa.string()),
        },
    )
