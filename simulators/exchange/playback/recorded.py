"""
An exchange that plays a recording: its bytes over the same sockets, and REST answers up to the line played last.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from simulators.exchange.clock import Clock, WallClock
from simulators.exchange.errors import ScriptError
from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.script import Script
from simulators.exchange.local_exchange import LocalExchange
from simulators.exchange.playback.playback import Playback, all_lines, survey
from simulators.exchange.rest.rest import RestApi
from simulators.exchange.streams.connection import ConnectionRules
from simulators.exchange.streams.streams import StreamHub
from simulators.exchange.venue.limits import WeightMeter

_LINES_PER_YIELD = 100  # lines played at full speed before other tasks run


class RecordedExchange(LocalExchange):
    """
    A local exchange that plays a recording of one symbol, from the moment the first client connects.

    No message is lost for a slow client: playing waits until the client has read.

    Args:
        paths: the files of the recording, played one after the other.
        speed: recorded seconds per second; None for as fast as clients read.
        script: faults of connections, messages and requests; None for none. Ids, clock and trading are as recorded.
        rebuild: answer depth with the book rebuilt from diffs, not with the newest recorded one.
        rules: the limits of WebSocket connections; None for Binance's.
        clock: of the request weight; None for the wall clock.
        seed: of scripts that are posted later.

    Raises:
        ScriptError: the script has a fault of steps.
        BadFile: see `survey`.

    Attributes:
        finished: set when the last line is played; clients stay connected.
        line_count: number of lines played so far.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        speed: float | None = 1.0,
        script: Script | None = None,
        rebuild: bool = False,
        rules: ConnectionRules | None = None,
        clock: Clock | None = None,
        seed: int = 0,
    ) -> None:
        if script is not None and any(rule.fault.definition.place == "step" for rule in script.rules):
            raise ScriptError("a recording is played as it is, without faults of steps; remove those rules")
        info = survey(paths)
        self._paths = tuple(paths)
        self._speed = speed
        self._first_ns = info.first_ns
        self._time = _RecordedClock(info.first_ns)
        self._clock = clock or WallClock()
        self._playback = Playback(info, rebuild)
        conditions = Conditions(self._time, script)
        super().__init__(conditions, StreamHub(info.symbol, conditions, rules or ConnectionRules()), seed)
        self.finished = asyncio.Event()
        self.line_count = 0
        self._total_lines = info.lines

    @property
    def symbol(self) -> str:
        """The symbol of the recording."""
        return self._playback.symbol

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """
        Open the port; playing starts with the first client.

        Args:
            host: the address to bind to.
            port: 0 for any free one.

        Raises:
            PortError: the address cannot be bound.
        """
        app = self._app(RestApi({self.symbol: self._playback}, self.conditions, self._clock, WeightMeter()))
        app.router.add_get("/simulated/state", self._state)
        await self._open(app, host, port)
        self._task = asyncio.create_task(self._play())

    async def _play(self) -> None:
        await self.hub.wait_for_client()
        loop = asyncio.get_running_loop()
        start = loop.time()
        for recv_ns, line in all_lines(self._paths):
            if self._speed is not None:
                due = start + (recv_ns - self._first_ns) / 1e9 / self._speed
                await asyncio.sleep(max(0.0, due - loop.time()))
            elif self.line_count % _LINES_PER_YIELD == 0:
                await asyncio.sleep(0)
            self._time.ns = recv_ns
            for message in self._playback.play(line):
                await self.hub.wait_for_room()
                self.hub.send(message)
            self.line_count += 1
        self.finished.set()

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "symbol": self.symbol,
                "now_ns": self._time.ns,
                "lines": self._total_lines,
                "played": self.line_count,
                "passed_over": self._playback.skipped_lines,
                "ended": self.finished.is_set(),
                "connections": self.hub.connection_count,
                "connections_accepted": self.hub.total_connections,
            }
        )


class _RecordedClock:
    def __init__(self, ns: int) -> None:
        self.ns = ns

    def now_ns(self) -> int:
        return self.ns
