"""
Zones with an edge: a touch that would break one is turned back with a known chance. The book shows nothing of it.

In the null market a zone means nothing: it is broken or rejected as a martingale's would be. With a chance u, the
rate of rejection p of such a zone becomes p + u · (1 − p): the size of the edge is 100 · u · (1 − p) percentage points.
"""

from simulators.exchange.market.parameters import BASIS_POINT
from simulators.exchange.market.planting import Ending, PlantRecord
from simulators.exchange.planted.structures import STEPS_PER_MINUTE, Scene, Structure

_WIDTH_BP = 2.0  # of a zone where none is asked for
_AWAY_BP = 30.0  # off the near edge: the touch is over, and the zone with it
_TEST_MIN = 60  # minutes after the touch in which scoring tests a zone


class Edge(Structure):
    """
    A zone that turns the price back with a chance.

    Args:
        record: its record; `actual_strength` becomes 1 where its touch is turned back, else 0.
        scene: its market.
    """

    def __init__(self, record: PlantRecord, scene: Scene) -> None:
        super().__init__(record, scene)
        self.mirror: int | None = None

    def begin(self) -> None:
        """Record its range and draw whether it will turn the price back."""
        plant, planter = self.record.plant, self.planter
        near = planter.tick_at(plant.side, plant.distance_bp)
        width = max(1, round(planter.mid * (plant.width_bp or _WIDTH_BP) * BASIS_POINT))
        self.low, self.high = (near, near + width) if plant.side == "ask" else (near - width, near)
        self.set_range(self.low, self.high)
        self.turns = bool(self.scene.rng.random() < plant.strength)
        self.touch_step: int | None = None
        if self.turns:
            self.mirror = planter.add_mirror(plant.side, self.high if plant.side == "ask" else self.low)

    def find_end(self) -> tuple[Ending, int] | None:
        """It has ended: `breached` beyond its far edge, `done` once the price is off it or its test is over."""
        planter, step, is_ask = self.planter, self.scene.step, self.record.side == "ask"
        near, far = (self.low, self.high) if is_ask else (self.high, self.low)
        past = (planter.fair - near) * (1 if is_ask else -1)
        if self.touch_step is None:
            if past < 0:
                return None
            self.touch_step = step
            self.record.touched_ns = self.scene.time_ns(step)
            self.record.actual_strength = float(self.turns)
        if not self.turns and past > abs(far - near):
            return "breached", step
        is_over = past < -planter.mid * _AWAY_BP * BASIS_POINT or step - self.touch_step >= _TEST_MIN * STEPS_PER_MINUTE
        return ("done", step) if is_over else None

    def clear(self, ending: Ending) -> Ending:
        """Let the price pass; an untouched one ends with its minutes."""
        if self.mirror is not None:
            self.planter.free_row(self.scene.engine.book.mirrors, self.mirror)
        return ending
