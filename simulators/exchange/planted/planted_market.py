"""
A simulated market with planted structures, and the records of them.
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
from simulators.exchange.planted.edges import Edge
from simulators.exchange.planted.planter import Planter
from simulators.exchange.planted.standing import Iceberg, Wall
from simulators.exchange.planted.structures import STEPS_PER_MINUTE, STRUCTURES, Scene, Structure
from simulators.exchange.planted.volumes import Volumes

_END, _BEGIN = 0, 1  # order within a step: what ends makes room for what begins
_STEPS_PER_CHECK = 10  # between checks whether a structure has ended


class PlantedMarket:
    """
    An engine on virtual time with plants; without plants it makes exactly the same market as the engine.

    Args:
        parameters: the market; best without natural walls.
        plants: what to plant, in the order of their numbers.
        seed: of the market and, by a separate generator, of places, sizes and pulls.
        start_ns: when the first step begins, ns UTC; minutes of plants count from it.

    Attributes:
        engine: the market without the plants' records.
    """

    def __init__(self, parameters: MarketParameters, plants: list[Plant], seed: int, start_ns: int) -> None:
        self.engine = MarketEngine(parameters, np.random.default_rng([seed, 1]), start_ns)
        chance = np.random.default_rng([seed, 2])
        volumes = Volumes(usual_minute_e8(parameters) / 2)
        self._scene = Scene(self.engine, Planter(self.engine, chance), chance, volumes, start_ns)
        self._records = [PlantRecord(f"{p.kind}-{i}", p, target_strength=p.strength) for i, p in enumerate(plants)]
        self._standing: dict[str, Structure] = {}
        self._agenda: list[tuple[int, int, int, str, Ending]] = []
        for number, record in enumerate(self._records):
            if record.plant.absent:
                record.ending = "absent"
            else:
                self._plan(record.plant.minute * STEPS_PER_MINUTE, _BEGIN, number, record.id)

    @property
    def parameters(self) -> MarketParameters:
        """The parameters of the market."""
        return self.engine.parameters

    @property
    def records(self) -> tuple[PlantRecord, ...]:
        """The records of all plants, then those of walls that have moved."""
        return tuple(self._records)

    @property
    def volatility(self) -> Volatility:
        """The true volatility now, for `pulls.pull_probability`."""
        return self.engine.volatility

    def run(self, count: int) -> list[Step]:
        """Make `count` steps of 100 ms."""
        steps: list[Step] = []
        scene = self._scene
        while len(steps) < count:
            self._run_agenda()
            stop = scene.step + count - len(steps)
            interval = _STEPS_PER_CHECK if self._standing else STEPS_PER_MINUTE
            stop = min(stop, (scene.step // interval + 1) * interval)
            if self._agenda:
                stop = min(stop, self._agenda[0][0])
            batch = self.engine.run(stop - scene.step)
            scene.step = stop
            steps += batch
            scene.volumes.add(batch)
            if scene.step % _STEPS_PER_CHECK == 0:  # at fixed steps only, so that the size of batches changes nothing
                self._clear_ended()
            if scene.step % STEPS_PER_MINUTE == 0:
                scene.volumes.close()
                for name, structure in list(self._standing.items()):
                    self._mark_minute(name, structure)
        return steps

    def snapshot(self, limit: int | None = None) -> tuple[int, tuple[I64, I64], tuple[I64, I64]]:
        """The book now, as `MarketEngine.snapshot` returns it."""
        return self.engine.snapshot(limit)

    def _plan(self, step: int, action: int, number: int, name: str, ending: Ending = "done") -> None:
        heapq.heappush(self._agenda, (step, action, number, name, ending))

    def _run_agenda(self) -> None:
        while self._agenda and self._agenda[0][0] <= self._scene.step:
            _, action, number, name, ending = heapq.heappop(self._agenda)
            if action == _BEGIN:
                self._begin(self._records[number], number)
            elif name in self._standing:
                self._end(name, ending, self._scene.step)

    def _begin(self, record: PlantRecord, number: int, origin: tuple[int, int] | None = None) -> None:
        scene, plant = self._scene, record.plant
        structure: Structure
        if plant.kind == "wall":
            structure = Wall(record, scene, origin)
        elif plant.kind == "iceberg":
            structure = Iceberg(record, scene)
        elif plant.kind == "edge":
            structure = Edge(record, scene)
        else:
            structure = STRUCTURES[plant.kind](record, scene)
        record.start_ns, record.ending = scene.time_ns(scene.step), "standing"
        structure.begin()
        self._standing[record.id] = structure
        if plant.kind != "wall" or plant.fate != "holds":
            ending: Ending = "moved" if plant.fate == "moved" else "pulled" if plant.kind == "wall" else "done"
            self._plan(scene.step + plant.minutes * STEPS_PER_MINUTE, _END, number, record.id, ending)
        self._mark_minute(record.id, structure)

    def _mark_minute(self, name: str, structure: Structure) -> None:
        pull_step = structure.mark_minute()
        if pull_step is not None:
            self._plan(pull_step, _END, 0, name, "pulled")

    def _clear_ended(self) -> None:
        for name, structure in list(self._standing.items()):
            end = structure.find_end()
            if end is not None:
                self._end(name, *end)

    def _end(self, name: str, ending: Ending, step: int) -> None:
        structure = self._standing.pop(name)
        record = structure.record
        origin = (structure.tick, structure.quantity_e8()) if isinstance(structure, Wall) else (0, 0)
        record.ending = structure.clear(ending)
        record.end_ns = self._scene.time_ns(step)
        if ending == "moved":
            plant = replace(record.plant, fate="holds")
            number = len(self._records)
            successor = PlantRecord(f"{plant.kind}-{number}", plant, record.id, target_strength=plant.strength)
            self._records.append(successor)
            self._begin(successor, number, origin)
