"""The writer and a real server: stored once, whatever is lost on the way."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventlog.errors import EventLogError, Fenced, LogBroken, StoreFull, StoreUnavailable, WriterRefused
from eventlog.facts.capture import GAP
from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.check import check
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store.archiver import Archiver
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.writer import LostRange
from tests.builders import (
    EVENTS,
    NOW,
    T0,
    a_cold_log,
    a_hot_log,
    a_log,
    a_tick,
    a_trade,
    a_writer,
    another,
    as_tables,
    contents,
    way_to,
)
from tests.conftest import ROOT
from tests.fakes.proxy import Proxy


def trades(first: int, last: int) -> list[Fact]:
    """Trades with these agg ids."""
    return [a_trade(i) for i in range(first, last + 1)]


def stored(client: Any) -> list[tuple[int, Fact]]:
    """What the stream holds."""
    entries = HotLog(client, EVENTS).read(0, None, 10_000)
    return [(e.seq, Fact(e.kind, e.recv_ns, e.data)) for e in entries]


def agg_ids(storage: Path, client: Any) -> list[int]:
    """The agg ids of the whole log, in seq order."""
    return [r["agg_id"] for r in contents(a_hot_log(storage, client).read())[AGG_TRADE]]


def kill(server: EmbeddedServer, client: Any) -> None:
    """End a server as a power cut would end its process."""
    pid = int(client.info("server")["process_id"])
    subprocess.run(["kill", "-9", str(pid)], check=True)
    server._reap()
    client.connection_pool.disconnect()


def test_facts_are_numbered_and_stored_as_they_are(tmp_path: Path, client: Any) -> None:
    """From 1, without a gap, to the byte."""
    writer = a_writer(tmp_path, client)
    facts = [a_trade(1), a_tick(), Fact("agg_trade", T0, bytes(range(256)))]
    assert writer.append(facts[:1]) is None
    assert writer.append([]) is None
    writer.append(facts[1:])
    assert stored(client) == list(enumerate(facts, 1))
    assert writer.last_seq == 3
    assert writer.startup_loss is None
    writer.close()


def test_what_never_arrived_is_not_said_to_be_stored(tmp_path: Path, proxy: Proxy, client: Any) -> None:
    """The process dies while 4 and 5 are on their way: the next takes their numbers, and nothing counts as lost."""
    writer = a_writer(tmp_path, proxy.connect())
    writer.append(trades(1, 3))
    proxy.lose_request(b"EVALSHA")
    with pytest.raises(StoreUnavailable):
        writer.append(trades(4, 5))
    assert (writer.last_seq, writer.last_stored_seq) == (5, 3)
    writer._lock.release()  # as the kernel does
    writer = a_writer(tmp_path, client, used_seqs=[writer.last_stored_seq])
    assert writer.startup_loss is None
    writer.append(trades(4, 6))
    assert (writer.last_seq, writer.last_stored_seq) == (6, 6)
    writer.close()
    assert [seq for seq, _ in stored(client)] == [1, 2, 3, 4, 5, 6]


def test_the_next_writer_goes_on_where_the_last_ended(tmp_path: Path, client: Any) -> None:
    """After the stream, after the archive, after what a decision log names."""
    for ids in ((1, 2), (3, 3)):
        writer = a_writer(tmp_path, client)
        writer.append(trades(*ids))
        writer.close()
    assert [seq for seq, _ in stored(client)] == [1, 2, 3]
    writer = a_writer(tmp_path, client, used_seqs=[2, 7])
    assert writer.startup_loss == LostRange(4, 7)
    writer.append(trades(4, 4))
    writer.close()
    assert [seq for seq, _ in stored(client)] == [1, 2, 3, 8, 9]
    report = check(a_hot_log(tmp_path, client))
    assert report.reasons == ["missing for good: 1: seqs 4-7 (log_lost)"]
    assert [(g["first"], g["last"], g["cause"]) for g in report.given_up_gaps] == [(4, 7, "log_lost")]


@pytest.mark.parametrize("lose", ["reply", "request", "server away"])
def test_a_lost_word_stores_once(tmp_path: Path, client: Any, proxy: Proxy, lose: str) -> None:
    """Nobody knows whether it was stored: the same batch is sent again, with what came since."""
    far = proxy.connect()
    writer = a_writer(tmp_path, far)
    writer.append(trades(1, 2))
    if lose == "reply":
        proxy.lose_reply(b"follows")
    elif lose == "request":
        proxy.lose_request(b"follows")
    else:
        proxy.cut()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        writer.append(trades(3, 5))
    assert len(stored(client)) == (5 if lose == "reply" else 2)
    if lose == "server away":
        with pytest.raises(StoreUnavailable):
            writer.append([])
        proxy.mend()
    writer.append(trades(6, 6))
    assert stored(client) == list(enumerate(trades(1, 6), 1))
    writer.close()
    far.close()


def test_a_reply_lost_again_and_again_stores_once(tmp_path: Path, client: Any, proxy: Proxy) -> None:
    """Every batch's reply is lost, some twice."""
    far = proxy.connect()
    writer = a_writer(tmp_path, far)
    writer.append(trades(1, 1))
    for i in range(2, 12):
        facts = trades(i, i)
        for _ in range(1 + i % 2):
            proxy.lose_reply(b"follows")
            with pytest.raises(StoreUnavailable):
                writer.append(facts)
            facts = []
        writer.append([])
    assert stored(client) == list(enumerate(trades(1, 11), 1))
    writer.close()
    far.close()


def test_a_server_too_slow_to_wait_for_stores_once(tmp_path: Path, client: Any, proxy: Proxy) -> None:
    """A timeout is a lost reply."""
    far = proxy.connect(timeout_s=0.1)
    writer = a_writer(tmp_path, far)
    writer.append(trades(1, 1))
    proxy.delay_s = 0.3
    with pytest.raises(StoreUnavailable):
        writer.append(trades(2, 3))
    proxy.delay_s = 0.0
    time.sleep(0.4)
    writer.append(trades(4, 4))
    assert stored(client) == list(enumerate(trades(1, 4), 1))
    writer.close()
    far.close()


def test_other_bytes_under_the_same_seq_stop_the_writer(tmp_path: Path, client: Any) -> None:
    """Somebody else was here: nothing is written over, nothing goes on."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 2))
    other = a_trade(99)
    client.xadd(EVENTS.key, {"kind": other.kind, "recv_ns": other.recv_ns, "data": other.data}, id="3-0")
    with pytest.raises(LogBroken, match="seq 3 holds other bytes"):
        writer.append(trades(3, 3))
    assert stored(client)[2] == (3, other)
    writer.close()


def test_a_stream_that_lost_its_end_goes_on_behind_a_named_gap(tmp_path: Path, client: Any) -> None:
    """Acknowledged entries are gone, earlier ones are still there: the lost seqs are named and never used again."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 5))
    client.xdel(EVENTS.key, "5-0", "4-0")
    assert writer.append(trades(6, 6)) == LostRange(4, 6)  # the number on its way counts as used
    assert [seq for seq, _ in stored(client)] == [1, 2, 3, 7, 8]
    assert agg_ids(tmp_path, client) == [1, 2, 3, 6]
    writer.close()


def test_what_was_lost_while_it_was_being_archived_is_not_archived(tmp_path: Path, client: Any) -> None:
    """Entries that the writer counts as lost must not come back in Parquet: they are asked for again."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 5))
    log = a_hot_log(tmp_path, client)
    read = log.hot.read

    def wiped_after_reading(after_seq: int, until_seq: int | None, count: int) -> list[Entry]:
        found = read(after_seq, until_seq, count)
        if found:
            log.hot.read = read
            client.flushall()
            assert writer.append(trades(6, 6)) == LostRange(1, 6)
        return found

    log.hot.read = wiped_after_reading
    archiver = Archiver(log, writer, keep_entries=1)
    archiver.archive()
    assert writer.cold.refresh().last_seq == 0
    assert archiver.archive() == 2
    assert agg_ids(tmp_path, client) == [6]
    writer.close()


def test_what_the_writer_has_not_heard_of_is_archived_but_not_trimmed(
    tmp_path: Path, proxy: Proxy, client: Any
) -> None:
    """A reply is lost, then everything is archived: the batch is sent again and found as it was."""
    writer = a_writer(tmp_path, proxy.connect())
    writer.append(trades(1, 3))
    proxy.lose_reply(b"EVALSHA")
    with pytest.raises(StoreUnavailable):
        writer.append(trades(4, 6))
    assert Archiver(a_hot_log(tmp_path, client), writer, keep_entries=1).archive() == 6
    assert [seq for seq, _ in stored(client)] == [4, 5, 6]
    writer.append(trades(7, 7))
    assert agg_ids(tmp_path, client) == [1, 2, 3, 4, 5, 6, 7]
    writer.close()


def test_a_second_writer_of_the_same_storage_is_refused(tmp_path: Path, client: Any) -> None:
    """And the first goes on as if nobody had asked."""
    writer = a_writer(tmp_path, client)
    with pytest.raises(WriterRefused, match="already has a writer"):
        a_writer(tmp_path, client)
    writer.append(trades(1, 1))
    writer.close()
    a_writer(tmp_path, client).close()


def test_another_storage_on_the_same_server_is_refused(tmp_path: Path, client: Any) -> None:
    """Their seqs would mix; the log's own writer goes on."""
    writer = a_writer(tmp_path / "a", client, now_ns=NOW)
    with pytest.raises(WriterRefused, match="belongs to another storage"):
        a_writer(tmp_path / "b", client, now_ns=NOW + 1)
    writer.append(trades(1, 1))
    assert len(stored(client)) == 1
    writer.close()


def test_an_older_writer_is_fenced(tmp_path: Path, client: Any) -> None:
    """A copy of the storage on another machine: the newer writer holds the log, the older must not write."""
    older = a_writer(tmp_path, client)
    older.append(trades(1, 2))
    newer = HotLog(client, EVENTS)
    epoch = newer.acquire_epoch(older.cold.catalogue.log_id)
    with pytest.raises(Fenced, match="took over"):
        older.append(trades(3, 3))
    newer.append([Entry(3, AGG_TRADE, T0, b"{}")], epoch, follows=True)
    with pytest.raises(Fenced):
        older.append([])
    assert len(stored(client)) == 3
    older.close()


def test_a_server_emptied_while_writing(tmp_path: Path, client: Any) -> None:
    """What it lost is named, what was on the way gets new numbers, and no number is used twice."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 6))
    writer.cold.append(1, 4, as_tables(trades(1, 4)))
    client.flushall()
    assert writer.append(trades(7, 7)) == LostRange(5, 7)
    assert writer.append(trades(8, 8)) is None
    (gap_seq, gap), *rest = stored(client)
    assert gap_seq == 8
    assert msgspec.json.decode(gap.data) == {
        "what": "seqs",
        "first": 5,
        "last": 7,
        "cause": "log_lost",
        "state": "given_up",
    }
    assert rest == [(9, a_trade(7)), (10, a_trade(8))]
    writer.close()
    report = check(a_hot_log(tmp_path, client))
    assert report.unnamed_seqs == []
    assert report.unnamed_agg_ids == [(5, 6)]
    a_writer(tmp_path, client).close()


@pytest.mark.parametrize("word", [b"log_lost", b"epoch"])
@pytest.mark.parametrize("lose", ["lose_reply", "lose_request"])
def test_an_emptied_server_that_then_goes_away(
    tmp_path: Path, client: Any, proxy: Proxy, word: bytes, lose: str
) -> None:
    """The facts on the way survive both, and the loss is still told to whoever asks again."""
    far = proxy.connect()
    writer = a_writer(tmp_path, far)
    writer.append(trades(1, 3))
    client.flushall()
    client.script_flush()
    # Scripts are gone too, so the one that takes over travels in full: its word is in its text.
    getattr(proxy, lose)(word if word == b"log_lost" else b"'differs'")
    with pytest.raises(StoreUnavailable):
        writer.append(trades(4, 5))
    lost = writer.append(trades(6, 6))
    assert lost is not None
    assert (lost.first, lost.last) == (1, 5)
    seqs = [seq for seq, _ in stored(client)]
    assert [f for _, f in stored(client)][-3:] == trades(4, 6)
    assert min(seqs) > 5
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    writer.close()
    assert check(a_hot_log(tmp_path, client)).unnamed_seqs == []
    far.close()


def test_a_server_emptied_while_the_writer_is_down(tmp_path: Path, client: Any) -> None:
    """The numbers it had reserved on disk may have been used; none of them is used again."""
    script = (
        "import os, sys; from pathlib import Path; from eventlog.store import hot; from tests.builders import *\n"
        "writer = a_writer(Path(sys.argv[1]), hot.connect(unix_socket=sys.argv[2], password=sys.argv[3]))\n"
        "writer.append([a_trade(i) for i in range(1, 4)])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path), *way_to(client)], cwd=ROOT, check=False)
    assert ended.returncode == -9
    assert len(stored(client)) == 3
    client.flushall()
    writer = a_writer(tmp_path, client)
    assert writer.startup_loss is not None
    assert writer.startup_loss.first == 1
    assert writer.startup_loss.last >= 3
    writer.append(trades(9, 9))
    assert min(seq for seq, _ in stored(client)) > writer.startup_loss.last
    writer.close()
    assert check(a_hot_log(tmp_path, client)).unnamed_seqs == []


def test_an_emptied_server_is_known_even_after_a_start_that_failed(tmp_path: Path, client: Any) -> None:
    """The first start after the loss told the server our name and died; the next must not begin at 1 again."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 3))
    writer.close()
    client.flushall()
    HotLog(client, EVENTS).acquire_epoch(ColdLog(tmp_path, EVENTS).catalogue.log_id)
    writer = a_writer(tmp_path, client)
    assert writer.startup_loss == LostRange(1, 3)
    assert [seq for seq, _ in stored(client)] == [4]
    writer.close()


@pytest.mark.parametrize("archived", [0, 2])
def test_a_stream_that_lost_its_end_while_the_writer_was_down(tmp_path: Path, client: Any, archived: int) -> None:
    """It ended well, so all of its seqs were stored: those that are gone are missed by a check, and named."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 5))
    if archived:
        writer.cold.append(1, archived, as_tables(trades(1, archived)))
    writer.close()
    client.xdel(EVENTS.key, "5-0", "4-0")
    report = check(a_hot_log(tmp_path, client))
    assert (report.complete, report.unnamed_seqs) == (False, [(4, 5)])
    writer = a_writer(tmp_path, client)
    assert writer.startup_loss == LostRange(4, 5)
    writer.append(trades(6, 6))
    assert [seq for seq, _ in stored(client)] == [1, 2, 3, 6, 7]
    writer.close()
    report = check(a_hot_log(tmp_path, client))
    assert (report.unnamed_seqs, [(g["first"], g["last"]) for g in report.given_up_gaps]) == ([], [(4, 5)])


def test_a_log_handed_on_without_its_server_lacks_what_was_not_archived(tmp_path: Path, client: Any) -> None:
    """A check of the files alone says so, also where no file was written."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 5))
    writer.close()
    assert check(a_log(tmp_path)).unnamed_seqs == [(1, 5)]
    writer.cold.append(1, 4, as_tables(trades(1, 4)))
    assert check(a_log(tmp_path)).unnamed_seqs == [(5, 5)]
    writer.cold.append(5, 5, as_tables(trades(5, 5), first_seq=5))
    assert check(a_log(tmp_path)).complete


def test_a_clean_stop_with_all_archived_loses_nothing(tmp_path: Path, client: Any) -> None:
    """A storage moved to another server: the archive holds everything, there is no gap to tell."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 3))
    writer.cold.append(1, 3, as_tables(trades(1, 3)))
    writer.close()
    client.flushall()
    writer = a_writer(tmp_path, client)
    assert writer.startup_loss is None
    writer.append(trades(4, 4))
    writer.close()
    assert agg_ids(tmp_path, client) == [1, 2, 3, 4]


def test_a_hole_between_archive_and_stream_stops_the_start(tmp_path: Path, client: Any) -> None:
    """A catalogue restored from an old backup: entries are in neither; nothing is written behind the hole."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 9))
    writer.close()
    HotLog(client, EVENTS).trim(6)
    with pytest.raises(LogBroken, match="seq 1 to 5 are in neither archive nor stream"):
        a_writer(tmp_path, client)
    with pytest.raises(LogBroken, match="seq 1 is in neither"):
        agg_ids(tmp_path, client)


def test_the_stream_is_trimmed_only_behind_what_is_committed(tmp_path: Path, client: Any) -> None:
    """Archiving commits what is new, keeps what readers may still want, and never trims ahead of the commit."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 20))
    archiver = Archiver(a_hot_log(tmp_path, client), writer, keep_entries=13)
    assert archiver.archive(lambda: True) == 0
    assert len(stored(client)) == 20
    assert archiver.archive() == 20
    assert archiver.archive() == 0
    assert [seq for seq, _ in stored(client)] == list(range(7, 21))
    assert agg_ids(tmp_path, client) == list(range(1, 21))
    writer.close()


def test_a_full_disk_keeps_the_facts(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers cannot be reserved: nothing is stored, nothing is forgotten."""
    writer = a_writer(tmp_path, client)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreFull):
            writer.append(trades(1, 2))
    assert stored(client) == []
    writer.append(trades(3, 3))
    assert stored(client) == list(enumerate(trades(1, 3), 1))
    writer.close()


def test_a_server_out_of_memory_is_told_and_stores_nothing(tmp_path: Path, client: Any) -> None:
    """Whole or not at all; with room again the same facts are stored."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 1))
    client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(StoreFull, match="out of memory"):
            writer.append(trades(2, 3))
    finally:
        client.config_set("maxmemory", "0")
    writer.append([])
    assert stored(client) == list(enumerate(trades(1, 3), 1))
    writer.close()


@pytest.mark.parametrize("text", ["", "{", '{"last":"x"}'])
def test_damaged_reservations_stop_the_start(tmp_path: Path, client: Any, text: str) -> None:
    """Guessing could use a number twice; the lock is free again afterwards."""
    cold = a_cold_log(tmp_path)
    (cold.folder / "reserved.json").write_text(text)
    with pytest.raises(LogBroken, match="restore it from a backup"):
        a_writer(tmp_path, client)
    (cold.folder / "reserved.json").unlink()
    a_writer(tmp_path, client).close()


def test_a_killed_server_loses_and_doubles_nothing(tmp_path: Path, own_server: EmbeddedServer) -> None:
    """SIGKILL between appends, five times: the writer that goes on stores each fact once."""
    client = own_server.ensure()
    writer = a_writer(tmp_path, client)
    for i in range(1, 6):
        writer.append(trades(2 * i - 1, 2 * i - 1))
        kill(own_server, client)
        with pytest.raises(StoreUnavailable):
            writer.append(trades(2 * i, 2 * i))
        own_server.ensure().close()
        assert writer.append([]) is None
    assert stored(client) == list(enumerate(trades(1, 10), 1))
    writer.close()
    own_server.release(client)


def test_a_killed_writer_lets_the_next_one_in(tmp_path: Path, client: Any) -> None:
    """The kernel frees its lock; what it stored is there, and nothing was lost."""
    script = (
        "import sys, time; from pathlib import Path; from eventlog.store import hot; from tests.builders import *\n"
        "writer = a_writer(Path(sys.argv[1]), hot.connect(unix_socket=sys.argv[2], password=sys.argv[3]))\n"
        "for i in range(1, 10**6):\n"
        "    writer.append([a_trade(i)])\n"
        "    print(i, flush=True)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path), *way_to(client)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 50:
            pass
        with pytest.raises(WriterRefused, match=f"process {process.pid}"):
            a_writer(tmp_path, client)
        process.kill()
        said = [int(line) for line in process.stdout]
    writer = a_writer(tmp_path, client)
    assert writer.startup_loss is None
    count = writer.last_seq
    assert count >= max(said, default=50)
    writer.append(trades(count + 1, count + 1))
    writer.close()
    assert agg_ids(tmp_path, client) == list(range(1, count + 2))


def test_a_reader_follows_a_writer(tmp_path: Path, client: Any) -> None:
    """What was there, then each batch as it comes, until told to stop."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 3))
    reader = a_hot_log(tmp_path, another(client))
    seen: list[int] = []

    def done() -> bool:
        return len(seen) >= 6

    for batch in reader.follow(1, done, poll_ms=10):
        seen += batch.rows[AGG_TRADE]["agg_id"].tolist()
        if len(seen) < 6:
            writer.append(trades(max(seen) + 1, max(seen) + 2))
    assert seen == [2, 3, 4, 5, 6, 7]
    assert [e.seq for e in reader.entries(5, 2)] == [6, 7]
    assert list(reader.follow(7, lambda: True)) == []
    assert reader.hot is not None
    reader.hot.client.close()
    writer.close()


def test_a_reader_may_let_entries_gather(tmp_path: Path, client: Any) -> None:
    """What comes while it waits is read with what it waited for, in one batch."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 1))
    reader = a_hot_log(tmp_path, another(client))
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        writer.append(trades(2, 5))

    followed = reader.follow(0, lambda: False, pause=pause, gather_ms=250)
    batch = next(followed)
    assert (batch.first_seq, batch.last_seq, waited) == (1, 5, [0.25])
    followed.close()  # type: ignore[attr-defined]
    assert reader.hot is not None
    reader.hot.client.close()
    writer.close()


def test_a_refused_command_is_one_line(client: Any) -> None:
    """A key of somebody else's in the stream's place."""
    client.set(EVENTS.key, "mine")
    with pytest.raises(EventLogError, match=r"^events:\{binance:BTCFDUSD\} on the Redis server holds something else"):
        HotLog(client, EVENTS).bounds()


def test_a_gap_is_the_only_loss_a_stream_may_begin_with(tmp_path: Path, client: Any) -> None:
    """Reading over lost seqs needs the gap that names exactly them."""
    writer = a_writer(tmp_path, client)
    writer.append(trades(1, 4))
    client.flushall()
    writer.append(trades(5, 5))
    found = contents(a_hot_log(tmp_path, client).read())
    assert [(g["first"], g["last"]) for g in found[GAP]] == [(1, 5)]
    client.xdel(EVENTS.key, "6-0")
    with pytest.raises(LogBroken, match="seq 1 is in neither"):
        contents(a_hot_log(tmp_path, client).read())
    writer.close()
