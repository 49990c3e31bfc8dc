"""
Structures at one price that stop it: walls, which may be pulled or moved, and icebergs.
"""

from math import exp

from simulators.exchange.market import layout
from simulators.exchange.market.planting import Ending, PlantRecord, WallMinute
from simulators.exchange.planted.structures import STEPS_PER_MINUTE, Scene, Structure

_MOVE_NOISE = 0.1  # a wall that moves changes its size by up to this fraction


class BarrierStructure(Structure):
    """A frozen range of ticks with a barrier in it."""

    barrier: int
    zone: int
    ticks: dict[int, int]

    def find_end(self) -> tuple[Ending, int] | None:
        """It has ended as `filled` once trades have taken all of it."""
        barrier = self.scene.engine.book.barriers[self.barrier]
        if barrier[layout.VOLUME] and self.record.touched_ns is None:
            self.record.touched_ns = self.scene.time_ns(int(barrier[layout.FIRST_STEP]) + 1)
        if barrier[layout.STANDS]:
            return None
        return "filled", int(barrier[layout.LAST_STEP]) + 1

    def clear(self, ending: Ending) -> Ending:
        """Remove its levels that are still on its side, without a trade."""
        book = self.scene.engine.book
        if ending != "filled":
            self.planter.edit({tick: 0 for tick in self.ticks if self.planter.is_on_side(self.record.side, tick)})
        self.planter.free_row(book.zones, self.zone)
        self.planter.free_row(book.barriers, self.barrier)
        return "pulled" if ending == "done" else ending


class Wall(BarrierStructure):
    """
    A wall: a heavy bin.

    Args:
        record: its record.
        scene: its market.
        origin: heavy tick and quantity (1e-8 base) of the wall that has moved to it; None for a new one.
    """

    def __init__(self, record: PlantRecord, scene: Scene, origin: tuple[int, int] | None = None) -> None:
        super().__init__(record, scene)
        self.origin = origin

    def begin(self) -> None:
        """Replace the levels of its bin."""
        side, planter = self.record.side, self.planter
        if self.origin is None:
            tick = planter.heavy_tick(side, self.record.plant.distance_bp)
        else:
            tick = planter.draw_new_tick(side, self.origin[0])
        depth = planter.corridor_e8(side)
        low = tick // planter.bin_ticks * planter.bin_ticks
        other_depth_e8 = depth - self._quantity(low, low + planter.bin_ticks - 1)
        if self.origin is None:
            total = self.record.plant.strength / (1.0 - self.record.plant.strength) * other_depth_e8
        else:
            other_depth_e8 -= self.origin[1]  # still in the book, removed by the next step
            total = self.origin[1] * (1.0 + _MOVE_NOISE * (2.0 * self.scene.rng.random() - 1.0))
        self.ticks, self.low, self.high = planter.wall_levels(side, tick, int(total))
        self.tick, size = tick, sum(self.ticks.values())
        self.set_range(self.low, self.high, tick)
        self.record.actual_strength = size / (other_depth_e8 + size)
        planter.edit(self.ticks)
        self.zone = planter.add_zone(self.low, self.high, layout.FROZEN)
        self.barrier = planter.add_barrier(side, tick)
        self.start_step = self.scene.step
        self._record_minute(self.record.actual_strength)

    def mark_minute(self) -> int | None:
        """Record the minute, and draw from the hazard whether it is pulled in it."""
        if self.scene.step > self.start_step:
            self._record_minute(self.share())
        hazard = self.record.minutes[-1].hazard
        if hazard == 0.0 or self.scene.rng.random() >= 1.0 - exp(-hazard):
            return None
        return self.scene.step + 1 + int(self.scene.rng.integers(STEPS_PER_MINUTE - 1))

    def share(self) -> float:
        """The bin's share of its side's depth within 90 bp."""
        depth = self.planter.corridor_e8(self.record.side)
        return self._quantity(self.low, self.high) / depth if depth else 0.0

    def clear(self, ending: Ending) -> Ending:
        """Remove it and record its end."""
        ending = super().clear(ending)
        self._record_minute(0.0, alive=False)
        return ending

    def quantity_e8(self) -> int:
        """Its quantity in the book, 1e-8 base."""
        return self._quantity(self.low, self.high)

    def _quantity(self, low: int, high: int) -> int:
        quantities = self.planter.quantity(low, high)
        return sum(int(q) for i, q in enumerate(quantities) if q and self.planter.is_on_side(self.record.side, low + i))

    def _record_minute(self, share: float, alive: bool = True) -> None:
        distance = round(abs(self.tick - self.planter.mid) / self.planter.mid * 1e4, 4)
        age = (self.scene.step - self.start_step) // STEPS_PER_MINUTE
        hazard = self.record.hazard
        rate = hazard.per_minute(share, distance, age) if hazard and alive else 0.0
        time_ns = self.scene.time_ns(self.scene.step)
        sigma = round(self.scene.engine.volatility.sigma_bp, 6)
        self.record.minutes.append(WallMinute(time_ns, share, distance, age, rate, sigma, alive))


class Iceberg(BarrierStructure):
    """A level that displays a part and is refilled after every trade until its hidden total is used up."""

    def begin(self) -> None:
        """Put the displayed part at its price."""
        plant, planter = self.record.plant, self.planter
        tick = planter.tick_at(plant.side, plant.distance_bp)
        depth = planter.corridor_e8(plant.side)
        total = planter.round_to_step(plant.strength * depth)
        visible = min(planter.round_to_step(self.scene.engine.parameters.typical_quantity_e8), total)
        self.set_range(tick, tick, tick)
        self.ticks = {tick: visible}
        self.record.actual_strength = total / depth
        planter.edit(self.ticks)
        self.zone = planter.add_zone(tick, tick, layout.FROZEN)
        self.barrier = planter.add_barrier(plant.side, tick, visible, total - visible)
