"""One bit changed in any file of a storage: the same is read as before, or one line says what is damaged."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.clock import ManualClock
from eventlog.errors import EventLogError
from eventlog.names import LogName
from eventlog.proof.certificate import certify, load, path_of, save
from eventlog.proof.check import check
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.spill.spill import Spill
from eventlog.store.catalogue import RetiredFile
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter
from exchanges.binance.mapper import BinanceMapper
from market.timestamps import MINUTE_NS
from research.views import connect
from tests.builders import (
    EVENTS,
    MAPPER,
    MARKET,
    NOW,
    T0,
    a_cold_log,
    a_tick,
    a_trade,
    as_tables,
    contents,
    one_of_each_decision_kind,
    one_of_each_market_kind,
)

DECISIONS = LogName("decisions", MARKET)
FLIPS = 1_000
Seen = dict[str, Any]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with a file of each kind that a recorder, an analyzer and a person leave in it."""
    storage = tmp_path_factory.mktemp("whole") / "storage"
    facts = one_of_each_market_kind()
    trades = [a_trade(11 + i, f"{100 + i % 7}.25", "0.5", T0 + 2 * MINUTE_NS + i * 10**6) for i in range(500)]
    cold = a_cold_log(storage, facts, trades, [a_tick(T0 + 3 * MINUTE_NS)])
    a_decision_log(storage)
    log = Log(cold, None, MAPPER.decoders)
    save(certify(log, T0), path_of(cold, "2024-01-01"))
    spill = Spill(cold.folder)
    spill.append([a_trade(1_000 + i) for i in range(40)], cold.catalogue.last_seq)
    return storage


def a_decision_log(storage: Path) -> None:
    """What an analyzer wrote."""
    cold = ColdLog(storage, DECISIONS)
    cold.create(NOW)
    cold.append(1, 6, as_tables(one_of_each_decision_kind()))


def seen(storage: Path) -> Seen:
    """Everything that a reader of a storage gets of it."""
    events, decisions = ColdLog(storage, EVENTS), ColdLog(storage, DECISIONS)
    found: Seen = {}
    for cold in (events, decisions):
        found[cold.name.key] = contents(Log(cold, None, MAPPER.decoders).read())
        found[f"id of {cold.name.key}"] = cold.catalogue.log_id
    found["certificate"] = load(path_of(events, "2024-01-01"))
    spill = Spill(events.folder)
    found["spilled"] = (spill.after_seq, list(spill.read_pending()))
    return found


def flipped(data: bytes, bit: int) -> bytes:
    """With one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def files_of(storage: Path) -> list[Path]:
    """Every file, by name."""
    return sorted(path for path in storage.rglob("*") if path.is_file())


def test_every_kind_of_file_is_there(whole: Path) -> None:
    """A law over nothing would hold."""
    names = {path.name.split(".")[1] if path.suffix == ".parquet" else path.name for path in files_of(whole)}
    assert {
        "catalogue.json",
        "spill.log",
        "certificate-2024-01-01.json",
        "agg_trade",
        "snapshot",
        "model_call",
    } <= names
    assert len(files_of(whole)) > 20


@pytest.mark.slow
def test_no_flip_is_read_silently(whole: Path, tmp_path: Path) -> None:
    """A thousand, spread over all files; what was read is the same, or LogBroken, or less of the spill, kept aside."""
    before = seen(whole)
    dice = random.Random(11)
    refused = 0
    for number in range(FLIPS):
        storage = tmp_path / f"{number}"
        shutil.copytree(whole, storage)
        path = dice.choice(files_of(storage))
        path.write_bytes(flipped(path.read_bytes(), dice.randrange(path.stat().st_size * 8)))
        name = f"flip {number} in {path.name}"
        said = ""
        try:
            after = seen(storage)
        except EventLogError as error:
            said = str(error)
        if said:
            refused += 1
            assert "\n" not in said, name
            shutil.rmtree(storage)
            continue
        spilled = after.pop("spilled")
        assert after == {key: value for key, value in before.items() if key != "spilled"}, name
        if spilled != before["spilled"]:
            _start, facts = spilled
            assert path.name.startswith("spill"), name
            assert facts == before["spilled"][1][: len(facts)], name
            assert list((storage / path.parent.relative_to(storage)).glob("aside/*")), name
        shutil.rmtree(storage)
    assert refused > FLIPS * 0.9


@pytest.mark.slow
def test_no_flip_is_merged_checked_or_queried_silently(whole: Path, tmp_path: Path) -> None:
    """`compact` merges nothing that is damaged, `check` says which file, SQL refuses."""
    dice = random.Random(12)
    for number in range(60):
        storage = tmp_path / f"{number}"
        shutil.copytree(whole, storage)
        cold = ColdLog(storage, EVENTS)
        paths = [cold.path_of(f) for s in cold.catalogue.segments for f in s.files if f.kind == "agg_trade"]
        path = dice.choice(paths)
        path.write_bytes(flipped(path.read_bytes(), dice.randrange(path.stat().st_size * 8)))
        report = check(Log(cold, None, MAPPER.decoders))
        assert any(path.name in line for line in report.damaged)
        assert not report.complete
        with pytest.raises((EventLogError, duckdb.Error), match=path.name), connect(storage, MARKET) as connection:
            connection.execute("select sum(price_e8) from agg_trade").fetchall()
        with pytest.raises(EventLogError, match=path.name):
            cold.compact(NOW)
        assert {p.name for p in paths} <= {p.name for p in cold.folder.iterdir()}
        assert cold.refresh().retired == ()
        shutil.rmtree(storage)


def test_a_retired_file_goes_only_behind_an_intact_one(whole: Path, tmp_path: Path) -> None:
    """Merged, then the merged file damaged: the originals stay."""
    storage = tmp_path / "storage"
    shutil.copytree(whole, storage)
    cold = ColdLog(storage, EVENTS)
    assert cold.compact(NOW) > 0
    merged = next(cold.path_of(f) for f in cold.catalogue.segments[0].files if f.kind == "agg_trade")
    merged.write_bytes(flipped(merged.read_bytes(), 4_000))
    retired: tuple[RetiredFile, ...] = cold.catalogue.retired
    with pytest.raises(EventLogError, match=merged.name):
        cold.compact(NOW + 3 * 60 * MINUTE_NS)
    assert all((cold.folder / old.name).exists() for old in retired if "agg_trade" in old.name)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A storage whose newest entries are in its server's append-only file alone."""
    storage = tmp_path_factory.mktemp("recorded") / "storage"
    server = EmbeddedServer(storage)
    client = server.ensure()
    writer = LogWriter(ColdLog(storage, EVENTS), HotLog(client, EVENTS), ManualClock(NOW))
    writer.append([a_trade(1 + i, "100.25", "0.5", T0 + i * 10**6) for i in range(200)])
    writer.close()
    client.close()
    server.stop()
    return storage


def streamed(storage: Path) -> tuple[list[Any], bool]:
    """What a reader gets of the server's stream, and whether a check finds it complete."""
    server = EmbeddedServer(storage)
    client = server.ensure()
    try:
        log = Log(ColdLog(storage, EVENTS), HotLog(client, EVENTS), BinanceMapper(MARKET.symbol).decoders)
        return contents(log.read()).get("agg_trade", []), check(log).complete
    finally:
        client.close()
        server.stop()


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_flip_in_the_servers_own_files_is_read_silently(recorded: Path, tmp_path_factory: Any, data: Any) -> None:
    """The server refuses to start, the entry's checksum does not fit, or the end is missing, as a check says."""
    storage = tmp_path_factory.mktemp("flip") / "storage"
    shutil.copytree(recorded, storage)
    files = [p for p in files_of(storage) if p.suffix in (".aof", ".rdb", ".manifest") and p.stat().st_size]
    path = data.draw(st.sampled_from(files))
    at = data.draw(st.integers(0, path.stat().st_size * 8 - 1))
    path.write_bytes(flipped(path.read_bytes(), at))
    before = [(i + 1, 10_025_000_000, 50_000_000) for i in range(200)]
    rows, is_complete, said = [], False, ""
    try:
        rows, is_complete = streamed(storage)
    except EventLogError as error:
        said = str(error)
    assert "\n" not in said
    found = [(row["agg_id"], row["price_e8"], row["quantity_e8"]) for row in rows]
    assert found == before[: len(found)]
    assert is_complete == (found == before)
