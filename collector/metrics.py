"""
How a recorder does: latencies, rates, queues and losses, in `metrics.json` beside its status and for Prometheus.

Event latency is our receive time less the venue's event time, pipeline latency the time a fact was in the log less its
receive time (a trade that waited for a missing one waited on the way); both by stream, over the last five minutes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from collector import status
from collector.latency import WINDOW_NS, RollingLatency
from collector.prometheus import CONTENT_TYPE, text_of
from collector.recorder import Recorder
from eventlog.clock import Clock
from eventlog.errors import EventLogError
from eventlog.facts import AGG_TRADE, BOOK_RESET, DIFF, QUARANTINE, Fact
from exchanges.port import Arrival
from market.timestamps import SECOND_NS, iso

EVERY_S = 10.0
FILE = "metrics.json"
STREAMS = (AGG_TRADE, DIFF)

_log = structlog.get_logger()


class Meter:
    """
    Measures one market's way from the feed into the log.

    Args:
        event_time_ns: when the venue sent a message, None where it does not say.
    """

    def __init__(self, clock: Clock, event_time_ns: Callable[[bytes], int | None]) -> None:
        self._clock = clock
        self._event_time_ns = event_time_ns
        self._started_ns = clock.now_ns()
        self._event = {stream: RollingLatency() for stream in STREAMS}
        self._pipeline = {stream: RollingLatency() for stream in STREAMS}
        self._span = RollingLatency()
        self.received = dict.fromkeys((*STREAMS, QUARANTINE), 0)
        self.connects = 0
        self.disconnects = 0
        self.waits = 0
        self.waited_s = 0.0
        self.longest_wait_s = 0.0

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """The feed brought a batch."""
        late: dict[str, list[int]] = {stream: [] for stream in STREAMS}
        for arrival in arrivals:
            if arrival.fact is None:
                self.connects += arrival.what == "connected"
                self.disconnects += arrival.what == "disconnected"
                continue
            self.received[arrival.what] += 1
            if arrival.what in late:
                event_ns = self._event_time_ns(arrival.fact.data)
                if event_ns is not None:
                    late[arrival.what].append(arrival.recv_ns - event_ns)
        now = self._clock.now_ns()
        for stream, durations in late.items():
            self._event[stream].add(durations, now)

    def stored(self, facts: Sequence[Fact]) -> None:
        """A batch is in the log now."""
        now = self._clock.now_ns()
        times: dict[str, list[int]] = {stream: [] for stream in STREAMS}
        for fact in facts:
            if fact.kind in times:
                times[fact.kind].append(fact.recv_ns)
        for stream, recv_ns in times.items():
            self._pipeline[stream].add([now - each for each in recv_ns], now)
        every = [each for recv_ns in times.values() for each in recv_ns]
        if every:
            self._span.add([max(every) - min(every)], now)

    def waited(self, seconds: float) -> None:
        """Reading waited for room in the queue."""
        self.waits += 1
        self.waited_s += seconds
        self.longest_wait_s = max(self.longest_wait_s, seconds)

    def summary(self) -> dict[str, Any]:
        """Latencies in ms and messages a second over the last five minutes, and counts since the start."""
        now = self._clock.now_ns()
        seconds = max(1.0, min(now - self._started_ns, WINDOW_NS) / SECOND_NS)
        event = {stream: each.summary(now) for stream, each in self._event.items()}
        return {
            "window_s": WINDOW_NS // SECOND_NS,
            "event_latency": event,
            "pipeline_latency": {stream: each.summary(now) for stream, each in self._pipeline.items()},
            "batch_span": self._span.summary(now),
            "receive_rate_per_s": {stream: round((said["count"] or 0) / seconds, 3) for stream, said in event.items()},
            "received": dict(self.received),
            "connects": self.connects,
            "disconnects": self.disconnects,
            "reconnects": max(0, self.connects - 1),
            "queue_waits": self.waits,
            "queue_waited_s": round(self.waited_s, 3),
            "queue_longest_wait_s": round(self.longest_wait_s, 3),
        }


def measured(market: str, meter: Meter, recorder: Recorder, clock: Clock) -> dict[str, Any]:
    """Everything `metrics.json` says of one market."""
    spill = recorder.spill
    return {
        "market": market,
        "written_at": iso(clock.now_ns()),
        **meter.summary(),
        "resyncs": recorder.counts.get(BOOK_RESET, 0),
        "quarantined": recorder.counts.get(QUARANTINE, 0),
        "stored": dict(sorted(recorder.counts.items())),
        "queue_depth": recorder.queue_depth,
        "queue_bytes": recorder.queue_bytes,
        "spill_bytes": spill.waiting_bytes if spill is not None else 0,
        "spill_facts": spill.unread if spill is not None else 0,
        "spilled": recorder.spilled,
        "spill_error": recorder.spill_error,
        "dropped": recorder.dropped,
        "server_away": recorder.waiting_for_server,
        "last_seq": recorder.writer.last_seq,
    }


Sources = Mapping[Path, Callable[[], dict[str, Any] | None]]
"""For the folder of each log, what is measured there; None while nothing is."""


async def publish(sources: Sources, host: str, port: int | None, every_s: float = EVERY_S) -> None:
    """
    Write each log's `metrics.json` every ten seconds, for ever, and answer Prometheus where a port is named.

    A port that cannot be had is told in the log and costs the endpoint alone. Port 0 takes any free one.
    """
    async with AsyncExitStack() as stack:
        if port is not None:
            await _serve(sources, host, port, stack)
        while True:
            for folder, measure in sources.items():
                if (found := measure()) is None:
                    continue
                try:
                    await asyncio.to_thread(status.write, folder, found, FILE)
                except EventLogError as error:
                    _log.warning("metrics not written", reason=str(error))
            await asyncio.sleep(every_s)


async def _serve(sources: Sources, host: str, port: int, stack: AsyncExitStack) -> None:
    async def answer(_: web.Request) -> web.Response:
        found = [measure() for measure in sources.values()]
        body = text_of([each for each in found if each is not None])
        return web.Response(body=body.encode(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        _log.warning("no metrics endpoint", host=host, port=port, reason=error.strerror or str(error))
    else:
        _log.info("metrics", url=f"http://{host}:{runner.addresses[0][1]}/metrics")
