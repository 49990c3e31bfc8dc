"""
Each kind of structure: how it begins, what ends it, and what goes on record.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from simulators.exchange.market import layout
from simulators.exchange.market.background import TRADES_PER_TYPICAL
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.parameters import STEP_NS
from simulators.exchange.market.planting import Ending, Kind, PlantRecord
from simulators.exchange.market.quotes import anchor
from simulators.exchange.planted.planter import Planter
from simulators.exchange.planted.volumes import Volumes

STEPS_A_MINUTE = 600
_BASIS_POINT = 1e-4
_BAND_BP = 12.0
_BAND_NOISE = 0.3
_ROW_BINS = 10
_WITHOUT_END = 1 << 60
_AT_TOUCH = 0.25  # about the part of the steps in which a pinned price is where the push is
_PIN_PULL = 0.05
_SWEEP_TRADES_A_LEVEL = 400.0  # median trades: ten levels take 5.4 BTC, more than 99.9 % of recorded runs


@dataclass(slots=True)
class Scene:
    """What a structure works with: the market, a hand on its book, chance, what is usually traded, the step now."""

    engine: MarketEngine
    planter: Planter
    rng: np.random.Generator
    volumes: Volumes
    start_ns: int
    step: int = 0

    def time_ns(self, step: int) -> int:
        """The end of so many steps."""
        return self.start_ns + step * STEP_NS


class Structure(ABC):
    """A plant that has begun; `record` is its own to write."""

    def __init__(self, record: PlantRecord, scene: Scene) -> None:
        self.record = record
        self.scene = scene
        self.planter = scene.planter

    @abstractmethod
    def begin(self) -> None:
        """Put it into the market."""

    def over(self) -> tuple[Ending, int] | None:
        """How and when (step) the market itself has ended it, None while it stands."""
        return None

    def mark(self) -> int | None:
        """Note the start of a minute; the step at which it will be pulled, should its hazard say so."""
        return None

    @abstractmethod
    def clear(self, ending: Ending) -> Ending:
        """Take away what is left; how it ended, where the plan knows no better."""

    def covers(self, low: int, high: int, heavy: int | None = None) -> None:
        """Note which ticks it covers."""
        tick_e8 = self.scene.engine.parameters.tick_size_e8
        self.record.low_e8, self.record.high_e8 = low * tick_e8, high * tick_e8
        self.record.heavy_price_e8 = None if heavy is None else heavy * tick_e8


class Band(Structure):
    """Extra quantity in each bin of a range, as much as makes the whole so many times what is usual there."""

    def begin(self) -> None:
        """Add to one tick of each bin."""
        plant, planter = self.record.plant, self.planter
        self.low, self.high = _range(planter, plant.side, plant.distance_bp, plant.width_bp or _BAND_BP)
        self.covers(self.low, self.high)
        usual = planter.expected(plant.side, self.low, self.high)
        bins = range(self.low // planter.bin_ticks, self.high // planter.bin_ticks + 1)
        noise = np.exp(_BAND_NOISE * self.scene.rng.standard_normal(len(bins)))
        extra = (plant.strength - 1.0) * usual * noise / noise.sum()
        held = planter.quantity(self.low, self.high)
        before = int(held.sum())
        self.added = {}
        for number, more in zip(bins, extra, strict=True):
            tick = number * planter.bin_ticks
            while not anchor(tick, planter.bin_ticks):
                tick += 1
            self.added[tick] = int(held[tick - self.low]) + planter.whole(more)
        planter.edit(self.added)
        replaced = sum(int(held[tick - self.low]) for tick in self.added)
        self.record.realised = (before - replaced + sum(self.added.values())) / usual
        self.zone = planter.add_zone(self.low, self.high, layout.ANCHORED)

    def over(self) -> tuple[Ending, int] | None:
        """A price beyond its far edge has broken it."""
        return _breached(self, self.low, self.high)

    def clear(self, ending: Ending) -> Ending:
        """Take away what was added and still stands on its side."""
        self.planter.end(self.scene.engine.book.zones, self.zone)
        gone = {tick: 0 for tick in self.added if self.planter.on_side(self.record.side, tick)}
        self.planter.edit(gone)
        return ending


class Vacuum(Structure):
    """A range whose levels are cut to a part of what they were, and which the background fills no higher."""

    def begin(self) -> None:
        """Cut every level that stands there."""
        plant, planter = self.record.plant, self.planter
        width = plant.width_bp or planter.cell_width_bp(plant.distance_bp)
        self.low, self.high = _range(planter, plant.side, plant.distance_bp, width)
        self.covers(self.low, self.high)
        before, after = self._scale(plant.strength)
        self.record.realised = after / before if before else 1.0
        self.zone = planter.add_zone(self.low, self.high, layout.THINNED, plant.strength)

    def over(self) -> tuple[Ending, int] | None:
        """A price beyond its far edge has crossed it."""
        return _breached(self, self.low, self.high)

    def clear(self, ending: Ending) -> Ending:
        """Give the levels back what was cut, as far as they still stand on their side."""
        self.planter.end(self.scene.engine.book.zones, self.zone)
        if ending != "breached":
            self._scale(1.0 / self.record.plant.strength)
        return ending

    def _scale(self, part: float) -> tuple[int, int]:
        held = self.planter.quantity(self.low, self.high)
        ticks = [int(i) for i in np.flatnonzero(held) if self.planter.on_side(self.record.side, self.low + int(i))]
        changes = {self.low + i: self.planter.whole(int(held[i]) * part) for i in ticks}
        self.planter.edit(changes)
        return int(held[ticks].sum()), sum(changes.values())


class Absorption(Structure):
    """Aggressors of one side meet a best quote that is filled up again after every trade, for as long as it lasts."""

    def begin(self) -> None:
        """Hold the price at the touch and send the aggressors."""
        plant, planter, scene = self.record.plant, self.planter, self.scene
        seller = int(plant.side == "bid")
        tick = planter.fair + 1 - seller
        self.covers(tick, tick, tick)
        _, self.deviation = scene.volumes.usual(seller)
        wanted = plant.strength * self.deviation
        steps = plant.minutes * STEPS_A_MINUTE
        shown = max(planter.whole(scene.engine.rates.touch_e8 / 2), int(planter.quantity(tick, tick)[0]))
        planter.edit({tick: shown})
        self.tick = tick
        self.zone = planter.add_zone(tick, tick, layout.FROZEN)
        self.barrier = planter.add_barrier(plant.side, tick, shown, _WITHOUT_END, pressed=False)
        step_e8 = planter.whole(wanted / steps / _AT_TOUCH)
        self.push = planter.add_push(seller, tick, tick, step_e8, planter.whole(wanted))
        planter.pin(planter.fair + 0.5 - seller, _PIN_PULL)

    def clear(self, ending: Ending) -> Ending:
        """Let the price go; the quote stays as an ordinary one."""
        book = self.scene.engine.book
        taken = int(book.pushes[self.push, layout.PUSH_TAKEN])
        self.record.realised = taken / self.deviation if self.deviation else 0.0
        self.record.touched_ns = self.record.start_ns if taken else None
        self.planter.end(book.zones, self.zone)
        self.planter.end(book.barriers, self.barrier)
        self.planter.end(book.pushes, self.push)
        self.planter.pin(None)
        return ending


class Sweep(Structure):
    """One order takes so many levels in one millisecond."""

    def begin(self) -> None:
        """Order it for the next step."""
        plant, engine = self.record.plant, self.scene.engine
        unit = engine.parameters.typical_quantity_e8 / TRADES_PER_TYPICAL
        levels = max(1, round(plant.strength))
        self.began = self.scene.step
        self.planter.sweep(int(plant.side == "bid"), levels, self.planter.whole(levels * _SWEEP_TRADES_A_LEVEL * unit))

    def over(self) -> tuple[Ending, int] | None:
        """Done in the step after it was ordered."""
        state = self.scene.engine.book.state
        self.record.realised = float(state[layout.SWEEP_TAKEN])
        self.covers(int(state[layout.SWEEP_LOW]), int(state[layout.SWEEP_HIGH]))
        return "done", self.began + 1

    def clear(self, ending: Ending) -> Ending:
        """Nothing is left of it."""
        return ending


class Poc(Structure):
    """Extra trade on both sides within one row of ten bins, to which the price keeps returning."""

    def begin(self) -> None:
        """Draw the price to the row and send the aggressors."""
        plant, planter, scene = self.record.plant, self.planter, self.scene
        width = _ROW_BINS * planter.bin_ticks
        low = int(planter.mid) // width * width
        self.covers(low, low + width - 1)
        steps = plant.minutes * STEPS_A_MINUTE
        self.usual = sum(scene.volumes.usual(seller)[0] for seller in (0, 1)) * plant.minutes
        wanted = planter.whole(plant.strength * self.usual)
        step_e8 = planter.whole(wanted / steps / _AT_TOUCH / 2)
        self.push = planter.add_push(layout.BOTH_SIDES, low, low + width - 1, step_e8, wanted)
        planter.pin(low + width / 2, _PIN_PULL * min(1.0, plant.strength))

    def clear(self, ending: Ending) -> Ending:
        """Let the price go."""
        book = self.scene.engine.book
        self.record.realised = int(book.pushes[self.push, layout.PUSH_TAKEN]) / self.usual if self.usual else 0.0
        self.planter.end(book.pushes, self.push)
        self.planter.pin(None)
        return ending


def _range(planter: Planter, side: str, distance_bp: float, width_bp: float) -> tuple[int, int]:
    # Whole bins, the near edge at the distance asked for.
    near = planter.mid * distance_bp * _BASIS_POINT
    bins = max(10, round(planter.mid * width_bp * _BASIS_POINT / planter.bin_ticks))
    if side == "ask":
        low = -(-int(planter.mid + near) // planter.bin_ticks) * planter.bin_ticks
        return low, low + bins * planter.bin_ticks - 1
    high = int(planter.mid - near) // planter.bin_ticks * planter.bin_ticks - 1
    return high - bins * planter.bin_ticks + 1, high


def _breached(structure: Structure, low: int, high: int) -> tuple[Ending, int] | None:
    far = high if structure.record.side == "ask" else low
    return None if structure.planter.on_side(structure.record.side, far) else ("breached", structure.scene.step)


STRUCTURES: dict[Kind, type[Structure]] = {
    "band": Band,
    "vacuum": Vacuum,
    "absorption": Absorption,
    "sweep": Sweep,
    "poc": Poc,
}
"""What stands at one price is in `standing.py`."""
