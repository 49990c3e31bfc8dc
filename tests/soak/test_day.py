"""
A day on virtual time: the connection breaks every hour, or lives until the venue's 24 hours are over.
"""

import asyncio
import ctypes
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from eventlog.names import LogName
from eventlog.proof.certificate import Certificate, certify
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from market.timestamps import DAY_NS, MINUTE_NS
from runtime.daemon.memory import use_one_allocator
from runtime.open_log import mapper_for
from simulators.exchange.market.parameters import MarketParameters
from tests.soak.drawn import Scenario
from tests.soak.flat_ledger import FlatLedger
from tests.soak.judgement import Verdict, judge
from tests.soak.log_server import Line
from tests.soak.playing import Stage
from tests.soak.scenario import Play
from tests.virtual_time import VirtualClock, VirtualLoop, run_virtually

DAY = 1_704_067_200_000_000_000
BEFORE_S = 600
LASTS_S = 86_400 + 2 * BEFORE_S
HOUR_S = 3600


@dataclass
class Recorded:
    """What came of a day; resident memory in MB, the most of each hour."""

    verdict: Verdict
    certificate: Certificate
    megabytes: list[float]
    lasted_s: float
    ends: list[str]


def a_day(rules: list[dict[str, Any]], speed: float) -> Scenario:
    """Ten minutes of the day before, the day, ten minutes of the day after."""
    return Scenario(
        seed=1, rules=rules, parameters=MarketParameters(trades_per_second=5.0), speed=speed, lasts_s=LASTS_S,
        troubles=(), restart_s=None, away_s=0.0, interval_s=60, snapshot_limit=1000, archive_every_s=300.0,
        archive_keep=5_000, queue_facts=50_000, spill_bytes=8 << 30,
    )  # fmt: skip


def record(scenario: Scenario, folder: Path, connect: Callable[[], Any]) -> Recorded:
    """Record a day, judge it against the exchange's ledger, certify it."""

    async def main(loop: VirtualLoop) -> Recorded:
        clock = VirtualClock(loop, DAY - BEFORE_S * 10**9)
        line = Line(connect, clock, 1)
        play = Play.of(scenario, folder, line, clock)
        ledger = FlatLedger(folder / "diffs", round(LASTS_S * 10 * scenario.speed) + 10_000)
        play.exchange.hub.diffs = ledger
        megabytes: list[float] = []
        watching = asyncio.create_task(_watch(megabytes))
        await play.run()
        watching.cancel()
        name = LogName("events", play.market)
        cold = ColdLog(folder, name)
        certificate = certify(Log(cold, None, mapper_for(play.market).decoders), DAY)
        verdict = judge(play)
        line.close()
        ledger.close()
        hours = [max(megabytes[at : at + 60]) for at in range(BEFORE_S // 60, len(megabytes) - 59, 60)]
        return Recorded(verdict, certificate, hours, loop.time(), [why for _, why in certificate.disconnects])

    return run_virtually(main)


async def _watch(megabytes: list[float]) -> None:
    """Resident memory, every minute, without what allocators keep of memory that was given back."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)
    while True:
        gc.collect()
        trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        await asyncio.sleep(60)


def told(recorded: Recorded) -> str:
    """The day's figures."""
    made, hours = recorded.certificate, recorded.megabytes
    said, ticks, book = recorded.verdict, made.ticks, made.book
    return (
        f"\n{said.trades:,} trades, {said.diffs:,} diffs, {said.lacking_diffs} not to be had; "
        f"{len(recorded.ends)} disconnects; {ticks.present} of {ticks.expected} ticks, "
        f"trades live at {ticks.trades_live}, depth at {ticks.depth_live}; "
        f"{book.audits} audits, {book.unhealthy} unhealthy, {len(book.resets)} resets; "
        f"memory of the second hour {hours[1]:.1f} MB, of the last {hours[-1]:.1f} MB ({hours[-1] / hours[1] - 1:+.1%})"
    )


@pytest.fixture(autouse=True)
def said_nowhere() -> Iterator[None]:
    """A day's lines of the log, kept by whoever captures what is printed, are memory that grows."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.reset_defaults()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_day_with_a_disconnect_every_hour(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clean, abrupt, half-open, too old: every trade is there, every missing diff is named, memory stays flat."""
    kinds = ("disconnect_clean", "disconnect_abrupt", "half_open")
    speed = 0.1
    diffs_an_hour = round(HOUR_S * 10 * speed)
    rules: list[dict[str, Any]] = [
        {"when": {"stream": "diffs", "nth": diffs_an_hour * hour}, "fault": kinds[hour % 3], "times": 1}
        for hour in range(1, 24)
    ]
    rules += [{"when": {"nth": nth}, "fault": "age_limit", "seconds": HOUR_S / 2} for nth in (5, 12, 19)]
    use_one_allocator()
    with Stage() as stage:
        recorded = record(a_day(rules, speed), tmp_path, stage.connect)
    with capsys.disabled():
        sys.stdout.write(told(recorded))
    made, hours = recorded.certificate, recorded.megabytes
    assert recorded.verdict.wrong == []
    assert made.sound
    assert all("update_ids" in reason for reason in made.reasons), made.reasons
    assert (made.day, made.unproven_trades) == ("2024-01-01", [])
    assert len(recorded.ends) >= 24
    assert made.ticks.present == made.ticks.expected == DAY_NS // MINUTE_NS
    assert {gap.what for gap in made.gaps} == {"update_ids"}
    assert len(hours) == 24
    assert hours[-1] <= 1.05 * hours[1]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_day_on_one_connection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing happens but that the connection grows too old: another takes over before, and not a diff is missing."""
    use_one_allocator()
    with Stage() as stage:
        recorded = record(a_day([], 0.02), tmp_path, stage.connect)
    with capsys.disabled():
        sys.stdout.write(told(recorded))
    made = recorded.certificate
    assert recorded.verdict.wrong == []
    assert (made.complete, made.reasons, made.gaps) == (True, [], [])
    assert (made.unproven_trades, recorded.verdict.lacking_diffs) == ([], 0)
    assert recorded.ends == ["planned: too old"]
