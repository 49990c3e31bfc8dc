"""
Small markets for tests: trades, books and ticks as columns, numbered into tables, batches and logs.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from agents.recommendation import Advice, Rung, Zone
from analysis.confluence import Confluence, build_confluences, cluster_evidence
from analysis.evidence import Evidence
from analysis.parameters import Parameters
from analysis.view import MarketView
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT, SNAPSHOT
from eventlog.names import LogName
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import table
from market.fixed_point import ONE_E8, parse_e8
from market.instrument import Market
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book.snapshot_window import Snapshot
from projections.state import TickEntry, Windows
from replay.recorded.price_path import PricePath
from replay.scoring.episodes import Publication
from runtime.analysis_config import AnalysisConfig

T0 = 1_772_409_600 * SECOND_NS
"""2026-03-02T00:00:00Z, a Monday."""

MARKET = Market("binance", "TESTUSDT")
SMALL = Parameters(horizons_min=(30, 60, 120))
SMALL_WINDOWS = Windows(bucket_minutes=120, snapshot_slots=20, trade_minutes=60)
SIGHT = AnalysisConfig(MARKET.symbol, SMALL_WINDOWS, SMALL)

Tables = dict[str, pa.Table]
Columns = Mapping[str, Any]


def e8(text: str | float) -> int:
    """A decimal as a count of 1e-8."""
    return parse_e8(str(text), allow_zero=True)


# Columns of one kind, not yet numbered


def trade_columns(
    recv_ns: Any,
    price_e8: Any,
    quantity_e8: Any = ONE_E8,
    buyer_is_maker: Any = False,
    agg_id: Any = None,
    trade_time_ns: Any = None,
) -> Columns:
    """n trades; ids count up from 1 and trades are known at once where nothing else is said."""
    recv_ns = np.asarray(recv_ns, np.int64)
    n = len(recv_ns)
    ids = np.arange(1, n + 1) if agg_id is None else np.asarray(agg_id, np.int64)
    return {
        "recv_ns": recv_ns,
        "trade_time_ns": recv_ns if trade_time_ns is None else np.asarray(trade_time_ns, np.int64),
        "agg_id": ids,
        "price_e8": np.asarray(price_e8, np.int64),
        "quantity_e8": np.broadcast_to(np.asarray(quantity_e8, np.int64), n),
        "first_trade_id": ids,
        "last_trade_id": ids,
        "buyer_is_maker": np.broadcast_to(np.asarray(buyer_is_maker, bool), n),
        "source": ["stream"] * n,
    }


def tick_columns(boundary_ns: Sequence[int], trades: Any = "live", depth: Any = "live", lag_ns: int = 0) -> Columns:
    """A tick a boundary, each logged `lag_ns` after it."""
    ends = np.asarray(boundary_ns, np.int64)
    return {
        "recv_ns": ends + lag_ns,
        "boundary_ns": ends,
        "interval_ns": np.full(len(ends), MINUTE_NS),
        "trades": [trades] * len(ends) if isinstance(trades, str) else trades,
        "depth": [depth] * len(ends) if isinstance(depth, str) else depth,
    }


def instrument_columns(recv_ns: int, tick_size_e8: int = ONE_E8 // 100, status: str = "TRADING") -> Columns:
    """The grid."""
    return {
        "recv_ns": [recv_ns],
        "symbol": [MARKET.symbol],
        "status": [status],
        "tick_size_e8": [tick_size_e8],
        "step_size_e8": [1000],
        "min_notional_e8": [0],
        "quantity_decimals": [8],
        "source": ["venue"],
    }


def book_columns(books: Sequence[Snapshot], recv_ns: Sequence[int]) -> Columns:
    """Books as they arrived."""
    names = ("request_ns", "response_ns", "limit", "last_update_id")
    sides = ("bid_price_e8", "bid_quantity_e8", "ask_price_e8", "ask_quantity_e8")
    return {
        "recv_ns": list(recv_ns),
        **{n: [getattr(b, n) for b in books] for n in names},
        **{n: [getattr(b, n) for b in books] for n in sides},
    }


# From columns to tables, batches and logs


def numbered(parts: Mapping[str, Columns]) -> Tables:
    """Tables numbered 1, 2, … in order of arrival; what arrived at once, in the order of `parts`."""
    arrivals = [np.asarray(columns["recv_ns"], np.int64) for columns in parts.values()]
    order = np.argsort(np.concatenate(arrivals), kind="stable")
    seq = np.empty(len(order), np.int64)
    seq[order] = 1 + np.arange(len(order))
    tables, start = {}, 0
    for kind, columns in parts.items():
        mine = seq[start : start + len(columns["recv_ns"])]
        start += len(mine)
        if len(mine):
            tables[kind] = table(kind, {"seq": mine, **columns}).take(np.argsort(mine))
    return tables


def rows_between(tables: Tables, after_seq: int, until_seq: int) -> Tables:
    """The rows after one seq up to another."""
    cut = {}
    for kind, whole in tables.items():
        seq = whole.column("seq").to_numpy()
        start, stop = np.searchsorted(seq, [after_seq, until_seq], side="right")
        if stop > start:
            cut[kind] = whole.slice(start, stop - start)
    return cut


def last_seq_of(tables: Tables) -> int:
    """The largest seq in any table."""
    return max(int(t.column("seq")[-1].as_py()) for t in tables.values())


def batches(tables: Tables, ends: Sequence[int] = ()) -> Iterator[Batch]:
    """The whole as one batch, or in batches that end at some seqs."""
    last = last_seq_of(tables)
    first = 1
    for end in [*ends, last]:
        if end >= first:
            yield Batch.from_tables(first, end, rows_between(tables, first - 1, end))
            first = end + 1


def write_log(storage: Path, tables: Tables, segments: int = 1, market: Market = MARKET) -> Log:
    """A log in Parquet, in some segments."""
    cold = ColdLog(storage, LogName("events", market))
    cold.create(T0)
    last = last_seq_of(tables)
    bounds = np.linspace(0, last, segments + 1).astype(int).tolist()
    for after, until in pairwise(bounds):
        cold.append(after + 1, until, rows_between(tables, after, until))
    return Log(cold, None, {})


# One of a kind


def a_snapshot(
    bids: Sequence[tuple[Any, Any]], asks: Sequence[tuple[Any, Any]], minute: int = 0, seq: int = 1, limit: int = 5000
) -> Snapshot:
    """A book asked for at the start of a minute after T0; levels are (price, quantity), best first."""
    at = T0 + minute * MINUTE_NS
    below, sizes_below, above, sizes_above = (
        np.array([e8(level[part]) for level in side], np.int64) for side in (bids, asks) for part in (0, 1)
    )
    return Snapshot(seq, at, at, 1_000 + seq, limit, below, sizes_below, above, sizes_above)


def a_tick(seq: int = 100, minute: int = 1, trades: str = "live", depth: str = "live") -> TickEntry:
    """The tick at the end of a minute after T0."""
    return TickEntry(seq, T0 + minute * MINUTE_NS, MINUTE_NS, trades, depth, None)


def a_view(evidence: Sequence[Evidence] = (), **changed: Any) -> MarketView:
    """A view of a market at 100.00 with σ 0.1 % and ticks of 0.01."""
    fields: dict[str, Any] = {
        "symbol": MARKET.symbol,
        "as_of_ns": T0,
        "as_of_seq": 100,
        "interval_ns": MINUTE_NS,
        "trades": "live",
        "depth_state": "live",
        "reference_e8": e8(100),
        "mid_e8": float(e8(100)),
        "sigma": 0.001,
        "tick_size_e8": e8("0.01"),
        "parameters_digest": "0",
        "state": {},
        "evidence": tuple(evidence),
        "zones": (),
        "reach_bp": {},
        "depth": {},
        "order_flow": {},
        "warnings": (),
    }
    return MarketView(**fields | changed)


def a_piece(name: str, low: Any, high: Any, price: Any, strength: float = 0.5, leg: Any = "static") -> Evidence:
    """A piece of evidence; a static one is a wall, another a point of control."""
    return Evidence(name, "wall" if leg == "static" else "poc", leg, e8(low), e8(high), e8(price), strength)


def meeting(
    evidence: Sequence[Evidence], reference: Any = 100, sigma: float = 0.001, horizons: int = 1
) -> tuple[Confluence, ...]:
    """The zones of some evidence within 16 σ of a price, none of them tested."""
    found = cluster_evidence(evidence, e8(reference), int(e8(reference) * sigma * 16))
    return tuple(build_confluences(found, [None] * len(found), horizons, e8(reference), Parameters()))


def a_zone(side: Any = "buy", low: Any = "99.5", high: Any = "99.6", **changed: Any) -> Zone:
    """A zone with one rung at its edge towards the price."""
    edge = high if side == "buy" else low
    fields: dict[str, Any] = {
        "side": side,
        "low_e8": e8(low),
        "high_e8": e8(high),
        "weight": 1.0,
        "confidence": 0.5,
        "basis": ("wall",),
        "evidence": ("W",),
        "invalidation_e8": e8(low) - ONE_E8 if side == "buy" else e8(high) + ONE_E8,
        "ladder": (Rung(e8(edge), 1.0),),
    }
    return Zone(**fields | changed)


def an_advice(*zones: Zone, **changed: Any) -> Advice:
    """Advice from zones, at 100.00 with σ 0.1 %."""
    sides = {z.side for z in zones}
    stance = "two_sided" if len(sides) == 2 else {"buy": "bid_only", "sell": "ask_only"}[sides.pop()] if sides else ""
    fields: dict[str, Any] = {
        "symbol": MARKET.symbol,
        "as_of_ns": T0,
        "as_of_seq": 100,
        "mid_e8": float(e8(100)),
        "reference_e8": e8(100),
        "sigma": 0.001,
        "stance": stance or "stand_aside",
        "reason": "" if zones else "nothing seen",
        "zones": zones,
        "analyst": "rules",
        "model": None,
        "prompt_digest": None,
        "evidence_digest": "0",
        "warnings": (),
    }
    return Advice(**fields | changed)


def published(*zones: Zone, minute: float = 0, seq: int = 0, **changed: Any) -> Publication:
    """Advice that was out some minutes after T0."""
    return Publication(an_advice(*zones, **changed), T0 + round(minute * MINUTE_NS), seq)


def a_path(
    prices: Sequence[Any], seconds: Sequence[float] | None = None, seq: Sequence[int] | None = None, **columns: Any
) -> PricePath:
    """Trades at some seconds after T0, one a second where not said."""
    at = np.arange(len(prices)) if seconds is None else np.asarray(seconds)
    recv = T0 + np.rint(at * SECOND_NS).astype(np.int64)
    made = trade_columns(recv, [e8(p) for p in prices], **columns)
    numbers = np.arange(1, len(prices) + 1) if seq is None else np.asarray(seq, np.int64)
    if len(prices) == 0:
        return PricePath.from_batches([])
    rows = table(AGG_TRADE, {"seq": numbers, **made})
    return PricePath.from_batches([Batch.from_tables(int(numbers.min()), int(numbers.max()), {AGG_TRADE: rows})])


# A whole market by chance


def a_market(seed: int, minutes: int, per_minute: int = 40, books: bool = True) -> Tables:
    """
    A random walk near 20000 in ticks of 0.01 with books every minute that hold a few standing walls.

    One trade in a hundred is fetched up to five minutes late, one book in ten comes after its tick, one in twenty
    never; ticks come 1.5 s after their boundary, so that trades of the next minute are already there.
    """
    chance = np.random.default_rng(seed)
    n = minutes * per_minute
    times = T0 + np.sort(chance.integers(0, minutes * MINUTE_NS, n))
    walk = 2_000_000 + np.cumsum(np.rint(chance.normal(0, 40, n)).astype(np.int64))
    recv = times + chance.integers(0, 80, n) * 1_000_000
    late = chance.random(n) < 0.01
    recv[late] += chance.integers(MINUTE_NS // 2, 5 * MINUTE_NS, int(late.sum()))
    parts: dict[str, Columns] = {
        INSTRUMENT: instrument_columns(T0),
        AGG_TRADE: trade_columns(
            recv, walk * 1_000_000, chance.integers(1, 10**6, n) * 1_000, chance.random(n) < 0.5, trade_time_ns=times
        ),
    }
    ends = T0 + (1 + np.arange(minutes)) * MINUTE_NS
    if books:
        kept = ends[chance.random(minutes) >= 0.05]
        mids = walk[np.searchsorted(times, kept) - 1]
        made = [_random_book(chance, int(m), int(end), k) for k, (m, end) in enumerate(zip(mids, kept, strict=True))]
        arrived = kept + 400_000_000 + np.where(chance.random(len(kept)) < 0.1, 90, 0) * SECOND_NS
        parts[SNAPSHOT] = book_columns(made, arrived.tolist())
    states = np.where(chance.random(minutes) < 0.03, "catching_up", "live").tolist()
    parts[TICK] = tick_columns(ends.tolist(), states, "live" if books else "down", lag_ns=1_500_000_000)
    return numbered(parts)


def _random_book(chance: np.random.Generator, mid: int, end_ns: int, number: int) -> Snapshot:
    sides = []
    for direction in (-1, 1):
        ticks = mid + direction * np.cumsum(1 + chance.integers(0, 60, 250))
        quantities = chance.integers(1, 2_000, 250) * 100_000
        wall = mid // 1000 * 1000 + (1000 if direction > 0 else 0)
        quantities = np.append(quantities, 3_000_000_000)[np.argsort(direction * np.append(ticks, wall), kind="stable")]
        ticks = np.sort(direction * np.append(ticks, wall), kind="stable") * direction
        fresh = np.append(True, np.diff(ticks) != 0)
        sides += [ticks[fresh] * 1_000_000, quantities[fresh]]
    return Snapshot(0, end_ns + 200_000_000, end_ns + 350_000_000, 10_000 + number, 5000, *sides)


def garbled(tables: Tables, after_seq: int, seed: int) -> Tables:
    """The same log with every price, quantity, side, book and trade time after a seq replaced by chance."""
    chance = np.random.default_rng(seed)
    changed = dict(tables)
    for kind in (AGG_TRADE, SNAPSHOT, INSTRUMENT):
        if kind in tables:
            seq = tables[kind].column("seq").to_numpy()
            cut = int(np.searchsorted(seq, after_seq, side="right"))
            changed[kind] = _garbled_tail(kind, tables[kind], cut, chance)
    return changed


def _garbled_tail(kind: str, whole: pa.Table, cut: int, chance: np.random.Generator) -> pa.Table:
    n = whole.num_rows - cut
    if n == 0:
        return whole

    def with_tail(name: str, tail: Any) -> np.ndarray:
        column = whole.column(name).to_numpy().copy()
        column[cut:] = tail
        return column

    if kind == AGG_TRADE:
        times, prices = whole.column("trade_time_ns").to_numpy(), whole.column("price_e8").to_numpy()
        fresh = {
            "price_e8": with_tail("price_e8", prices[cut:] // 1000 * chance.integers(900, 1100, n)),
            "quantity_e8": with_tail("quantity_e8", chance.integers(1, 10**10, n)),
            "buyer_is_maker": with_tail("buyer_is_maker", chance.random(n) < 0.5),
            "trade_time_ns": with_tail("trade_time_ns", chance.integers(times[0], times[-1] + 1, n)),
        }
    elif kind == INSTRUMENT:
        fresh = {"tick_size_e8": with_tail("tick_size_e8", chance.integers(1, 10**8, n))}
    else:
        books = [_random_book(chance, int(chance.integers(100_000, 4_000_000)), T0, 0) for _ in range(n)]
        names = ("bid_price_e8", "bid_quantity_e8", "ask_price_e8", "ask_quantity_e8")
        heads = {name: whole.column(name).to_pylist()[:cut] for name in names}
        fresh = {name: heads[name] + [getattr(b, name) for b in books] for name in names}
    for name, column in fresh.items():
        at = whole.schema.get_field_index(name)
        whole = whole.set_column(at, whole.schema.field(name), pa.array(column, whole.schema.field(name).type))
    return whole
