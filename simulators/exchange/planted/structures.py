"""
The kinds of structures: how each begins, what ends it, and what it records.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from simulators.exchange.market import layout
from simulators.exchange.market.background import TRADES_PER_TYPICAL
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.parameters import BASIS_POINT, STEP_NS
from simulators.exchange.market.planting import Ending, Kind, PlantRecord
from simulators.exchange.market.quotes import is_anchor
from simulators.exchange.planted.planter import Planter
from simulators.exchange.planted.volumes import Volumes

STEPS_PER_MINUTE = 600  # of 100 ms
_BAND_BP = 12.0  # width of a band where none is asked for
_BAND_NOISE = 0.3  # spread of the log quantities within a band: real ones are uneven
_ROW_BINS = 10  # height of a planted point of control, in bins
_ENDLESS = 1 << 60  # hidden quantity that no trades use up
_AT_TOUCH = 0.18  # about the fraction of steps in which a pinned price is where the push acts
_PIN_PULL = 0.05  # how strongly price is drawn back, a step
_SWEEP_TRADES_PER_LEVEL = 400.0  # median trades: ten levels take 5.4 BTC, more than 99.9 % of recorded runs


@dataclass(slots=True)
class Scene:
    """
    The context of structures.

    Attributes:
        engine: the market. planter: changes its book. rng: for sizes and pulls, not the generator of the market.
        volumes: of the last hour. start_ns: start of the market, ns UTC. step: number of steps so far.
    """

    engine: MarketEngine
    planter: Planter
    rng: np.random.Generator
    volumes: Volumes
    start_ns: int
    step: int = 0

    def time_ns(self, step: int) -> int:
        """The end of the first `step` steps, ns UTC."""
        return self.start_ns + step * STEP_NS


class Structure(ABC):
    """
    A plant that has begun.

    Args:
        record: its record, which it writes.
        scene: its context.
    """

    def __init__(self, record: PlantRecord, scene: Scene) -> None:
        self.record = record
        self.scene = scene
        self.planter = scene.planter

    @abstractmethod
    def begin(self) -> None:
        """Put it into the market."""

    def find_end(self) -> tuple[Ending, int] | None:
        """How and at which step the market has ended it; None while it stands."""
        return None

    def mark_minute(self) -> int | None:
        """Record the start of a minute; returns the step at which its hazard pulls it, or None."""
        return None

    @abstractmethod
    def clear(self, ending: Ending) -> Ending:
        """Remove what is left of it; returns its ending, which may differ from the one passed in."""

    def set_range(self, low: int, high: int, heavy: int | None = None) -> None:
        """
        Record the range that it covers.

        Args:
            low: lowest tick.
            high: highest tick, included.
            heavy: tick of most of its quantity; None where there is none.
        """
        tick_e8 = self.scene.engine.parameters.tick_size_e8
        self.record.low_e8, self.record.high_e8 = low * tick_e8, high * tick_e8
        self.record.heavy_price_e8 = None if heavy is None else heavy * tick_e8


class Band(Structure):
    """Extra quantity in each bin of a range, so that its sum is a multiple (`strength`) of the background's."""

    def begin(self) -> None:
        """Add quantity to one tick of each bin."""
        plant, planter = self.record.plant, self.planter
        self.low, self.high = _range(planter, plant.side, plant.distance_bp, plant.width_bp or _BAND_BP)
        self.set_range(self.low, self.high)
        usual = planter.background_e8(plant.side, self.low, self.high)
        bins = range(self.low // planter.bin_ticks, self.high // planter.bin_ticks + 1)
        noise = np.exp(_BAND_NOISE * self.scene.rng.standard_normal(len(bins)))
        extra = (plant.strength - 1.0) * usual * noise / noise.sum()
        quantities = planter.quantity(self.low, self.high)
        previous = int(quantities.sum())
        self.levels: dict[int, int] = {}
        for number, quantity_e8 in zip(bins, extra, strict=True):
            tick = number * planter.bin_ticks
            while not is_anchor(tick, planter.bin_ticks):
                tick += 1
            self.levels[tick] = int(quantities[tick - self.low]) + planter.round_to_step(quantity_e8)
        planter.edit(self.levels)
        replacement = sum(int(quantities[tick - self.low]) for tick in self.levels)
        self.record.actual_strength = (previous - replacement + sum(self.levels.values())) / usual
        self.zone = planter.add_zone(self.low, self.high, layout.ANCHORED)

    def find_end(self) -> tuple[Ending, int] | None:
        """It has ended as `breached` once the price is beyond its far edge."""
        return _find_breach(self, self.low, self.high)

    def clear(self, ending: Ending) -> Ending:
        """Remove its levels that are still on its side."""
        self.planter.free_row(self.scene.engine.book.zones, self.zone)
        changes = {tick: 0 for tick in self.levels if self.planter.is_on_side(self.record.side, tick)}
        self.planter.edit(changes)
        return ending


class Vacuum(Structure):
    """A range whose levels are reduced by a factor (`strength`), and stay so while the background renews them."""

    def begin(self) -> None:
        """Reduce every level in the range."""
        plant, planter = self.record.plant, self.planter
        width = plant.width_bp or planter.cell_width_bp(plant.distance_bp)
        self.low, self.high = _range(planter, plant.side, plant.distance_bp, width)
        self.set_range(self.low, self.high)
        previous, current = self._scale(plant.strength)
        self.record.actual_strength = current / previous if previous else 1.0
        self.zone = planter.add_zone(self.low, self.high, layout.THINNED, plant.strength)

    def find_end(self) -> tuple[Ending, int] | None:
        """It has ended as `breached` once the price is beyond its far edge."""
        return _find_breach(self, self.low, self.high)

    def clear(self, ending: Ending) -> Ending:
        """Restore the levels that are still on their side."""
        self.planter.free_row(self.scene.engine.book.zones, self.zone)
        if ending != "breached":
            self._scale(1.0 / self.record.plant.strength)
        return ending

    def _scale(self, part: float) -> tuple[int, int]:
        quantities = self.planter.quantity(self.low, self.high)
        ticks = [
            int(i) for i in np.flatnonzero(quantities) if self.planter.is_on_side(self.record.side, self.low + int(i))
        ]
        changes = {self.low + i: self.planter.round_to_step(int(quantities[i]) * part) for i in ticks}
        self.planter.edit(changes)
        return int(quantities[ticks].sum()), sum(changes.values())


class Absorption(Structure):
    """Aggressors of one side meet a best quote that is refilled after every trade, for the plant's duration."""

    def begin(self) -> None:
        """Pin the price at the best quote and send the aggressors."""
        plant, planter, scene = self.record.plant, self.planter, self.scene
        seller = int(plant.side == "bid")
        tick = planter.fair + 1 - seller
        self.set_range(tick, tick, tick)
        _, self.deviation = scene.volumes.stats(seller)
        volume_e8 = plant.strength * self.deviation
        steps = plant.minutes * STEPS_PER_MINUTE
        visible = max(planter.round_to_step(scene.engine.rates.touch_e8 / 2), int(planter.quantity(tick, tick)[0]))
        planter.edit({tick: visible})
        self.tick = tick
        self.zone = planter.add_zone(tick, tick, layout.FROZEN)
        self.barrier = planter.add_barrier(plant.side, tick, visible, _ENDLESS, pressed=False)
        step_e8 = planter.round_to_step(volume_e8 / steps / _AT_TOUCH)
        self.push = planter.add_push(seller, tick, tick, step_e8, planter.round_to_step(volume_e8))
        planter.pin(planter.fair + 0.5 - seller, _PIN_PULL)

    def clear(self, ending: Ending) -> Ending:
        """Unpin the price; the quote stays as an ordinary one."""
        book = self.scene.engine.book
        volume_e8 = int(book.pushes[self.push, layout.PUSH_VOLUME])
        self.record.actual_strength = volume_e8 / self.deviation if self.deviation else 0.0
        self.record.touched_ns = self.record.start_ns if volume_e8 else None
        self.planter.free_row(book.zones, self.zone)
        self.planter.free_row(book.barriers, self.barrier)
        self.planter.free_row(book.pushes, self.push)
        self.planter.pin(None)
        return ending


class Sweep(Structure):
    """One order takes a number of levels in one millisecond."""

    def begin(self) -> None:
        """Schedule it for the next step."""
        plant, engine = self.record.plant, self.scene.engine
        unit = engine.parameters.typical_quantity_e8 / TRADES_PER_TYPICAL
        levels = max(1, round(plant.strength))
        self.start_step = self.scene.step
        self.planter.sweep(
            int(plant.side == "bid"), levels, self.planter.round_to_step(levels * _SWEEP_TRADES_PER_LEVEL * unit)
        )

    def find_end(self) -> tuple[Ending, int] | None:
        """It is done in the step after it was scheduled."""
        state = self.scene.engine.book.state
        self.record.actual_strength = float(state[layout.SWEEP_COUNT])
        self.set_range(int(state[layout.SWEEP_LOW]), int(state[layout.SWEEP_HIGH]))
        return "done", self.start_step + 1

    def clear(self, ending: Ending) -> Ending:
        """There is nothing to remove."""
        return ending


class Poc(Structure):
    """Extra trades on both sides within one row of ten bins, to which the price is drawn."""

    def begin(self) -> None:
        """Draw the price to the row and send the aggressors."""
        plant, planter, scene = self.record.plant, self.planter, self.scene
        width = _ROW_BINS * planter.bin_ticks
        low = int(planter.mid) // width * width
        self.set_range(low, low + width - 1)
        steps = plant.minutes * STEPS_PER_MINUTE
        self.normal_e8 = sum(scene.volumes.stats(seller)[0] for seller in (0, 1)) * plant.minutes
        volume_e8 = planter.round_to_step(plant.strength * self.normal_e8)
        step_e8 = planter.round_to_step(volume_e8 / steps / _AT_TOUCH / 2)
        self.push = planter.add_push(layout.BOTH_SIDES, low, low + width - 1, step_e8, volume_e8)
        planter.pin(low + width / 2, _PIN_PULL * min(1.0, plant.strength))

    def clear(self, ending: Ending) -> Ending:
        """Unpin the price."""
        book = self.scene.engine.book
        self.record.actual_strength = (
            int(book.pushes[self.push, layout.PUSH_VOLUME]) / self.normal_e8 if self.normal_e8 else 0.0
        )
        self.planter.free_row(book.pushes, self.push)
        self.planter.pin(None)
        return ending


def _range(planter: Planter, side: str, distance_bp: float, width_bp: float) -> tuple[int, int]:
    # Whole bins, with the near edge at the distance.
    near = planter.mid * distance_bp * BASIS_POINT
    bins = max(10, round(planter.mid * width_bp * BASIS_POINT / planter.bin_ticks))
    if side == "ask":
        low = -(-int(planter.mid + near) // planter.bin_ticks) * planter.bin_ticks
        return low, low + bins * planter.bin_ticks - 1
    high = int(planter.mid - near) // planter.bin_ticks * planter.bin_ticks - 1
    return high - bins * planter.bin_ticks + 1, high


def _find_breach(structure: Structure, low: int, high: int) -> tuple[Ending, int] | None:
    far = high if structure.record.side == "ask" else low
    return None if structure.planter.is_on_side(structure.record.side, far) else ("breached", structure.scene.step)


STRUCTURES: dict[Kind, type[Structure]] = {
    "band": Band,
    "vacuum": Vacuum,
    "absorption": Absorption,
    "sweep": Sweep,
    "poc": Poc,
}
"""The structures by kind; those at one price are in `standing.py`."""
