"""
A simulated market with known structures in it, and the record of what they were.
"""

import heapq
from dataclasses import replace

import numpy as np

from market.arrays import I64
from simulators.exchange.market.engine import MarketEngine, Step
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.planting import Ending, Plant, PlantRecord
from simulators.exchange.market.pulls import Volatility
from simulators.exchange.market.rates import usual_minute_e8
from simulators.exchange.planted.planter import Planter
from simulators.exchange.planted.standing import Iceberg, Wall
from simulators.exchange.planted.structures import STEPS_A_MINUTE, STRUCTURES, Scene, Structure
from simulators.exchange.planted.volumes import Volumes

_END, _BEGIN = 0, 1
_STEPS_A_LOOK = 10


class PlantedMarket:
    """
    An engine on virtual time, plants, and their records; without plants it is the engine to the byte.

    Args:
        parameters: the market; natural walls are best switched off.
        plants: what to plant, in the order of their numbers.
        seed: of the market and, apart from it, of places, sizes and pulls.
        start_ns: when the first step begins, ns UTC; minutes count from it.
    """

    def __init__(self, parameters: MarketParameters, plants: list[Plant], seed: int, start_ns: int) -> None:
        self.engine = MarketEngine(parameters, np.random.default_rng([seed, 1]), start_ns)
        chance = np.random.default_rng([seed, 2])
        volumes = Volumes(usual_minute_e8(parameters) / 2)
        self._scene = Scene(self.engine, Planter(self.engine, chance), chance, volumes, start_ns)
        self._records = [PlantRecord(f"{p.kind}-{i}", p, planned=p.strength) for i, p in enumerate(plants)]
        self._standing: dict[str, Structure] = {}
        self._agenda: list[tuple[int, int, int, str, Ending]] = []
        for number, record in enumerate(self._records):
            if record.plant.absent:
                record.ending = "absent"
            else:
                self._plan(record.plant.minute * STEPS_A_MINUTE, _BEGIN, number, record.id)

    @property
    def parameters(self) -> MarketParameters:
        """The market's."""
        return self.engine.parameters

    @property
    def records(self) -> tuple[PlantRecord, ...]:
        """The record of every plant so far, moved walls after their first places."""
        return tuple(self._records)

    @property
    def volatility(self) -> Volatility:
        """The true volatility now, as `pulls.pull_probability` takes it."""
        return self.engine.volatility

    def run(self, count: int) -> list[Step]:
        """Make `count` steps of 100 ms."""
        steps: list[Step] = []
        scene = self._scene
        while len(steps) < count:
            self._act()
            stop = scene.step + count - len(steps)
            every = _STEPS_A_LOOK if self._standing else STEPS_A_MINUTE
            stop = min(stop, (scene.step // every + 1) * every)
            if self._agenda:
                stop = min(stop, self._agenda[0][0])
            made = self.engine.run(stop - scene.step)
            scene.step = stop
            steps += made
            scene.volumes.add(made)
            if scene.step % _STEPS_A_LOOK == 0:  # at fixed steps only, so that batches change nothing
                self._settle()
            if scene.step % STEPS_A_MINUTE == 0:
                scene.volumes.close()
                for name, structure in list(self._standing.items()):
                    self._mark(name, structure)
        return steps

    def snapshot(self, limit: int | None = None) -> tuple[int, tuple[I64, I64], tuple[I64, I64]]:
        """The book now, as `MarketEngine.snapshot` gives it."""
        return self.engine.snapshot(limit)

    def _plan(self, step: int, what: int, number: int, name: str, ending: Ending = "done") -> None:
        heapq.heappush(self._agenda, (step, what, number, name, ending))

    def _act(self) -> None:
        while self._agenda and self._agenda[0][0] <= self._scene.step:
            _, what, number, name, ending = heapq.heappop(self._agenda)
            if what == _BEGIN:
                self._begin(self._records[number], number)
            elif name in self._standing:
                self._end(name, ending, self._scene.step)

    def _begin(self, record: PlantRecord, number: int, moved_from: tuple[int, int] | None = None) -> None:
        scene, plant = self._scene, record.plant
        structure: Structure
        if plant.kind == "wall":
            structure = Wall(record, scene, moved_from)
        elif plant.kind == "iceberg":
            structure = Iceberg(record, scene)
        else:
            structure = STRUCTURES[plant.kind](record, scene)
        record.start_ns, record.ending = scene.time_ns(scene.step), "standing"
        structure.begin()
        self._standing[record.id] = structure
        if plant.kind != "wall" or plant.fate != "holds":
            ending: Ending = "moved" if plant.fate == "moved" else "pulled" if plant.kind == "wall" else "done"
            self._plan(scene.step + plant.minutes * STEPS_A_MINUTE, _END, number, record.id, ending)
        self._mark(record.id, structure)

    def _mark(self, name: str, structure: Structure) -> None:
        pulled = structure.mark()
        if pulled is not None:
            self._plan(pulled, _END, 0, name, "pulled")

    def _settle(self) -> None:
        for name, structure in list(self._standing.items()):
            over = structure.over()
            if over is not None:
                self._end(name, *over)

    def _end(self, name: str, ending: Ending, step: int) -> None:
        structure = self._standing.pop(name)
        record = structure.record
        left = (structure.tick, structure.quantity_e8()) if isinstance(structure, Wall) else (0, 0)
        record.ending = structure.clear(ending)
        record.end_ns = self._scene.time_ns(step)
        if ending == "moved":
            plant = replace(record.plant, fate="holds")
            number = len(self._records)
            moved = PlantRecord(f"{plant.kind}-{number}", plant, record.id, planned=plant.strength)
            self._records.append(moved)
            self._begin(moved, number, left)
