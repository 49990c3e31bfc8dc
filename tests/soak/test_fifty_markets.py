"""Fifty markets in one collector, some 200 messages a second each, for three minutes: nothing lost, and the cost."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from collector.sequencing.log_tail import read_tail
from eventlog.facts.capture import GAP
from eventlog.facts.market import AGG_TRADE, DIFF
from market.instrument import Market
from runtime.open_log import open_log
from tests.integration.daemons import Stage, wait_for

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

SYMBOLS = tuple(f"{a}{b}XFDUSD" for a, b in islice(product("ABCDE", "KLMNOPQRST"), 50))
SECONDS = 180
QUEUE_FACTS = 50_000
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder with an exchange that trades fifty symbols: 190 trades and 10 book updates a second each."""
    stage = Stage(
        tmp_path, symbols=SYMBOLS, weight_per_minute=6000, views=False, interval_s=120, archive_s=60,
        history_hours=0.05, trades_per_second=190.0, backpressure={"queue_facts": QUEUE_FACTS},
    )  # fmt: skip
    stage.exchange()
    yield stage
    stage.end()


def test_fifty_markets_for_three_minutes(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Every log equals its symbol's ledger; no gap, no reconnect; the queue stays within its limit."""
    collector = stage.collector()
    wait_for(lambda: len(measured(stage)) == len(SYMBOLS), 60, 0.5)
    pid, began, before = collector.popen.pid, time.monotonic(), received(stage)
    used = cpu_s(pid)
    queue = 0
    while time.monotonic() - began < SECONDS:
        time.sleep(5)
        queue = max(queue, sum(each["queue_depth"] for each in measured(stage)))
    seconds = time.monotonic() - began
    used, rate = (cpu_s(pid) - used) / seconds, (received(stage) - before) / seconds
    memory, found = peak_mib(pid), measured(stage)
    traded = {symbol: stage.state(symbol)["last_agg_id"] for symbol in SYMBOLS}
    wait_for(lambda: all(last_trade(stage, symbol) >= agg_id for symbol, agg_id in traded.items()), 120, 1)
    assert collector.interrupt(60.0) == 0, collector.text()
    p99 = sorted(each["pipeline_latency"][AGG_TRADE]["p99_ms"] for each in found)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{rate:,.0f} messages/s for {seconds:.0f} s: {used:.2f} CPUs, {memory} MiB at most, "
            f"receive to stream p99 {median(p99):.0f} ms (worst market {p99[-1]:.0f}), "
            f"at most {queue:,} facts queued, {sum(each['spilled'] for each in found):,} spilled\n"
        )
    assert rate > 150 * len(SYMBOLS)
    assert queue <= QUEUE_FACTS
    assert sum(each["dropped"] for each in found) == 0
    assert [each["connects"] for each in found] == [1] * len(SYMBOLS)
    with open_log(stage.storage, Market("binance", SYMBOLS[0])):  # keeps the server: it is loaded once for all logs
        for symbol in SYMBOLS:
            assert_nothing_lost(stage, symbol, traded[symbol])


def assert_nothing_lost(stage: Stage, symbol: str, traded: int) -> None:
    """Trades as the ledger has them up to an id at least, book updates one behind the other, and no gap of either."""
    with open_log(stage.storage, Market("binance", symbol)) as log:
        rows: dict[str, list[Any]] = {AGG_TRADE: [], DIFF: [], GAP: []}
        for batch in log.read(kinds=list(rows)):
            for kind in batch.rows:
                rows[kind].append(batch.rows[kind])
    assert rows[GAP] == [], symbol
    trades = {
        name: np.concatenate([r[name] for r in rows[AGG_TRADE]]) for name in ("agg_id", "price_e8", "quantity_e8")
    }
    assert int(trades["agg_id"].max()) >= traded, symbol
    order = np.argsort(trades["agg_id"], kind="stable")
    ledger = stage.ledger(int(trades["agg_id"].min()), int(trades["agg_id"].max()), symbol)
    for name, column in trades.items():
        np.testing.assert_array_equal(column[order], np.array(ledger[name]), err_msg=f"{symbol} {name}")
    first, last = (np.concatenate([r[name] for r in rows[DIFF]]) for name in ("first_update_id", "last_update_id"))
    np.testing.assert_array_equal(first[1:], last[:-1] + 1, err_msg=symbol)
    assert len(first) > 5 * SECONDS


def last_trade(stage: Stage, symbol: str) -> int:
    """The newest trade of a symbol's log, archived or not; 0 before the first."""
    with open_log(stage.storage, Market("binance", symbol)) as log:
        return (read_tail(log).next_agg_id or 1) - 1


def measured(stage: Stage) -> list[dict[str, Any]]:
    """`metrics.json` of every market."""
    return [json.loads(path.read_text()) for path in stage.storage.rglob("metrics.json")]


def received(stage: Stage) -> int:
    """How many messages all markets have received."""
    return sum(sum(each["received"].values()) for each in measured(stage))


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def peak_mib(pid: int) -> int:
    """The most memory a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024
