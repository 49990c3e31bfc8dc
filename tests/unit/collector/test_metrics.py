"""What is measured, against numbers counted by hand, and how Prometheus is told."""

import asyncio
import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from collector.metrics import Meter, measured, publish
from collector.prometheus import text_of
from collector.recorder import Recorder
from eventlog.clock import ManualClock
from eventlog.facts import BOOK_RESET, DIFF, QUARANTINE, BookReset, Fact
from eventlog.writer import Lost
from exchanges.binance.raw_messages import event_time_ns
from exchanges.port import Arrival
from market.timestamps import SECOND_NS
from tests.builders import T0, a_diff, a_rest_trade, a_trade
from tests.integration.daemons import free_port

MS = 1_000_000


class Shelf:
    """A writer that keeps nothing but the number."""

    last_seq = 0

    def append(self, facts: Sequence[Fact]) -> Lost | None:
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
    meter.arrived(
        [
            Arrival("connected", T0, None),
            Arrival("agg_trade", T0 + 20_000, a_trade(1, at_ns=T0)),
            Arrival("agg_trade", T0 + 40_000, a_trade(2, at_ns=T0)),
            Arrival("diff", T0 - MS, Fact(DIFF, T0 - MS, a_diff(at_ns=T0).data)),
            Arrival("agg_trade", T0 + 40_000, a_rest_trade(3)),
        ]
    )
    clock.advance(2 * SECOND_NS)
    said = meter.summary()
    assert said["event_latency"]["agg_trade"] == {"count": 2, "p50_ms": 0.02, "p95_ms": 0.04, "p99_ms": 0.04}
    assert said["event_latency"]["diff"] == {"count": 1, "p50_ms": -0.993, "p95_ms": -0.993, "p99_ms": -0.993}
    assert said["receive_rate_per_s"] == {"agg_trade": 1.0, "diff": 0.5}
    assert said["received"] == {"agg_trade": 3, "diff": 1, "quarantine": 0}
    assert (said["connects"], said["disconnects"], said["reconnects"]) == (1, 0, 0)


def test_pipeline_latency_is_stored_less_received() -> None:
    """Facts that came 100, 60 and 10 µs ago are stored now: 10, 60, 100 µs, and the batch spans 90."""
    meter, clock = a_meter()
    clock.advance(100_000)
    meter.stored([a_trade(1, recv_ns=T0), a_trade(2, recv_ns=T0 + 40_000), a_trade(3, recv_ns=T0 + 90_000)])
    said = meter.summary()
    assert said["pipeline_latency"]["agg_trade"] == {"count": 3, "p50_ms": 0.06, "p95_ms": 0.1, "p99_ms": 0.1}
    assert said["pipeline_latency"]["diff"]["count"] == 0
    assert said["batch_span"] == {"count": 1, "p50_ms": 0.09, "p95_ms": 0.09, "p99_ms": 0.09}


def test_waits_for_room_are_added_up() -> None:
    """Two waits: their number, sum and longest."""
    meter, _ = a_meter()
    meter.waited(0.25)
    meter.waited(1.5)
    said = meter.summary()
    assert (said["queue_waits"], said["queue_waited_s"], said["queue_longest_wait_s"]) == (2, 1.75, 1.5)


def test_the_file_and_the_endpoint_say_the_same(tmp_path: Path) -> None:
    """Two trades, a reset and a quarantine go through a recorder: `metrics.json` and the scraped text agree."""
    meter, clock = a_meter()
    reset = BookReset("diff_missing", 5, 6).fact(BOOK_RESET, T0)
    facts = [a_trade(1, recv_ns=T0), a_trade(2, recv_ns=T0), reset, Fact(QUARANTINE, T0, b"{}")]

    async def nobody(_: Lost) -> None:
        return None

    async def main() -> str:
        recorder = Recorder(Shelf(), lambda: None, nobody, listener=meter)  # type: ignore[arg-type]
        running = asyncio.create_task(recorder.run())
        await recorder.put(facts)
        await recorder.stored()
        port = await asyncio.get_running_loop().run_in_executor(None, free_port)
        source = {tmp_path: lambda: measured("binance:BTCFDUSD", meter, recorder, clock)}
        publishing = asyncio.create_task(publish(source, "127.0.0.1", port, every_s=0.01))
        text = ""
        async with asyncio.timeout(10):
            while not text or not (tmp_path / "metrics.json").exists():
                await asyncio.sleep(0.02)
                text = await asyncio.get_running_loop().run_in_executor(None, scraped, port)
        for task in (publishing, running):
            task.cancel()
        await asyncio.gather(publishing, running, return_exceptions=True)
        recorder.close()
        return text

    text = asyncio.run(main())
    said = json.loads((tmp_path / "metrics.json").read_text())
    assert (said["resyncs"], said["quarantined"], said["dropped"], said["last_seq"]) == (1, 1, 0, 4)
    assert said["stored"] == {"agg_trade": 2, "book_reset": 1, "quarantine": 1}
    assert 'liquidity_collector_stored_total{market="binance:BTCFDUSD",kind="agg_trade"} 2\n' in text
    assert 'liquidity_collector_last_seq_total{market="binance:BTCFDUSD"} 4\n' in text
    assert 'liquidity_collector_dropped{market="binance:BTCFDUSD"} 0\n' in text
    assert text == text_of([said])


def test_every_metric_has_a_type_and_stands_together() -> None:
    """As the text format asks: HELP and TYPE once, before all lines of that name; two markets under one heading."""
    meter, clock = a_meter()

    async def nobody(_: Lost) -> None:
        return None

    recorder = Recorder(Shelf(), lambda: None, nobody)  # type: ignore[arg-type]
    said = [measured(market, meter, recorder, clock) for market in ("binance:A", 'binance:"B\\')]
    recorder.close()
    lines = text_of(said).splitlines()
    order: list[str] = []
    for line in lines:
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0]
        if not order or order[-1] != name:
            order.append(name)
    assert len(order) == len(set(order))
    assert sum(line.startswith("# TYPE") for line in lines) == len(order)
    assert 'liquidity_collector_queue_depth{market="binance:\\"B\\\\"} 0' in lines


def scraped(port: int) -> str:
    """What Prometheus would get, nothing while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return str(reply.read().decode())
    except OSError:
        return ""
