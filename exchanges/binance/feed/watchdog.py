"""
Watches that every stream brings messages: answered pings do not mean that data flows.
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
class WatchedStream:
    """
    A stream that is watched.

    Attributes:
        name: as the exchange writes it. label: for log lines.
        rules: bounds of the allowed silence.
        newest_id: the largest id that the stream brought, None before the first.
        fetch_id: asks the exchange for the largest id that it has.
        on_quiet: called when the exchange has no more than the stream brought.
        on_stall: called when it has more, or does not answer, and the stream's connection is replaced.
    """

    name: str
    label: str
    rules: SilenceRules
    newest_id: Callable[[], int | None]
    fetch_id: Callable[[], Awaitable[int | None]]
    on_quiet: Callable[[], None] = lambda: None
    on_stall: Callable[[], None] = lambda: None


@dataclass(slots=True)
class _State:
    stream: WatchedStream
    detector: StallDetector
    count: int = 0
    last_s: float = 0.0
    baseline_id: int | None = None  # what the exchange had when a connection without messages was first probed
    probe: "asyncio.Task[None] | None" = None


class Watchdog:
    """
    Replaces the connection of a stream that is silent while its market is not.

    Args:
        stream: the feed whose connection is replaced.
        streams: those to watch.
        poll_s: pause between two checks.
        grace_s: how long a stream may take to bring what the exchange already has.

    Attributes:
        alarm_count: connections that it replaced.
        quiet_count: probes that found the market itself silent.
    """

    def __init__(
        self, stream: BinanceStream, streams: tuple[WatchedStream, ...], poll_s: float = 0.5, grace_s: float = 1.0
    ) -> None:
        self.alarm_count = 0
        self.quiet_count = 0
        self._stream = stream
        self._streams = streams
        self._poll_s = poll_s
        self._grace_s = grace_s

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        states = [_State(w, StallDetector(w.rules, loop.time())) for w in self._streams]
        opened_s = 0.0
        try:
            while True:
                await asyncio.sleep(self._poll_s)
                now = loop.time()
                for state in states:
                    self._update(state, now)
                    if self._stream.opened_s != opened_s:
                        state.detector.restart(now)
                        state.baseline_id = None
                    if state.probe is not None and state.probe.done():
                        state.probe.result()
                        state.probe = None
                    is_up = self._stream.open_connections and self._stream.is_drained(state.stream.name)
                    if is_up and state.probe is None and state.detector.is_expired(now):
                        state.probe = asyncio.create_task(self._probe(state))
                opened_s = self._stream.opened_s
        finally:
            for task in [state.probe for state in states if state.probe is not None]:
                task.cancel()

    def _update(self, state: _State, now: float) -> None:
        activity = self._stream.activity.get(state.stream.name.encode())
        if activity is not None:
            state.detector.record(activity.count - state.count, activity.last_s, now)
            state.count, state.last_s = activity.count, activity.last_s

    async def _probe(self, state: _State) -> None:
        """Ask the exchange whether there is something that the stream did not bring."""
        loop, stream = asyncio.get_running_loop(), state.stream
        opened_s, count = self._stream.opened_s, state.count
        try:
            venue_id = await stream.fetch_id() or 0
        except ExchangeError as error:  # without an answer the stream may have stalled
            _log.warning("silent stream, and no answer whether its market is", stream=stream.name, reason=str(error))
        else:
            # A new connection cannot bring what came before it.
            if state.last_s <= opened_s and state.baseline_id is None:
                state.baseline_id = venue_id
                state.detector.restart(loop.time())
                return
            if venue_id <= self._newest_known_id(state):
                self.quiet_count += 1
                stream.on_quiet()
                state.detector.note_probe(loop.time(), broken=False)
                return
        await asyncio.sleep(self._grace_s)
        self._update(state, loop.time())
        if state.count == count and self._stream.opened_s == opened_s:
            self.alarm_count += 1
            stream.on_stall()
            state.detector.note_probe(loop.time(), broken=True)
            self._stream.replace(f"silent: {stream.label} {state.detector.silence_s(loop.time()):.0f} s")

    @staticmethod
    def _newest_known_id(state: _State) -> int:
        return max(state.stream.newest_id() or 0, state.baseline_id or 0)
