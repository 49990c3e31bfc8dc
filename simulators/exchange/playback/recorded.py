"""
An exchange that plays a recording: its own bytes over the same sockets, REST as far as it was played.
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

_LINES_AT_ONCE = 100


class RecordedExchange(LocalExchange):
    """
    A Binance of the past for one symbol; it begins when the first client connects.

    No message is lost on a slow client: the recording waits until it has read.

    Args:
        paths: the files of the recording, played one after the other.
        speed: recorded seconds in a second; None for as fast as clients read.
        script: faults of connections, messages and requests; ids, clock and trading are as recorded.
        rebuild: answer depth with the book as of then, not with the newest recorded one.
        seed: of scripts that come in later.

    Attributes:
        ended: set when the last line was played; clients stay connected.
        played: lines so far.
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
        if script is not None and any(rule.struck.fault.place == "step" for rule in script.rules):
            raise ScriptError("a recording is played as it is: no fault of steps can strike it; take those rules out")
        found = survey(paths)
        self._paths = tuple(paths)
        self._speed = speed
        self._first_ns = found.first_ns
        self._time = _PlayedTime(found.first_ns)
        self._clock = clock or WallClock()
        self._playback = Playback(found, rebuild)
        conditions = Conditions(self._time, script)
        super().__init__(conditions, StreamHub(found.symbol, conditions, rules or ConnectionRules()), seed)
        self.ended = asyncio.Event()
        self.played = 0
        self._lines = found.lines

    @property
    def symbol(self) -> str:
        """The symbol recorded."""
        return self._playback.symbol

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """
        Open the port and wait for the first client to play to.

        Raises:
            PortError: where the address cannot be bound.
        """
        app = self._app(RestApi({self.symbol: self._playback}, self.conditions, self._clock, WeightMeter()))
        app.router.add_get("/simulated/state", self._state)
        await self._open(app, host, port)
        self._going_on = asyncio.create_task(self._play())

    async def _play(self) -> None:
        await self.hub.somebody()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for recv_ns, line in all_lines(self._paths):
            if self._speed is not None:
                due = began + (recv_ns - self._first_ns) / 1e9 / self._speed
                await asyncio.sleep(max(0.0, due - loop.time()))
            elif self.played % _LINES_AT_ONCE == 0:
                await asyncio.sleep(0)
            self._time.ns = recv_ns
            for message in self._playback.take(line):
                await self.hub.room()
                self.hub.send(message)
            self.played += 1
        self.ended.set()

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "symbol": self.symbol,
                "now_ns": self._time.ns,
                "lines": self._lines,
                "played": self.played,
                "passed_over": self._playback.passed_over,
                "ended": self.ended.is_set(),
                "connections": self.hub.open_count,
                "connections_accepted": self.hub.accepted_count,
            }
        )


class _PlayedTime:
    def __init__(self, ns: int) -> None:
        self.ns = ns

    def now_ns(self) -> int:
        return self.ns
