"""
Metrics of a recorder: latencies, rates, queues and losses, in `metrics.json` beside its status and for Prometheus.

Event latency is our receive time less the exchange's event time, pipeline latency the time a fact was in the log less
its receive time (including a trade's wait for a missing one); both by stream, over the last five minutes, and only of
what came over the stream: trades fetched over REST are counted as `fetched`. `batch_span` is the number of update ids
of one diff message (u − U + 1), `batch_time_span` the time from the first to the last receive time in a stored batch,
both over the last five minutes as well.
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
from collector.metrics.prometheus import to_text
from eventlog.clock import Clock
from eventlog.errors import EventLogError
from eventlog.facts.capture import BOOK_RESET, QUARANTINE
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE, DIFF
from exchanges.port import Arrival
from market.timestamps import SECOND_NS, iso
from runtime.daemon import status
from runtime.daemon.recurring_warning import RecurringWarning

EVERY_S = 10.0  # how often the figures are worked out anew
FILE = "metrics.json"
STREAMS = (AGG_TRADE, DIFF)

_MAX_IN_FLIGHT = 4_000  # bounds memory where nothing is ever written
_SUMMARY_FIELDS = ("queue_depth", "queue_max_depth", "spill_facts", "quarantined", "reconnects", "resyncs", "dropped")

_log = structlog.get_logger()


class Meter:
    """
    Measures one market's way from the feed into the log.

    Args:
        clock: the time, the same that stamps arrivals.
        event_time_ns: when the exchange sent a message, None where it does not say, as in a REST row.

    Attributes:
        receive_counts: messages by stream, and unreadable ones. fetch_counts: trades fetched over REST and stored.
        connect_count, disconnect_count: connections opened and ended.
        wait_count: how often reading waited for room in the queue.
        waited_s, longest_wait_s: seconds of these waits together, and of the longest.
    """

    def __init__(self, clock: Clock, event_time_ns: Callable[[bytes], int | None]) -> None:
        self._clock = clock
        self._event_time_ns = event_time_ns
        self._start_ns = clock.now_ns()
        self._event_latency = {stream: RollingLatency() for stream in STREAMS}
        self._pipeline_latency = {stream: RollingLatency() for stream in STREAMS}
        self._time_span = RollingLatency()
        self._span = RollingMean()
        self._depth = RollingMean()
        self._max_depth = 0  # since it was counted last
        self._in_flight: dict[int, bool] = {}  # receive times of streamed trades that are not stored, oldest first
        self.receive_counts = dict.fromkeys((*STREAMS, QUARANTINE), 0)
        self.fetch_counts = {AGG_TRADE: 0}
        self.connect_count = 0
        self.disconnect_count = 0
        self.wait_count = 0
        self.waited_s = 0.0
        self.longest_wait_s = 0.0

    def on_arrivals(self, arrivals: Sequence[Arrival]) -> None:
        """Measure a batch that the feed brought."""
        latencies: dict[str, list[int]] = {AGG_TRADE: [], DIFF: []}
        spans: list[int] = []
        for arrival in arrivals:
            what, fact = arrival.what, arrival.fact
            if fact is None:
                self.connect_count += what == "connected"
                self.disconnect_count += what == "disconnected"
                continue
            self.receive_counts[fact.kind] += 1
            if what == "trade":
                self._in_flight[fact.recv_ns] = True
            elif what == "diff":
                spans.append(arrival.last_id - arrival.first_id + 1)
            else:
                continue
            event_ns = self._event_time_ns(fact.data)
            if event_ns is not None:
                latencies[fact.kind].append(arrival.recv_ns - event_ns)
        now = self._clock.now_ns()
        for stream, durations in latencies.items():
            self._event_latency[stream].add(durations, now)
        self._span.add(spans, now)
        if len(self._in_flight) > _MAX_IN_FLIGHT:
            self._forget_oldest()

    def on_stored(self, facts: Sequence[Fact]) -> None:
        """Measure a batch that is in the log now."""
        now = self._clock.now_ns()
        times: dict[str, list[int]] = {AGG_TRADE: [], DIFF: []}
        was_streamed = self._in_flight.pop
        for fact in facts:
            if fact.kind == AGG_TRADE:
                if was_streamed(fact.recv_ns, False) or self._is_dated(fact):
                    times[AGG_TRADE].append(fact.recv_ns)
                else:
                    self.fetch_counts[AGG_TRADE] += 1
            elif fact.kind == DIFF:
                times[DIFF].append(fact.recv_ns)
        all_ns = times[AGG_TRADE] + times[DIFF]
        if all_ns:
            self._time_span.add([max(all_ns) - min(all_ns)], now)
        for stream, recv_ns in times.items():
            if recv_ns:
                self._pipeline_latency[stream].add([now - time_ns for time_ns in recv_ns], now)
        self._count_depth(now)

    def on_wait(self, seconds: float) -> None:
        """Count a wait of the feed's reader for room in the queue."""
        self.wait_count += 1
        self.waited_s += seconds
        self.longest_wait_s = max(self.longest_wait_s, seconds)

    def on_put(self, depth: int) -> None:
        """Note that `depth` facts are in memory now."""
        if depth > self._max_depth:
            self._max_depth = depth

    def summary(self) -> dict[str, Any]:
        """Latencies in ms and messages per second over the last five minutes, and counts since the start."""
        now = self._clock.now_ns()
        self._count_depth(now)
        elapsed_ns = now - self._start_ns
        window_ns = elapsed_ns if 0 <= elapsed_ns <= WINDOW_NS else WINDOW_NS  # a clock may be set back
        seconds = max(1.0, window_ns / SECOND_NS)
        event = {stream: latency.summary(now) for stream, latency in self._event_latency.items()}
        return {
            "window_s": WINDOW_NS // SECOND_NS,
            "event_latency": event,
            "pipeline_latency": {stream: latency.summary(now) for stream, latency in self._pipeline_latency.items()},
            "batch_span": self._span.summary(now),
            "batch_time_span": self._time_span.summary(now),
            "receive_rate_per_s": {
                stream: round((figures["count"] or 0) / seconds, 3) for stream, figures in event.items()
            },
            "received": dict(self.receive_counts),
            "fetched": dict(self.fetch_counts),
            "connects": self.connect_count,
            "disconnects": self.disconnect_count,
            "reconnects": max(0, self.connect_count - 1),
            "queue_max_depth": self._depth.summary(now)["max"] or 0,
            "queue_waits": self.wait_count,
            "queue_waited_s": round(self.waited_s, 3),
            "queue_longest_wait_s": round(self.longest_wait_s, 3),
        }

    def _is_dated(self, trade: Fact) -> bool:
        """Whether a trade whose arrival was dropped here came over the stream: only REST rows have no event time."""
        return self._event_time_ns(trade.data) is not None

    def _forget_oldest(self) -> None:
        """Bound the memory of arrivals: a trade that came twice is stored only once."""
        for recv_ns in list(islice(self._in_flight, _MAX_IN_FLIGHT // 2)):
            del self._in_flight[recv_ns]

    def _count_depth(self, now_ns: int) -> None:
        if self._max_depth:
            self._depth.add([self._max_depth], now_ns)
            self._max_depth = 0


def measure_market(market: str, meter: Meter, queue: FactQueue, clock: Clock) -> dict[str, Any]:
    """
    Measure everything that `metrics.json` has of one market.

    `queue_depth` counts the facts in memory, `cache_size` also those read back from the file for the current batch;
    `queue_max_depth`, or `max_depth`, is the largest queue depth of the last five minutes.

    Args:
        market: its name, e.g. binance:BTCFDUSD.
        meter: of this market.
        queue: of this market, notifying the meter.
        clock: for `written_at`.
    """
    spill = queue.spill
    meter.on_put(queue.queue_depth)
    summary = meter.summary()
    return {
        "market": market,
        "written_at": iso(clock.now_ns()),
        **summary,
        "max_depth": summary["queue_max_depth"],
        "cache_size": queue.cache_size,
        "resyncs": queue.counts.get(BOOK_RESET, 0),
        "quarantined": queue.counts.get(QUARANTINE, 0),
        "stored": dict(sorted(queue.counts.items())),
        "queue_depth": queue.queue_depth,
        "queue_bytes": queue.queue_bytes,
        "spill_bytes": spill.pending_bytes if spill is not None else 0,
        "spill_facts": spill.pending_count if spill is not None else 0,
        "spilled": queue.spill_count,
        "spill_error": queue.spill_error,
        "dropped": queue.drop_count,
        "server_away": queue.waiting_for_server,
        "last_seq": queue.writer.last_seq,
    }


def summary_line(measurement: Mapping[str, Any]) -> dict[str, float | str]:
    """
    Select the figures of one market for a line in the program's log; unknown ones are left out.

    Args:
        measurement: as `measure_market` returns it.

    Returns:
        The market; by stream `…_per_s` (messages per second), `…_event_p50_ms` and `…_pipeline_p50_ms` with p95 and
        p99; queue and spill in facts; counts since the start.
    """
    fields: dict[str, float | None] = {}
    for stream in STREAMS:
        fields[f"{stream}_per_s"] = measurement["receive_rate_per_s"][stream]
        for latency in ("event", "pipeline"):
            for share in ("p50_ms", "p95_ms", "p99_ms"):
                fields[f"{stream}_{latency}_{share}"] = measurement[f"{latency}_latency"][stream][share]
    fields |= {"resets" if key == "resyncs" else key: measurement[key] for key in _SUMMARY_FIELDS}
    finite = {key: round(value, 3) for key, value in fields.items() if value is not None and math.isfinite(value)}
    return {"market": measurement["market"], **finite}


Sources = Mapping[Path, Callable[[], dict[str, Any] | None]]
"""By folder of a log, a function that measures its market; it returns None while nothing is recorded."""


async def publish(
    sources: Sources, host: str, port: int | None, every_s: float = EVERY_S, allowed_hosts: Iterable[str] = ()
) -> None:
    """
    Write each log's `metrics.json` periodically until cancelled, and answer Prometheus where a port is given.

    A file that cannot be written or a port that is not available is warned of and tried again after `every_s`.

    Args:
        sources: the markets to measure.
        host: that the endpoint listens on.
        port: of the endpoint; 0 takes any free one, None means no endpoint.
        every_s: pause between two writes, and between two attempts to listen.
        allowed_hosts: see `collector.metrics.metrics_server.serve`.
    """

    def text() -> str:
        measurements = [measure() for measure in sources.values()]
        return to_text([figures for figures in measurements if figures is not None])

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
            if (measurement := measure()) is None:
                continue
            try:
                await asyncio.to_thread(status.write_fields, folder, measurement, FILE)
            except EventLogError as error:
                warnings[folder].occurs(str(error))
            else:
                warnings[folder].ends(file=str(folder / FILE))
        await asyncio.sleep(every_s)
