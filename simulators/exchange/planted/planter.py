"""
Plants structures in a book's arrays: edits of levels, and rows for zones, barriers and pushes, which are freed again.
"""

from math import log, sqrt

import numpy as np

from market.arrays import I64
from simulators.exchange.errors import ParameterError
from simulators.exchange.market import layout
from simulators.exchange.market.book_levels import nearest_levels
from simulators.exchange.market.draws import mean_level
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.parameters import BASIS_POINT
from simulators.exchange.market.planting import CORRIDOR_BP, Side

_MAX_MOVE_BINS = 3  # how far a wall moves


class Planter:
    """
    Changes the book of one engine; every change is part of the next step's diff.

    Args:
        engine: the market.
        rng: for places and splits; not the generator of the market.
    """

    def __init__(self, engine: MarketEngine, rng: np.random.Generator) -> None:
        self._book = engine.book
        self._rates = engine.rates
        self._rng = rng

    @property
    def fair(self) -> int:
        """The highest tick of a bid."""
        return int(self._book.state[layout.FAIR])

    @property
    def bin_ticks(self) -> int:
        """Number of ticks in a bin of one unit of the quote."""
        return self._rates.bin_ticks

    @property
    def mid(self) -> float:
        """The middle of the book in ticks."""
        bids, asks = (nearest_levels(self._book, side, 1)[0] for side in (0, 1))
        return float(bids[0] + asks[0]) / 2

    def tick_at(self, side: Side, distance_bp: float) -> int:
        """The tick at a distance from the mid on a side."""
        offset = round(self.mid * distance_bp * BASIS_POINT)
        tick = self.mid + (offset if side == "ask" else -offset)
        return max(int(tick), self.fair + 1) if side == "ask" else min(int(tick), self.fair)

    def quantity(self, low: int, high: int) -> I64:
        """The quantity at each tick of a range, both ends included, 1e-8 base."""
        base = int(self._book.state[layout.BASE])
        return self._book.quantity[low - base : high - base + 1]

    def corridor_e8(self, side: Side) -> int:
        """The quantity of a side within 90 bp of the mid."""
        reach = int(self.mid * CORRIDOR_BP * BASIS_POINT)
        if side == "bid":
            return int(self.quantity(int(self.mid) - reach, self.fair).sum())
        return int(self.quantity(self.fair + 1, int(self.mid) + reach).sum())

    def background_e8(self, side: Side, low: int, high: int) -> float:
        """
        The average quantity of the background in a range of ticks, 1e-8 base.

        Args:
            side: of the book; not used, as the average is the same on both.
            low: lowest tick.
            high: highest tick, included.
        """
        ticks = np.arange(low, high + 1)
        distance = np.abs(ticks - self.fair).astype(np.float64)
        chance = self._rates.density + self._rates.near_density / (1.0 + distance / self._rates.near_scale)
        chance = np.where(distance > self._rates.far_ticks, self._rates.far_density, 1.0) * chance
        chance = np.minimum(np.where(ticks % 100 == 0, 8.0, 1.0) * chance, 0.95)
        places = np.linspace(distance.min(), distance.max(), 17)
        sizes = np.array([mean_level(self._rates, place) for place in places])
        return float((chance * np.interp(distance, places, sizes)).sum())

    def round_to_step(self, quantity_e8: float) -> int:
        """Round a quantity (1e-8 base) down to the quantity step, at least one step."""
        step = self._rates.step_e8
        return max(1, int(quantity_e8 / step)) * step

    def edit(self, changes: dict[int, int]) -> None:
        """Set quantities by tick (1e-8 base, 0 to remove a level) at the start of the next step."""
        state = self._book.state
        start = int(state[layout.EDITS])
        if start + len(changes) > layout.EDIT_ROOM:
            raise ParameterError("too many levels are changed at once; plant less in one minute")
        rows = np.array(sorted(changes.items()), np.int64).reshape(-1, 2)
        self._book.edits[start : start + len(rows)] = rows
        state[layout.EDITS] = start + len(rows)

    def is_on_side(self, side: Side, tick: int) -> bool:
        """Whether a tick is on that side of the price."""
        return (tick > self.fair) == (side == "ask")

    def add_zone(self, low: int, high: int, kind: int, part: float = 1.0) -> int:
        """
        Limit the background in a range of ticks.

        Args:
            low: lowest tick.
            high: highest tick, included.
            kind: FROZEN, ANCHORED or THINNED of `layout`.
            part: of a THINNED zone, factor on the sizes of levels.

        Returns:
            The row of the zone.
        """
        return self._add(self._book.zones, layout.ZONES, [low, high, kind, round(part * 1e6)])

    def add_barrier(self, side: Side, tick: int, visible: int = 0, hidden: int = 0, pressed: bool = True) -> int:
        """
        Stop the price at a tick while quantity stands there.

        Args:
            side: of the book.
            tick: the price in ticks.
            visible: quantity that is displayed at most, 1e-8 base; 0 for no refill.
            hidden: quantity that refills it, 1e-8 base.
            pressed: whether a price that is stopped there sends takers.

        Returns:
            The row of the barrier.
        """
        stands = layout.PRESSED if pressed else layout.UNPRESSED
        values = [tick, int(side == "ask"), visible, hidden, stands, 0, -1, -1]
        return self._add(self._book.barriers, layout.BARRIERS, values)

    def add_push(self, seller: int, low: int, high: int, step_e8: int, total_e8: int) -> int:
        """
        Add aggressor volume while the best price lies within a range.

        Args:
            seller: 1 for sellers, 0 for buyers, BOTH_SIDES of `layout` for both.
            low: lowest tick.
            high: highest tick, included.
            step_e8: mean volume per step, 1e-8 base.
            total_e8: volume in all, 1e-8 base.

        Returns:
            The row of the push.
        """
        values = [seller, low, high, step_e8, total_e8, 0]
        return self._add(self._book.pushes, layout.PUSHES, values)

    def add_mirror(self, side: Side, tick: int) -> int:
        """Turn the value back at a tick, from above on the bid and from below on the ask; returns the row."""
        return self._add(self._book.mirrors, layout.MIRRORS, [tick, int(side == "ask")])

    def free_row(self, rows: I64, row: int) -> None:
        """Free a row of the zones, barriers, pushes or mirrors."""
        rows[row] = 0
        for table, count_index in self._tables():
            if table is rows:
                indices = np.flatnonzero(table.any(axis=1))
                self._book.state[count_index] = int(indices[-1]) + 1 if len(indices) else 0

    def pin(self, tick: float | None, pull: float = 0.0) -> None:
        """Draw the price to a tick, by a fraction `pull` of the distance per step; None stops that."""
        flow = self._book.flow
        flow[layout.PIN_PULL] = 0.0 if tick is None else pull
        flow[layout.PIN] = 0.0 if tick is None else log(tick / self._rates.start_tick)

    def sweep(self, seller: int, levels: int, quantity_e8: int) -> None:
        """
        Let one order take levels in the next step.

        Args:
            seller: 1 for a seller, 0 for a buyer.
            levels: number of levels.
            quantity_e8: of the order, at least, 1e-8 base.
        """
        state = self._book.state
        state[layout.SWEEP_LEVELS], state[layout.SWEEP_SELLER] = levels, seller
        state[layout.SWEEP_QUANTITY], state[layout.SWEEP_COUNT] = quantity_e8, 0

    def wall_levels(self, side: Side, tick: int, total_e8: int) -> tuple[dict[int, int], int, int]:
        """
        The levels of a wall in its bin: nine tenths at the heavy tick, the rest at two ticks behind it.

        Args:
            side: of the book.
            tick: the heavy tick.
            total_e8: quantity of the wall, 1e-8 base.

        Returns:
            Quantity by tick for all of the bin, and its lowest and highest tick.
        """
        low = tick // self.bin_ticks * self.bin_ticks
        high = low + self.bin_ticks - 1
        other_ticks = range(tick + 1, high + 1) if side == "ask" else range(low, tick)
        changes = dict.fromkeys((t for t in range(low, high + 1) if self.is_on_side(side, t)), 0)
        changes[tick] = self.round_to_step(total_e8)
        if len(other_ticks) >= 2:
            first, second = (int(t) for t in self._rng.choice(np.array(other_ticks), 2, replace=False))
            changes[first], changes[second] = self.round_to_step(0.06 * total_e8), self.round_to_step(0.04 * total_e8)
            changes[tick] = self.round_to_step(total_e8 - changes[first] - changes[second])
        return changes, low, high

    def heavy_tick(self, side: Side, distance_bp: float) -> int:
        """Draw a tick for a wall, in the bin at a distance, in the half of the bin that is nearer to the price."""
        low = self.tick_at(side, distance_bp) // self.bin_ticks * self.bin_ticks
        half = max(1, self.bin_ticks // 2)
        offset = int(self._rng.integers(half))
        tick = low + offset if side == "ask" else low + self.bin_ticks - 1 - offset
        while not self.is_on_side(side, tick):
            tick += self.bin_ticks if side == "ask" else -self.bin_ticks
        return tick

    def draw_new_tick(self, side: Side, tick: int) -> int:
        """Draw the new tick of a wall that moves: one to three bins away from the price or towards it, never across."""
        bins = int(self._rng.integers(1, _MAX_MOVE_BINS + 1))
        nearer = tick + (-bins if side == "ask" else bins) * self.bin_ticks
        farther = tick + (bins if side == "ask" else -bins) * self.bin_ticks
        return nearer if self._rng.random() < 0.5 and self.is_on_side(side, nearer) else farther

    def cell_width_bp(self, distance_bp: float) -> float:
        """The width of the cell of distances that begins at one: up to √2 of it, at least ten bins."""
        return max((sqrt(2.0) - 1.0) * distance_bp, 10 * self.bin_ticks / (self.mid * BASIS_POINT))

    def _add(self, rows: I64, count_index: int, values: list[int]) -> int:
        free = np.flatnonzero(~rows.any(axis=1))
        if len(free) == 0:
            raise ParameterError(f"at most {layout.PLANT_ROOM} structures stand at a time")
        row = int(free[0])
        rows[row] = values
        self._book.state[count_index] = max(int(self._book.state[count_index]), row + 1)
        return row

    def _tables(self) -> tuple[tuple[I64, int], ...]:
        book = self._book
        plants = (book.zones, layout.ZONES), (book.barriers, layout.BARRIERS), (book.pushes, layout.PUSHES)
        return *plants, (book.mirrors, layout.MIRRORS)
