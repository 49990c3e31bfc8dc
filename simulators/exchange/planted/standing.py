"""
What stands at one price and stops it: walls, which may be pulled or moved, and icebergs.
"""

from math import exp

from simulators.exchange.market import layout
from simulators.exchange.market.planting import Ending, PlantRecord, WallMinute
from simulators.exchange.planted.structures import STEPS_A_MINUTE, Scene, Structure

_MOVED_SIZE = 0.1


class Standing(Structure):
    """A frozen range of ticks with a barrier in it."""

    barrier: int
    zone: int
    ticks: dict[int, int]

    def over(self) -> tuple[Ending, int] | None:
        """Trades that took all of it have filled it."""
        barrier = self.scene.engine.book.barriers[self.barrier]
        if barrier[layout.TRADED] and self.record.touched_ns is None:
            self.record.touched_ns = self.scene.time_ns(int(barrier[layout.FIRST_STEP]) + 1)
        if barrier[layout.STANDS]:
            return None
        return "filled", int(barrier[layout.LAST_STEP]) + 1

    def clear(self, ending: Ending) -> Ending:
        """Take away what still stands on its side, without a trade."""
        book = self.scene.engine.book
        if ending != "filled":
            self.planter.edit({tick: 0 for tick in self.ticks if self.planter.on_side(self.record.side, tick)})
        self.planter.end(book.zones, self.zone)
        self.planter.end(book.barriers, self.barrier)
        return "pulled" if ending == "done" else ending


class Wall(Standing):
    """
    A heavy bin.

    Args:
        moved_from: the heavy tick and quantity of the wall it goes on from, None for a new one.
    """

    def __init__(self, record: PlantRecord, scene: Scene, moved_from: tuple[int, int] | None = None) -> None:
        super().__init__(record, scene)
        self.moved_from = moved_from

    def begin(self) -> None:
        """Put it into its bin, in place of what stood there."""
        side, planter = self.record.side, self.planter
        if self.moved_from is None:
            tick = planter.heavy_tick(side, self.record.plant.distance_bp)
        else:
            tick = planter.moved_tick(side, self.moved_from[0])
        depth = planter.corridor_e8(side)
        low = tick // planter.bin_ticks * planter.bin_ticks
        rest = depth - self._standing(low, low + planter.bin_ticks - 1)
        if self.moved_from is None:
            total = self.record.plant.strength / (1.0 - self.record.plant.strength) * rest
        else:
            rest -= self.moved_from[1]  # still in the book, gone by the next step
            total = self.moved_from[1] * (1.0 + _MOVED_SIZE * (2.0 * self.scene.rng.random() - 1.0))
        self.ticks, self.low, self.high = planter.wall(side, tick, int(total))
        self.tick, placed = tick, sum(self.ticks.values())
        self.covers(self.low, self.high, tick)
        self.record.realised = placed / (rest + placed)
        planter.edit(self.ticks)
        self.zone = planter.add_zone(self.low, self.high, layout.FROZEN)
        self.barrier = planter.add_barrier(side, tick)
        self.began = self.scene.step
        self._note(self.record.realised)

    def mark(self) -> int | None:
        """Note the minute, and let the hazard decide whether it is the last."""
        if self.scene.step > self.began:
            self._note(self.share())
        hazard = self.record.minutes[-1].hazard
        if hazard == 0.0 or self.scene.rng.random() >= 1.0 - exp(-hazard):
            return None
        return self.scene.step + 1 + int(self.scene.rng.integers(STEPS_A_MINUTE - 1))

    def share(self) -> float:
        """The bin's part of its side's depth within 90 bp."""
        depth = self.planter.corridor_e8(self.record.side)
        return self._standing(self.low, self.high) / depth if depth else 0.0

    def clear(self, ending: Ending) -> Ending:
        """Take it away; a wall that moves goes on elsewhere."""
        ended = super().clear(ending)
        self._note(0.0, alive=False)
        return ended

    def quantity_e8(self) -> int:
        """What stands of it."""
        return self._standing(self.low, self.high)

    def _standing(self, low: int, high: int) -> int:
        held = self.planter.quantity(low, high)
        return sum(int(q) for i, q in enumerate(held) if q and self.planter.on_side(self.record.side, low + i))

    def _note(self, share: float, alive: bool = True) -> None:
        distance = round(abs(self.tick - self.planter.mid) / self.planter.mid * 1e4, 4)
        age = (self.scene.step - self.began) // STEPS_A_MINUTE
        hazard = self.record.hazard
        rate = hazard.per_minute(share, distance, age) if hazard and alive else 0.0
        now = self.scene.time_ns(self.scene.step)
        sigma = round(self.scene.engine.volatility.sigma_bp, 6)
        self.record.minutes.append(WallMinute(now, share, distance, age, rate, sigma, alive))


class Iceberg(Standing):
    """A level that shows little and is filled up after every trade until its hidden total is used up."""

    def begin(self) -> None:
        """Show the first part at its price."""
        plant, planter = self.record.plant, self.planter
        tick = planter.tick_at(plant.side, plant.distance_bp)
        depth = planter.corridor_e8(plant.side)
        total = planter.whole(plant.strength * depth)
        shown = min(planter.whole(self.scene.engine.parameters.typical_quantity_e8), total)
        self.covers(tick, tick, tick)
        self.ticks = {tick: shown}
        self.record.realised = total / depth
        planter.edit(self.ticks)
        self.zone = planter.add_zone(tick, tick, layout.FROZEN)
        self.barrier = planter.add_barrier(plant.side, tick, shown, total - shown)
