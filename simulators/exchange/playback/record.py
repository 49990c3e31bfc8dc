"""
Records days of a simulated market straight into a log, on virtual time: trades, a book per minute, ticks.

A trade arrives at the end of its step of 100 ms, and the diff of that step after its trades. The book is requested at
every minute boundary and arrives 20 ms later; the tick follows it.
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

_ANSWER_NS = 20_000_000  # delay of the answer with a book
_STEPS_PER_MINUTE = MINUTE_NS // STEP_NS
_MINUTES_PER_SEGMENT = 60  # an hour: bounds memory
_LIMIT = 5000  # levels of a recorded book, the most the exchange gives


class Recordable(Protocol):
    """A market that can be recorded: an engine, or one with plants."""

    @property
    def parameters(self) -> MarketParameters:
        """The parameters of the market."""
        ...

    def run(self, count: int) -> list[Step]:
        """Make `count` steps of 100 ms."""
        ...

    def snapshot(self, limit: int | None = None) -> tuple[int, tuple[I64, I64], tuple[I64, I64]]:
        """The book now, as `MarketEngine.snapshot` returns it."""
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
    Record a new market into an empty log, one segment per hour.

    Args:
        importer: of the log.
        parameters: the market.
        seed: of its random numbers.
        start_ns: its start, a whole minute, ns UTC.
        hours: length of the recording.
        on_progress: called with 1 after every minute.
        with_diffs: whether to record the 100 ms diffs, too.

    Returns:
        The number of trades and the number of ticks.

    Raises:
        ImportRefused: the log is not empty.
    """
    if importer.cold.catalogue.last_seq:
        raise ImportRefused(f"{importer.cold.name} holds entries already; record into another --storage")
    engine = MarketEngine(parameters, np.random.Generator(np.random.PCG64(seed)), start_ns)
    importer.cold.append(1, 1, {INSTRUMENT: _instrument(parameters, start_ns)})
    trades = ticks = 0
    for hour in range(hours):
        first_seq = importer.cold.catalogue.last_seq + 1
        part = _Part(first_seq, with_diffs)
        for minute in range(_MINUTES_PER_SEGMENT):
            part.add(engine, start_ns + hour * HOUR_NS + (minute + 1) * MINUTE_NS)
            on_progress(1)
        importer.cold.append(first_seq, part.seq - 1, part.tables())
        trades += len(part.trades)
        ticks += _MINUTES_PER_SEGMENT
    return trades, ticks


def batches(market: Recordable, start_ns: int, minutes: int, with_diffs: bool = False) -> Iterator[Batch]:
    """
    The entries of a recording, without a log: a batch with the instrument, then one batch per minute.

    Args:
        market: the market; it is advanced.
        start_ns: its current time, a whole minute, ns UTC.
        minutes: number of minutes.
        with_diffs: whether to include the 100 ms diffs.
    """
    yield Batch.from_tables(1, 1, {INSTRUMENT: _instrument(market.parameters, start_ns)})
    seq = 2
    for minute in range(minutes):
        part = _Part(seq, with_diffs)
        part.add(market, start_ns + (minute + 1) * MINUTE_NS)
        yield Batch.from_tables(seq, part.seq - 1, part.tables())
        seq = part.seq


def _instrument(parameters: MarketParameters, start_ns: int) -> pa.Table:
    symbol = msgspec.json.decode(
        exchange_info([(parameters, TRADING)], start_ns // 1_000_000, 6000), type=_Info
    ).symbols[0]
    return BinanceMapper(parameters.symbol).instruments([Entry(1, INSTRUMENT, start_ns, bytes(symbol))])


@dataclass(slots=True)
class _Part:
    """Some minutes of a recording, to become tables; `seq` is the next sequence number."""

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
        """Advance the market by a minute, to a boundary, and add its entries."""
        for step in market.run(_STEPS_PER_MINUTE):
            self.steps.append(step)
            self.step_seq.append(self.seq)
            if len(step.trades):
                self.last = int(step.trades.agg_id[-1]), step.time_ns
            self.seq += len(step.trades) + (1 if self.with_diffs and _has_changes(step) else 0)
        self.books.append(_book(market, boundary_ns, self.seq))
        self.ticks.append(_tick(boundary_ns, self.seq, self.last))
        self.seq += 2

    def tables(self) -> dict[str, pa.Table]:
        """The entries so far as a table per kind."""
        counts = np.array([len(step.trades) for step in self.steps])
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        seq = np.repeat(np.array(self.step_seq, np.int64), counts) + within
        arrivals = np.repeat(np.array([step.time_ns for step in self.steps], np.int64), counts)
        result = {
            AGG_TRADE: _trade_table(self.trades, seq, arrivals),
            SNAPSHOT: table(SNAPSHOT, _columns(self.books)),
            TICK: table(TICK, _columns(self.ticks)),
        }
        if self.with_diffs:
            rows = zip(self.steps, self.step_seq, strict=True)
            result[DIFF] = table(
                DIFF, _columns([_diff(s, first + len(s.trades)) for s, first in rows if _has_changes(s)])
            )
        return result


def _has_changes(step: Step) -> bool:
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
    answer_ns = boundary_ns + _ANSWER_NS
    return {
        "seq": seq, "recv_ns": answer_ns, "request_ns": boundary_ns, "response_ns": answer_ns, "limit": _LIMIT,
        "last_update_id": update_id, "bid_price_e8": bid_price, "bid_quantity_e8": bid_quantity,
        "ask_price_e8": ask_price, "ask_quantity_e8": ask_quantity,
    }  # fmt: skip


def _tick(boundary_ns: int, book_seq: int, last: tuple[int, int] | None) -> dict[str, Any]:
    last_id, last_recv_ns = last or (None, None)
    answer_ns = boundary_ns + _ANSWER_NS
    return {
        "seq": book_seq + 1, "recv_ns": answer_ns, "boundary_ns": boundary_ns, "interval_ns": MINUTE_NS,
        "trades": "live", "depth": "live", "snapshot_seq": book_seq, "last_agg_id": last_id,
        "last_trade_recv_ns": last_recv_ns, "last_depth_recv_ns": answer_ns,
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
