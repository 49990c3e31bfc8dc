"""
Days of a simulated market straight into a log, on virtual time: trades, a book a minute, ticks.

A trade arrives at the end of the 100 ms in which it was made, and the diff of that step after its trades. The book is
asked for at each boundary and answered 20 ms later; the tick follows it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from eventlog.errors import ImportRefused
from eventlog.facts.capture import TICK
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.store.batch import Batch
from eventlog.transfer.importing import Importer, table
from exchanges.binance.mapper import BinanceMapper
from market.arrays import I64
from market.timestamps import HOUR_NS, MINUTE_NS
from simulators.exchange.faults.conditions import TRADING
from simulators.exchange.market.engine import MarketEngine, Step
from simulators.exchange.market.parameters import STEP_NS, MarketParameters
from simulators.exchange.market.trades import Trades, join_trades
from simulators.exchange.venue.wire import exchange_info

_ANSWER_NS = 20_000_000
_STEPS_A_MINUTE = MINUTE_NS // STEP_NS
_MINUTES_A_SEGMENT = 60
_LIMIT = 5000


class Recordable(Protocol):
    """What can be recorded: a market engine, or one with plants in it."""

    @property
    def parameters(self) -> MarketParameters:
        """The market's."""
        ...

    def run(self, count: int) -> list[Step]:
        """Make steps of 100 ms."""
        ...

    def snapshot(self, limit: int | None = None) -> tuple[int, tuple[I64, I64], tuple[I64, I64]]:
        """The book now."""
        ...


class _Info(msgspec.Struct):
    symbols: list[msgspec.Raw]


def record(
    importer: Importer,
    parameters: MarketParameters,
    seed: int,
    start_ns: int,
    hours: int,
    on_progress: Callable[[int], None],
    with_diffs: bool = False,
) -> tuple[int, int]:
    """
    Record a new market into an empty log, an hour a segment.

    Args:
        start_ns: a whole minute. on_progress: told of every minute. with_diffs: whether to write the 100 ms diffs too.

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
        first_seq = importer.cold.catalogue.last_seq + 1
        sheet = _Sheet(first_seq, with_diffs)
        for minute in range(_MINUTES_A_SEGMENT):
            sheet.add(engine, start_ns + hour * HOUR_NS + (minute + 1) * MINUTE_NS)
            on_progress(1)
        importer.cold.append(first_seq, sheet.seq - 1, sheet.tables())
        trades += len(sheet.trades)
        ticks += _MINUTES_A_SEGMENT
    return trades, ticks


def batches(market: Recordable, start_ns: int, minutes: int, with_diffs: bool = False) -> Iterator[Batch]:
    """
    The entries a recording of the market would hold, straight from memory: an instrument, then a batch a minute.

    Args:
        start_ns: where the market stands, a whole minute, ns UTC.
    """
    yield Batch.from_tables(1, 1, {INSTRUMENT: _instrument(market.parameters, start_ns)})
    seq = 2
    for minute in range(minutes):
        sheet = _Sheet(seq, with_diffs)
        sheet.add(market, start_ns + (minute + 1) * MINUTE_NS)
        yield Batch.from_tables(seq, sheet.seq - 1, sheet.tables())
        seq = sheet.seq


def _instrument(parameters: MarketParameters, start_ns: int) -> pa.Table:
    symbol = msgspec.json.decode(
        exchange_info([(parameters, TRADING)], start_ns // 1_000_000, 6000), type=_Info
    ).symbols[0]
    return BinanceMapper(parameters.symbol).instruments([Entry(1, INSTRUMENT, start_ns, bytes(symbol))])


@dataclass(slots=True)
class _Sheet:
    """Minutes on their way into tables; `seq` is the next to be given."""

    seq: int
    with_diffs: bool
    steps: list[Step] = field(default_factory=list)
    step_seq: list[int] = field(default_factory=list)
    books: list[dict[str, Any]] = field(default_factory=list)
    ticks: list[dict[str, Any]] = field(default_factory=list)
    last: tuple[int, int] | None = None

    @property
    def trades(self) -> Trades:
        """All aggTrades so far."""
        return join_trades([step.trades for step in self.steps])

    def add(self, market: Recordable, boundary_ns: int) -> None:
        """Make a minute of market up to a boundary."""
        for step in market.run(_STEPS_A_MINUTE):
            self.steps.append(step)
            self.step_seq.append(self.seq)
            if len(step.trades):
                self.last = int(step.trades.agg_id[-1]), step.time_ns
            self.seq += len(step.trades) + (1 if self.with_diffs and _changed(step) else 0)
        self.books.append(_book(market, boundary_ns, self.seq))
        self.ticks.append(_tick(boundary_ns, self.seq, self.last))
        self.seq += 2

    def tables(self) -> dict[str, pa.Table]:
        """Everything so far, a table a kind."""
        counts = np.array([len(step.trades) for step in self.steps])
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        seq = np.repeat(np.array(self.step_seq, np.int64), counts) + within
        arrivals = np.repeat(np.array([step.time_ns for step in self.steps], np.int64), counts)
        made = {
            AGG_TRADE: _trade_table(self.trades, seq, arrivals),
            SNAPSHOT: table(SNAPSHOT, _columns(self.books)),
            TICK: table(TICK, _columns(self.ticks)),
        }
        if self.with_diffs:
            rows = zip(self.steps, self.step_seq, strict=True)
            made[DIFF] = table(DIFF, _columns([_diff(s, first + len(s.trades)) for s, first in rows if _changed(s)]))
        return made


def _changed(step: Step) -> bool:
    return step.depth.last_update_id >= step.depth.first_update_id


def _diff(step: Step, seq: int) -> dict[str, Any]:
    depth = step.depth
    return {
        "seq": seq, "recv_ns": step.time_ns, "event_time_ns": step.time_ns,
        "first_update_id": depth.first_update_id, "last_update_id": depth.last_update_id,
        "bid_price_e8": depth.bids[0], "bid_quantity_e8": depth.bids[1],
        "ask_price_e8": depth.asks[0], "ask_quantity_e8": depth.asks[1],
    }  # fmt: skip


def _book(market: Recordable, boundary_ns: int, seq: int) -> dict[str, Any]:
    update_id, (bid_price, bid_quantity), (ask_price, ask_quantity) = market.snapshot(_LIMIT)
    answered = boundary_ns + _ANSWER_NS
    return {
        "seq": seq, "recv_ns": answered, "request_ns": boundary_ns, "response_ns": answered, "limit": _LIMIT,
        "last_update_id": update_id, "bid_price_e8": bid_price, "bid_quantity_e8": bid_quantity,
        "ask_price_e8": ask_price, "ask_quantity_e8": ask_quantity,
    }  # fmt: skip


def _tick(boundary_ns: int, book_seq: int, last: tuple[int, int] | None) -> dict[str, Any]:
    last_id, last_recv_ns = last or (None, None)
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
