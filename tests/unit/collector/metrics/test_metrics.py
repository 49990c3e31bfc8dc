"""What is measured, against numbers counted by hand, and how Prometheus is told."""

import asyncio
import json
import socket
import threading
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from collector.fact_queue import FactQueue
from collector.metrics.metrics import Meter, measure_market, publish, summary_line
from collector.metrics.prometheus import to_text
from eventlog.clock import ManualClock
from eventlog.facts.capture import BOOK_RESET, QUARANTINE, BookReset
from eventlog.facts.entry import Fact
from eventlog.facts.market import DIFF
from eventlog.store.writer import LostRange
from exchanges.binance.raw_messages import event_time_ns
from exchanges.port import Arrival
from market.timestamps import SECOND_NS
from tests.builders import T0, a_diff, a_rest_trade, a_trade
from tests.integration.daemons import free_port

MS = 1_000_000


class Shelf:
    """A writer that keeps nothing but the number."""

    last_seq = 0

    def append(self, facts: Sequence[Fact]) -> LostRange | None:
        """Count."""
        self.last_seq += len(facts)
        return None


def a_meter() -> tuple[Meter, ManualClock]:
    """A meter that starts at T0."""
    clock = ManualClock(T0)
    return Meter(clock, event_time_ns), clock


def test_event_latency_is_receive_time_less_event_time() -> None:
    """Trades 20 and 40 µs late and a diff that seems 1 ms early; a REST row has no event time and none is counted."""
    meter, clock = a_meter()
    meter.on_arrivals(
        [
            Arrival("connected", T0, None),
            Arrival("trade", T0 + 20_000, a_trade(1, at_ns=T0)),
            Arrival("trade", T0 + 40_000, a_trade(2, at_ns=T0)),
            Arrival("diff", T0 - MS, Fact(DIFF, T0 - MS, a_diff(at_ns=T0).data)),
            Arrival("trade", T0 + 40_000, a_rest_trade(3)),
        ]
    )
    clock.advance(2 * SECOND_NS)
    figures = meter.summary()
    assert figures["event_latency"]["agg_trade"] == {"count": 2, "p50_ms": 0.02, "p95_ms": 0.04, "p99_ms": 0.04}
    assert figures["event_latency"]["diff"] == {"count": 1, "p50_ms": -0.993, "p95_ms": -0.993, "p99_ms": -0.993}
    assert figures["receive_rate_per_s"] == {"agg_trade": 1.0, "diff": 0.5}
    assert figures["received"] == {"agg_trade": 3, "diff": 1, "quarantine": 0}
    assert (figures["connects"], figures["disconnects"], figures["reconnects"]) == (1, 0, 0)


def test_pipeline_latency_is_stored_less_received() -> None:
    """Facts that came 100, 60 and 10 µs ago are stored now: 10, 60, 100 µs, and the batch spans 90."""
    meter, clock = a_meter()
    clock.advance(100_000)
    meter.on_stored([a_trade(1, recv_ns=T0), a_trade(2, recv_ns=T0 + 40_000), a_trade(3, recv_ns=T0 + 90_000)])
    figures = meter.summary()
    assert figures["pipeline_latency"]["agg_trade"] == {"count": 3, "p50_ms": 0.06, "p95_ms": 0.1, "p99_ms": 0.1}
    assert figures["pipeline_latency"]["diff"]["count"] == 0
    assert figures["batch_time_span"] == {"count": 1, "p50_ms": 0.09, "p95_ms": 0.09, "p99_ms": 0.09}


def a_stream_trade(number: int, recv_ns: int) -> Arrival:
    """A live trade."""
    return Arrival("trade", recv_ns, a_trade(number, at_ns=T0, recv_ns=recv_ns), number)


def a_stream_diff(first: int, last: int, recv_ns: int = T0) -> Arrival:
    """A live book update of ids first to last."""
    return Arrival("diff", recv_ns, a_diff(first, last, at_ns=recv_ns), last, first)


def facts_of(arrivals: Sequence[Arrival]) -> list[Fact]:
    """What they brought."""
    return [arrival.fact for arrival in arrivals if arrival.fact is not None]


def test_what_was_asked_for_is_in_no_latency() -> None:
    """Two live trades and a diff, and a page of 1,000 REST rows an hour old: the page is counted, and timed nowhere."""
    meter, clock = a_meter()
    arrivals = [a_stream_trade(5_001, T0), a_stream_trade(5_002, T0 + 1), a_stream_diff(1, 1, T0 + 2)]
    page = [a_rest_trade(n, at_ns=T0 - 3600 * SECOND_NS) for n in range(4_001, 5_001)]
    meter.on_arrivals(arrivals)
    clock.advance(MS)
    meter.on_stored([*page, *facts_of(arrivals)])
    summary = meter.summary()
    assert summary["fetched"] == {"agg_trade": 1000}
    assert summary["received"] == {"agg_trade": 2, "diff": 1, "quarantine": 0}
    assert summary["event_latency"]["agg_trade"]["count"] == 2
    assert summary["pipeline_latency"]["agg_trade"]["count"] == 2
    assert summary["pipeline_latency"]["agg_trade"]["p99_ms"] < 1.1
    assert summary["batch_time_span"]["p99_ms"] == 0.0


def test_a_live_trade_is_told_from_a_fetched_one_without_being_seen_to_arrive() -> None:
    """Trades whose arrival the meter did not see: a stream message has an event time, a REST row has none."""
    meter, clock = a_meter()
    clock.advance(MS)
    odd = Fact("agg_trade", T0, b'{ "a":1,"p":"1","q":"1","f":1,"l":1,"T":1, "m":true, "E" : 1704067200000, "s":"X"}')
    rest = Fact("agg_trade", T0, b'{"E2":5,"note":"\\"E\\":1","a":1,"p":"1","q":"1","f":1,"l":1,"T":1,"m":true}')
    meter.on_stored([a_trade(1, recv_ns=T0), odd, rest, a_rest_trade(2)])
    summary = meter.summary()
    assert summary["fetched"] == {"agg_trade": 2}
    assert summary["pipeline_latency"]["agg_trade"]["count"] == 2


def test_a_stream_without_event_times_is_still_a_stream() -> None:
    """Another venue sends no event times: its live trades have a pipeline latency and count as fetched nowhere."""
    clock = ManualClock(T0)
    meter = Meter(clock, lambda _: None)
    arrivals = [a_stream_trade(n, T0 + n) for n in range(10)]
    meter.on_arrivals(arrivals)
    clock.advance(MS)
    meter.on_stored(facts_of(arrivals))
    summary = meter.summary()
    assert (summary["fetched"], summary["pipeline_latency"]["agg_trade"]["count"]) == ({"agg_trade": 0}, 10)
    assert summary["event_latency"]["agg_trade"]["count"] == 0


def test_trades_that_came_twice_do_not_pile_up() -> None:
    """100,000 that are never stored: memory holds some thousand of them, and the newest are still known."""
    meter = Meter(ManualClock(T0), lambda _: None)
    for start in range(0, 100_000, 100):
        meter.on_arrivals([a_stream_trade(n, T0 + n) for n in range(start, start + 100)])
    assert len(meter._in_flight) <= 4_000
    meter.on_stored([a_trade(99_999, recv_ns=T0 + 99_999)])
    assert meter.summary()["fetched"] == {"agg_trade": 0}


def test_batch_span_is_how_many_update_ids_a_diff_has() -> None:
    """Of ids 11 to 12, 13 to 13 and 14 to 20: 2, 1 and 7, 3.333 on average; five minutes later there is none."""
    meter, clock = a_meter()
    meter.on_arrivals([a_stream_diff(11, 12), a_stream_trade(1, T0), a_stream_diff(13, 13)])
    meter.on_arrivals([a_stream_diff(14, 20)])
    assert meter.summary()["batch_span"] == {"avg": 3.333, "max": 7, "count": 3}
    clock.advance(310 * SECOND_NS)
    assert meter.summary()["batch_span"] == {"avg": None, "max": None, "count": 0}


def test_the_deepest_queue_of_five_minutes() -> None:
    """Depths 3, 9 and 1: 9, for five minutes after it was counted; then what is there now."""
    meter, clock = a_meter()
    assert meter.summary()["queue_max_depth"] == 0
    for depth in (3, 9, 1):
        meter.on_put(depth)
    meter.on_stored([])
    assert meter.summary()["queue_max_depth"] == 9
    clock.advance(310 * SECOND_NS)
    meter.on_put(1)
    assert meter.summary()["queue_max_depth"] == 1


def test_waits_for_room_are_added_up() -> None:
    """Two waits: their number, sum and longest."""
    meter, _ = a_meter()
    meter.on_wait(0.25)
    meter.on_wait(1.5)
    figures = meter.summary()
    assert (figures["queue_waits"], figures["queue_waited_s"], figures["queue_longest_wait_s"]) == (2, 1.75, 1.5)


def test_the_file_and_the_endpoint_say_the_same(tmp_path: Path) -> None:
    """Two trades, a reset and a quarantine go through a recorder: `metrics.json` and the scraped text agree."""
    meter, clock = a_meter()
    reset = BookReset("diff_missing", 5, 6).fact(BOOK_RESET, T0)
    facts = [a_trade(1, recv_ns=T0), a_trade(2, recv_ns=T0), reset, Fact(QUARANTINE, T0, b"{}")]

    async def nobody(_: LostRange) -> None:
        return None

    async def main() -> str:
        recorder = FactQueue(Shelf(), lambda: None, nobody, listener=meter)  # type: ignore[arg-type]
        running = asyncio.create_task(recorder.run())
        await recorder.put(facts)
        await recorder.wait_stored()
        port = await asyncio.get_running_loop().run_in_executor(None, free_port)
        source = {tmp_path: lambda: measure_market("binance:BTCFDUSD", meter, recorder, clock)}
        publishing = asyncio.create_task(publish(source, "127.0.0.1", port, every_s=0.01))
        text = ""
        async with asyncio.timeout(10):
            while not text or not (tmp_path / "metrics.json").exists():
                await asyncio.sleep(0.02)
                text = await asyncio.get_running_loop().run_in_executor(None, scrape, port)
        for task in (publishing, running):
            task.cancel()
        await asyncio.gather(publishing, running, return_exceptions=True)
        recorder.close()
        return text

    text = asyncio.run(main())
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert (figures["resyncs"], figures["quarantined"], figures["dropped"], figures["last_seq"]) == (1, 1, 0, 4)
    assert figures["stored"] == {"agg_trade": 2, "book_reset": 1, "quarantine": 1}
    assert 'liquidity_collector_stored_total{market="binance:BTCFDUSD",kind="agg_trade"} 2\n' in text
    assert 'liquidity_collector_last_seq_total{market="binance:BTCFDUSD"} 4\n' in text
    assert 'liquidity_collector_dropped{market="binance:BTCFDUSD"} 0\n' in text
    assert text == to_text([figures])
    assert (figures["queue_depth"], figures["cache_size"], figures["queue_max_depth"], figures["max_depth"]) == (
        0,
        0,
        4,
        4,
    )


class StuckShelf(Shelf):
    """A writer that waits until it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()

    def append(self, facts: Sequence[Fact]) -> LostRange | None:
        """Wait, then count."""
        self.let.wait(10)
        return super().append(facts)


def test_depth_and_cache_are_seen_while_nothing_is_stored() -> None:
    """Five facts in hand and three behind them: eight in memory; after all are stored the maximum is still known."""
    meter, clock = a_meter()
    shelf = StuckShelf()

    async def nobody(_: LostRange) -> None:
        return None

    async def main() -> tuple[dict[str, Any], dict[str, Any]]:
        recorder = FactQueue(shelf, lambda: None, nobody, listener=meter)  # type: ignore[arg-type]
        running = asyncio.create_task(recorder.run())
        await recorder.put([a_trade(n, recv_ns=T0 + n) for n in range(5)])
        async with asyncio.timeout(10):
            while not recorder._in_hand:
                await asyncio.sleep(0.001)
        await recorder.put([a_trade(n, recv_ns=T0 + n) for n in range(5, 8)])
        during = measure_market("binance:BTCFDUSD", meter, recorder, clock)
        shelf.let.set()
        await recorder.wait_stored()
        after = measure_market("binance:BTCFDUSD", meter, recorder, clock)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        recorder.close()
        return during, after

    keys = ("queue_depth", "cache_size", "queue_max_depth", "max_depth")
    during, after = asyncio.run(main())
    assert [during[key] for key in keys] == [8, 8, 8, 8]
    assert [after[key] for key in keys] == [0, 0, 8, 8]


def a_measurement() -> dict[str, Any]:
    """What is measured of a market that has brought one trade."""
    meter, clock = a_meter()
    meter.on_arrivals([a_stream_trade(1, T0 + MS)])
    clock.advance(2 * MS)
    meter.on_stored([a_trade(1, recv_ns=T0 + MS)])

    async def nobody(_: LostRange) -> None:
        return None

    recorder = FactQueue(Shelf(), lambda: None, nobody, listener=meter)  # type: ignore[arg-type]
    recorder.counts = {BOOK_RESET: 2, QUARANTINE: 3}
    summary = measure_market("binance:BTCFDUSD", meter, recorder, clock)
    recorder.close()
    return summary


def test_a_summary_line_is_flat_and_leaves_out_what_is_not_known() -> None:
    """One trade, no diff: its rate and percentiles, no latency of diffs, and the counts."""
    assert summary_line(a_measurement()) == {
        "market": "binance:BTCFDUSD",
        "agg_trade_per_s": 1.0,
        "agg_trade_event_p50_ms": 1.007,
        "agg_trade_event_p95_ms": 1.007,
        "agg_trade_event_p99_ms": 1.007,
        "agg_trade_pipeline_p50_ms": 1.007,
        "agg_trade_pipeline_p95_ms": 1.007,
        "agg_trade_pipeline_p99_ms": 1.007,
        "diff_per_s": 0.0,
        "queue_depth": 0,
        "queue_max_depth": 0,
        "spill_facts": 0,
        "quarantined": 3,
        "reconnects": 0,
        "resets": 2,
        "dropped": 0,
    }


def test_a_summary_line_is_rounded_and_finite() -> None:
    """Long fractions end after three digits; what is no number has no place in a log line."""
    measurement = a_measurement()
    measurement["receive_rate_per_s"] = {"agg_trade": 1 / 3, "diff": float("nan")}
    measurement["queue_depth"] = float("inf")
    line = summary_line(measurement)
    assert line["agg_trade_per_s"] == 0.333
    assert {"diff_per_s", "queue_depth"}.isdisjoint(line)


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


def test_a_file_that_cannot_be_written_is_warned_of_once_and_written_later(tmp_path: Path) -> None:
    """The folder is missing for a hundred rounds: one warning; then it is there, and the other market never waited."""
    absent, present, rounds = tmp_path / "absent", tmp_path / "present", [0]
    present.mkdir()

    def measure() -> dict[str, Any]:
        rounds[0] += 1
        return {"round": rounds[0]}

    async def main() -> None:
        publishing = asyncio.create_task(publish({absent: measure, present: measure}, "", None, every_s=0))
        await _until(lambda: rounds[0] >= 200)
        assert not publishing.done()
        assert (present / "metrics.json").exists()
        absent.mkdir()
        await _until((absent / "metrics.json").exists)
        before = rounds[0]
        await _until(lambda: rounds[0] > before + 2)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)

    with structlog.testing.capture_logs() as lines:
        asyncio.run(main())
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("metrics not written", "warning"),
        ("metrics written again", "info"),
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_tried_until_it_is_free(tmp_path: Path, host: str) -> None:
    """Somebody listens there: files are written meanwhile; he leaves, and Prometheus is answered."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as port_socket:
            port = port_socket.getsockname()[1]
            publishing = asyncio.create_task(publish({tmp_path: a_measurement}, host, port, every_s=0.01))
            await _until((tmp_path / "metrics.json").exists)
            await _until(lambda: any(line["event"] == "no metrics endpoint, trying again" for line in lines))
            assert not publishing.done()
        text = ""
        async with asyncio.timeout(10):
            while not text:
                text = await loop.run_in_executor(None, scrape, port)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        return text

    with structlog.testing.capture_logs() as lines:
        text = asyncio.run(main())
    assert "liquidity_collector_quarantined_total" in text
    warnings = [line for line in lines if line["log_level"] == "warning"]
    assert [(line["reason"], line["host"]) for line in warnings] == [("Address already in use", host)]


@pytest.mark.parametrize(
    ("host", "port"),
    [("192.0.2.1", 0), ("no.such.host.invalid", 0), ("a" * 300, 0), ("a..b", 0), ("\0", 0), ("127.0.0.1", 70_000)],
)
def test_an_address_that_is_none_costs_the_endpoint_alone(tmp_path: Path, host: str, port: int) -> None:
    """Not ours, no name, no port: one warning however often it is tried, and the file goes on."""

    async def main() -> None:
        publishing = asyncio.create_task(publish({tmp_path: a_measurement}, host, port, every_s=0.01))
        await _until(lambda: bool(lines))
        (tmp_path / "metrics.json").unlink(missing_ok=True)
        await _until((tmp_path / "metrics.json").exists)
        assert not publishing.done()
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)

    with structlog.testing.capture_logs() as lines:
        asyncio.run(main())
    assert {line["event"] for line in lines} == {"no metrics endpoint, trying again"}


def test_every_metric_has_a_type_and_stands_together() -> None:
    """As the text format asks: HELP and TYPE once, before all lines of that name; two markets under one heading."""
    meter, clock = a_meter()

    async def nobody(_: LostRange) -> None:
        return None

    recorder = FactQueue(Shelf(), lambda: None, nobody)  # type: ignore[arg-type]
    figures = [measure_market(market, meter, recorder, clock) for market in ("binance:A", 'binance:"B\\')]
    recorder.close()
    lines = to_text(figures).splitlines()
    order: list[str] = []
    for line in lines:
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0]
        if not order or order[-1] != name:
            order.append(name)
    assert len(order) == len(set(order))
    assert sum(line.startswith("# TYPE") for line in lines) == len(order)
    assert 'liquidity_collector_queue_depth{market="binance:\\"B\\\\"} 0' in lines


def scrape(port: int) -> str:
    """What Prometheus would get, empty while there is no answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return str(reply.read().decode())
    except OSError:
        return ""
