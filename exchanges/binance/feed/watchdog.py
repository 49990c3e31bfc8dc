"""
Watches that every stream brings something: pings alive do not mean that data flows.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from exchanges.binance.feed.stall_detector import SilenceRules, StallDetector
from exchanges.binance.feed.stream import BinanceStream
from exchanges.errors import ExchangeError

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Watched:
    """
    A stream that is watched.

    Attributes:
        name: as the venue spells it. label: for the record.
        newest: the largest id it brought; None before the first. ask: what the venue itself says is the largest.
        quiet: called when the venue says that it has no more than the stream brought. mute: when it has, or does not
            say, and the stream's connection is replaced.
    """

    name: str
    label: str
    rules: SilenceRules
    newest: Callable[[], int | None]
    ask: Callable[[], Awaitable[int | None]]
    quiet: Callable[[], None] = lambda: None
    mute: Callable[[], None] = lambda: None


@dataclass(slots=True)
class _State:
    watched: Watched
    budget: StallDetector
    count: int = 0
    last_s: float = 0.0
    there: int | None = None  # what the venue had when a connection that has brought nothing yet was looked at
    looking: "asyncio.Task[None] | None" = None


class Watchdog:
    """
    Replaces the connection of a stream that is silent while its market is not.

    Args:
        poll_s: how often it looks. grace_s: how long a stream may take to bring what the venue already has.

    Attributes:
        alarms: how many connections it replaced. quiet: how often it was the market that was silent.
    """

    def __init__(
        self, stream: BinanceStream, watched: tuple[Watched, ...], poll_s: float = 0.5, grace_s: float = 1.0
    ) -> None:
        self.alarms = 0
        self.quiet = 0
        self._stream = stream
        self._watched = watched
        self._poll_s = poll_s
        self._grace_s = grace_s

    async def run(self) -> None:
        """Watch for ever."""
        loop = asyncio.get_running_loop()
        states = [_State(w, StallDetector(w.rules, loop.time())) for w in self._watched]
        opened = 0.0
        try:
            while True:
                await asyncio.sleep(self._poll_s)
                now = loop.time()
                for state in states:
                    self._note(state, now)
                    if self._stream.opened_s != opened:
                        state.budget.connected(now)
                        state.there = None
                    if state.looking is not None and state.looking.done():
                        state.looking.result()
                        state.looking = None
                    up = self._stream.connected and self._stream.read_up(state.watched.name)
                    if up and state.looking is None and state.budget.spent(now):
                        state.looking = asyncio.create_task(self._look(state))
                opened = self._stream.opened_s
        finally:
            for task in [state.looking for state in states if state.looking is not None]:
                task.cancel()

    def _note(self, state: _State, now: float) -> None:
        heard = self._stream.heard.get(state.watched.name.encode())
        if heard is not None:
            state.budget.heard(heard.count - state.count, heard.last_s, now)
            state.count, state.last_s = heard.count, heard.last_s

    async def _look(self, state: _State) -> None:
        """Ask the venue whether there is something that the stream did not bring."""
        loop, watched = asyncio.get_running_loop(), state.watched
        opened, count = self._stream.opened_s, state.count
        try:
            there = await watched.ask() or 0
        except ExchangeError as error:  # no answer excuses nothing
            _log.warning("silent stream, and no answer whether its market is", stream=watched.name, reason=str(error))
        else:
            if state.last_s <= opened and state.there is None:  # what came before the connection it cannot bring
                state.there = there
                state.budget.connected(loop.time())
                return
            if there <= self._known(state):
                self.quiet += 1
                watched.quiet()
                state.budget.looked(loop.time(), broken=False)
                return
        await asyncio.sleep(self._grace_s)
        self._note(state, loop.time())
        if state.count == count and self._stream.opened_s == opened:
            self.alarms += 1
            watched.mute()
            state.budget.looked(loop.time(), broken=True)
            self._stream.replace(f"silent: {watched.label} {state.budget.silent_s(loop.time()):.0f} s")

    @staticmethod
    def _known(state: _State) -> int:
        return max(state.watched.newest() or 0, state.there or 0)
