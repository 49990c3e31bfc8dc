"""
Where scenarios are played: one log server and one folder for many of them, on virtual time or on the wall's.
"""

import asyncio
import gc
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from eventlog.clock import WallClock
from eventlog.server.embedded_server import EmbeddedServer
from tests.soak.drawn import Scenario, draw
from tests.soak.judgement import Verdict, judge
from tests.soak.log_server import Line
from tests.soak.scenario import Play
from tests.virtual_time import VirtualClock, VirtualLoop, run_virtually

START_NS = 1_704_067_195_000_000_000
"""Five seconds before a new minute, day and year."""


@dataclass(frozen=True)
class Played:
    """A scenario, how it went, and how long in virtual seconds."""

    scenario: Scenario
    verdict: Verdict
    lasted_s: float
    recovered_s: float
    failed_commands: int
    struck: list[str]

    def summary(self) -> str:
        """In one line."""
        said = self.verdict
        how = "; ".join(said.wrong) if said.wrong else "as the ledger says"
        return (
            f"{how} ({said.trades} trades, {said.lacking_trades} not to be had; {said.diffs} diffs, "
            f"{said.lacking_diffs} not to be had; {self.lasted_s:.0f} s, {self.recovered_s:.0f} s to recover)"
        )

    def story(self) -> list[str]:
        """What was drawn."""
        drawn = asdict(self.scenario) | {"rules": "", "parameters": ""}
        return [*map(json.dumps, self.scenario.rules), json.dumps({k: v for k, v in drawn.items() if v != ""})]


def reproduction(seed: int) -> str:
    """How to play a seed again."""
    return f"python -m tests.soak --seed {seed}"


class Stage:
    """Plays scenarios one after the other, or several at once in real time."""

    def __enter__(self) -> Self:
        fast = Path("/dev/shm")
        self._folder = Path(tempfile.mkdtemp(prefix="soak-", dir=fast if fast.is_dir() else None))
        self._server = EmbeddedServer(self._folder)
        client = self._server.ensure()
        client.config_set("appendfsync", "no")  # what a machine that dies loses is judged elsewhere
        client.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def connect(self) -> redis.Redis:
        """A client of the log server."""
        return self._server.connect()

    def play(self, seed: int) -> Played:
        """A scenario on virtual time."""
        scenario = draw(seed)

        async def main(loop: VirtualLoop) -> Played:
            return await self._play(scenario, VirtualClock(loop, START_NS), loop)

        return run_virtually(main)

    def play_really(self, seeds: Sequence[int]) -> list[Played]:
        """Scenarios on the wall's time, all at once."""

        async def main() -> list[Played]:
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*(self._play(draw(seed), WallClock(), loop) for seed in seeds))

        return asyncio.run(main())

    async def _play(
        self, scenario: Scenario, clock: VirtualClock | WallClock, loop: asyncio.AbstractEventLoop
    ) -> Played:
        folder = self._folder / f"scenario-{scenario.seed}"
        line = Line(self.connect, clock, scenario.seed)
        # Many share the machine in real time: everything may come a little later there.
        late = (
            {}
            if isinstance(loop, VirtualLoop)
            else {"on_the_way": 20, "longest_end_s": 30.0, "longest_recovery_s": 240.0}
        )
        play, since = Play.of(scenario, folder, line, clock, **late), loop.time()
        try:
            await play.run()
            lasted_s = loop.time() - since
            return Played(scenario, judge(play), lasted_s, play.recovered_s, line.failed, play.struck)
        finally:
            line.forget(f"*{{{play.market}}}*")
            line.close()
            shutil.rmtree(folder, ignore_errors=True)
            gc.collect()
