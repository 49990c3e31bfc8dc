"""
How a recorder does: latencies, rates, queues and losses, in `metrics.json` beside its status and for Prometheus.

Event latency is our receive time less the venue's event time, pipeline latency the time a fact was in the log less its
receive time (a trade that waited for a missing one waited on the way); both by stream, over the last five minutes, and
only of what came over the stream: trades that were asked for over REST are counted as `fetched`. `batch_span` is how
many update ids one diff message spans (u − U + 1), `batch_time_span` the time from the first to the last receive time
in a stored batch, both over the last five minutes as well.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import structlog

from collector.fact_queue import FactQueue
from collector.metrics.latency import WINDOW_NS, RollingLatency, RollingMean
from collector.metrics.metrics_server import serve
from collector.metrics.prometheus import text_of
from eventlog.clock import Clock
from eventlog.errors import EventLogError
from eventlog.facts.capture import BOOK_RESET, QUARANTINE
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE, DIFF
from exchanges.port import Arrival
from market.timestamps import SECOND_NS, iso
from runtime.daemon import status
from runtime.daemon.recurring_warning import RecurringWarning

EVERY_S = 10.0
FILE = "metrics.json"
STREAMS = (AGG_TRADE, DIFF)

_MAX_ON_THE_WAY = 4_000
_IN_A_SUMMARY = ("queue_depth", "queue_max_depth", "spill_facts", "quarantined", "reconnects", "resyncs", "dropped")

_log = structlog.get_logger()


class Meter:
    """
    Measures one market's way from the feed into the log.

    Args:
        event_time_ns: when the venue sent a message, None where it does not say, as in a REST row.
    """

    def __init__(self, clock: Clock, event_time_ns: Callable[[bytes], int | None]) -> None:
        self._clock = clock
        self._event_time_ns = event_time_ns
        self._started_ns = clock.now_ns()
        self._event = {stream: RollingLatency() for stream in STREAMS}
        self._pipeline = {stream: RollingLatency() for stream in STREAMS}
        self._time_span = RollingLatency()
        self._span = RollingMean()
        self._depth = RollingMean()
        self._deepest = 0  # since it was counted last
        self._on_the_way: dict[int, bool] = {}  # receive times of streamed trades that are not stored, oldest first
        self.received = dict.fromkeys((*STREAMS, QUARANTINE), 0)
        self.fetched = {AGG_TRADE: 0}
        self.connects = 0
        self.disconnects = 0
        self.waits = 0
        self.waited_s = 0.0
        self.longest_wait_s = 0.0

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """The feed brought a batch."""
        late: dict[str, list[int]] = {AGG_TRADE: [], DIFF: []}
        spans: list[int] = []
        for arrival in arrivals:
            what, fact = arrival.what, arrival.fact
            if fact is None:
                self.connects += what == "connected"
                self.disconnects += what == "disconnected"
                continue
            self.received[what] += 1
            if what == AGG_TRADE:
                self._on_the_way[fact.recv_ns] = True
            elif what == DIFF:
                spans.append(arrival.number - arrival.first + 1)
            else:
                continue
            event_ns = self._event_time_ns(fact.data)
            if event_ns is not None:
                late[what].append(arrival.recv_ns - event_ns)
        now = self._clock.now_ns()
        for stream, durations in late.items():
            self._event[stream].add(durations, now)
        self._span.add(spans, now)
        if len(self._on_the_way) > _MAX_ON_THE_WAY:
            self._forget_oldest()

    def stored(self, facts: Sequence[Fact]) -> None:
        """A batch is in the log now."""
        now = self._clock.now_ns()
        times: dict[str, list[int]] = {AGG_TRADE: [], DIFF: []}
        was_streamed = self._on_the_way.pop
        for fact in facts:
            if fact.kind == AGG_TRADE:
                if was_streamed(fact.recv_ns, False) or self._is_dated(fact):
                    times[AGG_TRADE].append(fact.recv_ns)
                else:
                    self.fetched[AGG_TRADE] += 1
            elif fact.kind == DIFF:
                times[DIFF].append(fact.recv_ns)
        every = times[AGG_TRADE] + times[DIFF]
        if every:
            self._time_span.add([max(every) - min(every)], now)
        for stream, recv_ns in times.items():
            if recv_ns:
                self._pipeline[stream].add([now - each for each in recv_ns], now)
        self._count_depth(now)

    def waited(self, seconds: float) -> None:
        """Reading waited for room in the queue."""
        self.waits += 1
        self.waited_s += seconds
        self.longest_wait_s = max(self.longest_wait_s, seconds)

    def queued(self, depth: int) -> None:
        """So many facts wait in memory now."""
        if depth > self._deepest:
            self._deepest = depth

    def summary(self) -> dict[str, Any]:
        """Latencies in ms and messages a second over the last five minutes, and counts since the start."""
        now = self._clock.now_ns()
        self._count_depth(now)
        elapsed_ns = now - self._started_ns
        window_ns = elapsed_ns if 0 <= elapsed_ns <= WINDOW_NS else WINDOW_NS  # a clock may be set back
        seconds = max(1.0, window_ns / SECOND_NS)
        event = {stream: each.summary(now) for stream, each in self._event.items()}
        return {
            "window_s": WINDOW_NS // SECOND_NS,
            "event_latency": event,
            "pipeline_latency": {stream: each.summary(now) for stream, each in self._pipeline.items()},
            "batch_span": self._span.summary(now),
            "batch_time_span": self._time_span.summary(now),
            "receive_rate_per_s": {stream: round((said["count"] or 0) / seconds, 3) for stream, said in event.items()},
            "received": dict(self.received),
            "fetched": dict(self.fetched),
            "connects": self.connects,
            "disconnects": self.disconnects,
            "reconnects": max(0, self.connects - 1),
            "queue_max_depth": self._depth.summary(now)["max"] or 0,
            "queue_waits": self.waits,
            "queue_waited_s": round(self.waited_s, 3),
            "queue_longest_wait_s": round(self.longest_wait_s, 3),
        }

    def _is_dated(self, trade: Fact) -> bool:
        """Whether a trade whose arrival is forgotten came over the stream: REST rows alone have no event time."""
        return self._event_time_ns(trade.data) is not None

    def _forget_oldest(self) -> None:
        """A trade that came twice is stored once: what stays behind must not pile up."""
        for recv_ns in list(islice(self._on_the_way, _MAX_ON_THE_WAY // 2)):
            del self._on_the_way[recv_ns]

    def _count_depth(self, now_ns: int) -> None:
        if self._deepest:
            self._depth.add([self._deepest], now_ns)
            self._deepest = 0


def measured(market: str, meter: Meter, recorder: FactQueue, clock: Clock) -> dict[str, Any]:
    """
    Everything `metrics.json` says of one market.

    `queue_depth` counts the facts that wait in memory, `cache_size` also those read back from the file for the batch in
    hand; `queue_max_depth`, or `max_depth`, is the largest queue depth of the last five minutes.
    """
    spill = recorder.spill
    meter.queued(recorder.queue_depth)
    summary = meter.summary()
    return {
        "market": market,
        "written_at": iso(clock.now_ns()),
        **summary,
        "max_depth": summary["queue_max_depth"],
        "cache_size": recorder.cache_size,
        "resyncs": recorder.counts.get(BOOK_RESET, 0),
        "quarantined": recorder.counts.get(QUARANTINE, 0),
        "stored": dict(sorted(recorder.counts.items())),
        "queue_depth": recorder.queue_depth,
        "queue_bytes": recorder.queue_bytes,
        "spill_bytes": spill.pending_bytes if spill is not None else 0,
        "spill_facts": spill.pending_count if spill is not None else 0,
        "spilled": recorder.spilled,
        "spill_error": recorder.spill_error,
        "dropped": recorder.dropped,
        "server_away": recorder.waiting_for_server,
        "last_seq": recorder.writer.last_seq,
    }


def summary_line(measurement: Mapping[str, Any]) -> dict[str, float | str]:
    """
    The few figures of one market for a line in the log; what is not known is left out.

    Args:
        measurement: as `measured` gives it.

    Returns:
        The market; by stream `…_per_s` (messages a second), `…_event_p50_ms` and `…_pipeline_p50_ms` with p95 and p99;
        queue and spill in facts; counts since the start.
    """
    fields: dict[str, float | None] = {}
    for stream in STREAMS:
        fields[f"{stream}_per_s"] = measurement["receive_rate_per_s"][stream]
        for way in ("event", "pipeline"):
            for share in ("p50_ms", "p95_ms", "p99_ms"):
                fields[f"{stream}_{way}_{share}"] = measurement[f"{way}_latency"][stream][share]
    fields |= {"resets" if key == "resyncs" else key: measurement[key] for key in _IN_A_SUMMARY}
    known = {key: round(value, 3) for key, value in fields.items() if value is not None and math.isfinite(value)}
    return {"market": measurement["market"], **known}


Sources = Mapping[Path, Callable[[], dict[str, Any] | None]]
"""For the folder of each log, what is measured there; None while nothing is."""


async def publish(
    sources: Sources, host: str, port: int | None, every_s: float = EVERY_S, allowed_hosts: Iterable[str] = ()
) -> None:
    """
    Write each log's `metrics.json` every ten seconds, for ever, and answer Prometheus where a port is named.

    A file that cannot be written and a port that cannot be had are warned of and tried again every ten seconds; neither
    ends this.

    Args:
        port: 0 takes any free one; None: no endpoint. allowed_hosts: see `collector.metrics.metrics_server.serve`.
    """

    def text() -> str:
        now = [measure() for measure in sources.values()]
        return text_of([each for each in now if each is not None])

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_write(sources, every_s))
            if port is not None:
                group.create_task(serve(text, host, port, allowed_hosts, every_s))
    except Exception:
        _log.exception("metrics ended; recording goes on without them")
        raise


async def _write(sources: Sources, every_s: float) -> None:
    warnings = {folder: RecurringWarning("metrics not written", "metrics written again") for folder in sources}
    while True:
        for folder, measure in sources.items():
            if (now := measure()) is None:
                continue
            try:
                await asyncio.to_thread(status.write_fields, folder, now, FILE)
            except EventLogError as error:
                warnings[folder].occurs(str(error))
            else:
                warnings[folder].ends(file=str(folder / FILE))
        await asyncio.sleep(every_s)
