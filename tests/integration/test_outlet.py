"""Facts on their way into a log whose server comes and goes: nobody waits who did not ask to, and nothing is lost."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.llm.client.budget import Budget, Limits
from agents.llm.client.client import ModelClient
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.prices import PeakHours, Price, PriceList
from agents.llm.conversation.deadline import deadline_ns
from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.conversation.prompts import load
from agents.llm.deepseek import ModelAnalyst
from agents.rules import RulesAnalyst
from analyzer.outlet import Outlet
from eventlog.clock import ManualClock, WallClock
from eventlog.errors import Fenced, StoreUnavailable
from eventlog.facts.capture import SESSION, Session
from eventlog.facts.entry import Fact
from eventlog.facts.model import MODEL_CALL
from eventlog.names import LogName
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.spill.recovery import catch_up
from eventlog.spill.spill import Spill
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter
from market.timestamps import SECOND_NS
from tests.builders import MARKET, NOW
from tests.fakes.proxy import Proxy
from tests.integration.daemons import wait_for
from tests.model_server import KEY, PARAMETERS, minutes, model_server, shortened

DECISIONS = LogName("decisions", MARKET)


def facts(first: int, last: int) -> list[Fact]:
    """Facts that can be told apart."""
    return [Session("started", str(number)).fact(SESSION, NOW) for number in range(first, last + 1)]


def details(storage: Path, client: Any) -> list[str]:
    """What the log holds, in its order, its own words on losses aside."""
    log = Log(ColdLog(storage, DECISIONS), HotLog(client, DECISIONS), {})
    rows = [(row["seq"], row["detail"]) for b in log.read(kinds=[SESSION]) if SESSION in b.rows
            for row in b.rows[SESSION].columns.table.to_pylist()]  # fmt: skip
    return [detail for _, detail in sorted(rows)]


def an_outlet(storage: Path, client: Any) -> Outlet:
    """An outlet into a decision log; a loss is followed by a word of its own."""
    cold = ColdLog(storage, DECISIONS)
    writer = LogWriter(cold, HotLog(client, DECISIONS), ManualClock(NOW))
    return Outlet(
        writer, Spill(cold.folder), lambda lost: [Session("started", f"lost {lost.first}").fact(SESSION, NOW)]
    )


def never() -> bool:
    """Nobody gives up."""
    return False


def test_facts_are_stored_in_order(tmp_path: Path, client: Any) -> None:
    """From several threads; each call's facts stay together."""
    outlet = an_outlet(tmp_path, client)
    threads = [threading.Thread(target=lambda n=n: [outlet.put(facts(n + i, n + i + 1)) for i in range(0, 100, 2)])
               for n in (1, 1001, 2001)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outlet.wait(outlet.put(facts(9999, 9999)), never)
    found = [int(detail) for detail in details(tmp_path, client)]
    assert sorted(found) == sorted([*range(1, 101), *range(1001, 1101), *range(2001, 2101), 9999])
    assert all(found[at + 1] == found[at] + 1 for at in range(0, 300, 2))
    outlet.close(5)
    outlet.writer.close()


def test_putting_never_waits_and_waiting_can_be_given_up(tmp_path: Path, client: Any, proxy: Proxy) -> None:
    """The server is away: a put returns at once; a wait ends when it is told to; later everything is there."""
    outlet = an_outlet(tmp_path, proxy.connect(timeout_s=0.5))
    proxy.cut()
    began = time.monotonic()
    ticket = outlet.put(facts(1, 5))
    assert time.monotonic() - began < 0.1
    wait_for(lambda: bool(outlet.outage), 10)
    asked = iter([False, False, True])
    assert not outlet.wait(ticket, lambda: next(asked))
    assert outlet.pending_count == 5
    proxy.mend()
    assert outlet.wait(outlet.put(facts(6, 6)), never)
    assert (outlet.outage, outlet.pending_count) == ("", 0)
    assert details(tmp_path, client) == list("123456")
    outlet.close(5)
    outlet.writer.close()


def test_what_is_left_at_the_end_is_stored_by_the_next_start(tmp_path: Path, client: Any, proxy: Proxy) -> None:
    """A server that stays away while the process ends; the batch in hand may be there already, and is there once."""
    outlet = an_outlet(tmp_path, proxy.connect(timeout_s=0.5))
    assert outlet.wait(outlet.put(facts(1, 2)), never)
    proxy.lose_reply(b"EVALSHA")
    outlet.put(facts(3, 4))
    wait_for(lambda: bool(outlet.outage), 10)
    proxy.cut()
    outlet.put(facts(5, 9))
    began = time.monotonic()
    outlet.close(0.3)
    assert time.monotonic() - began < 2
    outlet.writer.close()
    proxy.mend()
    cold = ColdLog(tmp_path, DECISIONS)
    spill = Spill(cold.folder)
    assert spill.pending_count == 7
    writer = LogWriter(cold, HotLog(client, DECISIONS), ManualClock(NOW))
    log = Log(cold, HotLog(client, DECISIONS), {})
    catch_up(spill, writer, log, ManualClock(NOW), never)
    assert details(tmp_path, client) == list("123456789")
    assert not Spill(cold.folder).is_open
    writer.close()


def test_a_loss_is_followed_by_what_must_be_on_record_again(tmp_path: Path, client: Any) -> None:
    """The server was emptied: the gap, what was on its way, and the session it belongs to."""
    outlet = an_outlet(tmp_path, client)
    assert outlet.wait(outlet.put(facts(1, 3)), never)
    client.flushall()
    assert outlet.wait(outlet.put(facts(4, 4)), never)
    wait_for(lambda: outlet.pending_count == 0, 10)
    assert details(tmp_path, client) == ["4", "lost 1"]
    outlet.close(5)
    outlet.writer.close()


def test_another_writer_ends_it(tmp_path: Path, client: Any) -> None:
    """Whoever waits hears of it."""
    outlet = an_outlet(tmp_path, client)
    HotLog(client, DECISIONS).acquire_epoch(outlet.writer.cold.catalogue.log_id, 100)
    with pytest.raises(Fenced, match="another writer took over"):
        outlet.wait(outlet.put(facts(1, 1)), never)
    with pytest.raises(Fenced):
        outlet.close(1)
    outlet.writer.close()


@pytest.fixture
def stopped(own_server: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """A server that can be made to hang; awake again at the end."""
    own_server.ensure().close()
    client = own_server.connect()
    pid = int(client.info("server")["process_id"])
    client.close()
    own_server.pid = pid  # type: ignore[attr-defined]
    yield own_server
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("fault", ["hangs", "away"])
def test_a_model_decides_by_its_deadline_whatever_the_logs_server_does(
    tmp_path: Path, stopped: EmbeddedServer, fault: str
) -> None:
    """Calls are on record when the server is back, late ones too; no decision waited for it."""
    storage = stopped.storage
    outlet = an_outlet(storage, stopped.connect(timeout_s=2.0))
    clock = WallClock()
    with model_server(latency_ms=700) as server:
        prices = PriceList({"deepseek-flash": Price.from_usd_per_million(0.003, 0.15, 0.6, 2)}, PeakHours())
        budget = Budget(Limits(), prices, "deepseek-flash")
        analyst = ModelAnalyst(
            ModelClient(Endpoint(server.base_url, KEY, grace_s=5.0), budget, clock), budget, load("default", "en"),
            ModelOptions("deepseek-flash", "compact"), RulesAnalyst(PARAMETERS), PARAMETERS, clock, never,
            lambda fact: outlet.put([fact]),
        )  # fmt: skip
        if fault == "hangs":
            os.kill(stopped.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
        else:
            stopped.stop()
        for view in minutes(3):
            now_ns = clock.now_ns()
            view = replace(shortened(view, 1.2), as_of_ns=now_ns)
            analyst.decide(view)
            assert clock.now_ns() <= deadline_ns(view) + SECOND_NS // 4
            assert analyst.take_ending() is not None
        wait_for(lambda: outlet.pending_count >= 3, 20)
        if fault == "hangs":
            os.kill(stopped.pid, signal.SIGCONT)  # type: ignore[attr-defined]
        else:
            stopped.ensure().close()
        wait_for(lambda: outlet.pending_count == 0, 20)
        analyst.close()
    outlet.close(5)
    outlet.writer.close()
    client = stopped.connect()
    log = Log(ColdLog(storage, DECISIONS), HotLog(client, DECISIONS), {})
    verdicts = [v for b in log.read(kinds=[MODEL_CALL]) if MODEL_CALL in b.rows for v in b.rows[MODEL_CALL]["verdict"]]
    assert len(verdicts) >= 3
    client.close()


def test_a_server_that_never_comes_back_ends_nothing(tmp_path: Path, client: Any, proxy: Proxy) -> None:
    """Its writer says unavailable for ever; closing keeps what there is and returns."""
    outlet = an_outlet(tmp_path, proxy.connect(timeout_s=0.2))
    proxy.cut()
    outlet.put(facts(1, 3))
    wait_for(lambda: bool(outlet.outage), 10)
    outlet.close(0.2)
    assert Spill(outlet.writer.cold.folder).pending_count == 3
    with pytest.raises(StoreUnavailable):
        outlet.writer.append(())
    outlet.writer.close()
