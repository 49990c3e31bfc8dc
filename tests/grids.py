"""Markets on other grids: coins at a fraction of a cent, prices in the millions, quantities whole or of 1e-8."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT, SNAPSHOT
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.book.snapshot_window import Snapshot
from tests.market_builders import (
    MARKET,
    T0,
    Columns,
    Tables,
    book_columns,
    numbered,
    tick_columns,
    trade_columns,
)


@dataclass(frozen=True)
class Grid:
    """
    A market's grid.

    Attributes:
        price_e8: where it begins. tick_e8: its steps. step_ticks: how many of them a trade usually moves.
        decimals: that its quantities keep. quantity: counts of a usual trade; a wall holds thousands of them.
    """

    price_e8: int
    tick_e8: int
    step_ticks: float
    decimals: int = 8
    quantity: int = ONE_E8 // 10


GRIDS = {
    "239 ticks of 1e-8": Grid(239, 1, 0.35, quantity=500_000 * ONE_E8),
    "five million": Grid(5_000_000 * ONE_E8, ONE_E8, 40.0),
    "a milliard and a half": Grid(1_600_000_000 * ONE_E8, 1000 * ONE_E8, 20.0),
    "sixty cents": Grid(60_000_000, 10_000, 1.2, quantity=300 * ONE_E8),
    "coins counted whole": Grid(1_000, 1, 0.6, decimals=0, quantity=40_000_000),
    "quantities of 1e-8": Grid(60_000 * ONE_E8, ONE_E8 // 100, 60.0, quantity=3),
    "ticks wider than a basis point": Grid(25 * ONE_E8 // 100, ONE_E8 // 1000, 0.2, quantity=100 * ONE_E8),
}


def instruments(*grids: tuple[int, int, int]) -> Columns:
    """Instrument facts: when each was logged, its tick and its quantity decimals."""
    n = len(grids)
    return {
        "recv_ns": [at for at, _, _ in grids],
        "symbol": [MARKET.symbol] * n,
        "status": ["TRADING"] * n,
        "tick_size_e8": [tick for _, tick, _ in grids],
        "step_size_e8": [1] * n,
        "min_notional_e8": [0] * n,
        "quantity_decimals": [decimals for _, _, decimals in grids],
        "source": ["venue"] * n,
    }


def a_market_on(
    grid: Grid, seed: int, minutes: int, books: bool = True, known_ns: int = T0, per_minute: int = 30
) -> Tables:
    """A random walk on a grid, with a book a minute that holds standing walls; its instrument is logged at a time."""
    return numbered(_parts(grid, seed, minutes, books, T0, known_ns, 1, per_minute))


def a_market_that_changes(grids: Sequence[Grid], seed: int, minutes: int, books: bool = True) -> Tables:
    """A market on one grid after the other, so many minutes each; an instrument fact says so whenever it changes."""
    parts: dict[str, Columns] = {}
    for n, grid in enumerate(grids):
        start = T0 + n * minutes * MINUTE_NS
        more = _parts(grid, seed + n, minutes, books, start, start, 1 + 1_000_000 * n, 30)
        parts = {kind: _joined(parts.get(kind), columns) for kind, columns in more.items()}
    return numbered(parts)


def _joined(one: Columns | None, two: Columns) -> Columns:
    return two if one is None else {name: [*one[name], *two[name]] for name in two}


def _parts(
    grid: Grid, seed: int, minutes: int, books: bool, start_ns: int, known_ns: int, first_id: int, per_minute: int
) -> dict[str, Columns]:
    chance = np.random.default_rng(seed)
    n = minutes * per_minute
    times = start_ns + 1 + np.sort(chance.integers(0, minutes * MINUTE_NS - 1, n))
    walk = grid.price_e8 // grid.tick_e8 + np.rint(np.cumsum(chance.normal(0, grid.step_ticks, n))).astype(np.int64)
    walk = np.maximum(walk, grid.price_e8 // grid.tick_e8 // 2)
    sizes = np.maximum(1, np.rint(chance.lognormal(0, 1, n) * grid.quantity)).astype(np.int64)
    ids = first_id + np.arange(n)
    parts: dict[str, Columns] = {
        INSTRUMENT: instruments((known_ns, grid.tick_e8, grid.decimals)),
        AGG_TRADE: trade_columns(times, walk * grid.tick_e8, sizes, chance.random(n) < 0.5, agg_id=ids),
    }
    ends = start_ns + (1 + np.arange(minutes)) * MINUTE_NS
    if books:
        mids = walk[np.maximum(np.searchsorted(times, ends) - 1, 0)]
        made = [
            _book(chance, grid, int(m), int(e), first_id + k) for k, (m, e) in enumerate(zip(mids, ends, strict=True))
        ]
        parts[SNAPSHOT] = book_columns(made, (ends + SECOND_NS // 2).tolist())
    parts[TICK] = tick_columns(ends.tolist(), "live", "live" if books else "down", lag_ns=SECOND_NS)
    return parts


def _book(chance: np.random.Generator, grid: Grid, mid: int, end_ns: int, number: int) -> Snapshot:
    sides = []
    for direction in (-1, 1):
        most = min(400, mid - 1) if direction < 0 else 400
        away = 1 + np.unique(np.cumsum(chance.integers(1, max(2, round(grid.step_ticks * 3)), most)))
        ticks = mid + direction * away
        ticks = ticks[ticks > 0]
        sizes = np.maximum(1, np.rint(chance.lognormal(1, 0.7, len(ticks)) * grid.quantity)).astype(np.int64)
        wall = _standing(mid, direction, grid)
        at = int(np.argmin(np.abs(ticks - wall)))
        sizes[at] = 400 * grid.quantity
        ticks[at] = wall
        kept = np.argsort(direction * ticks, kind="stable")
        fresh = np.append(True, np.diff(ticks[kept]) != 0)
        sides += [ticks[kept][fresh] * grid.tick_e8, sizes[kept][fresh]]
    return Snapshot(0, end_ns + SECOND_NS // 5, end_ns + SECOND_NS // 4, 10_000 + number, 5000, *sides)


def _standing(mid: int, direction: int, grid: Grid) -> int:
    """A round price on a side, the same for a while as the mid moves."""
    span = max(3, round(grid.step_ticks * 25))
    return mid // span * span - span if direction < 0 else mid // span * span + 2 * span


def prices_of(tables: Tables) -> Sequence[int]:
    """Every price traded at."""
    return tables[AGG_TRADE].column("price_e8").to_pylist()
