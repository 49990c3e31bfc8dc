"""A lost catalogue, from the refusals that name the way back to the log that reads as before."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from eventlog.clock import ManualClock
from eventlog.names import LogName
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store.archiver import Archiver
from eventlog.store.catalogue import FILE_NAME
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter, StorageLock
from runtime.open_log import open_log
from tests.builders import (
    EVENTS,
    MAPPER,
    MARKET,
    NOW,
    a_trade,
    archive_csv,
    archive_row,
    contents,
    one_of_each_decision_kind,
    one_of_each_market_kind,
)
from tests.commands import run
from tests.integration.daemons import Stage

DECISIONS = LogName("decisions", MARKET)
WHERE = ("--market", str(MARKET), "--storage")


def rebuild(storage: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command that this is about."""
    return run("-m", "eventlog", "rebuild-catalogue", *WHERE, storage, *words)


def write(storage: Path, client: Any, name: LogName, facts: list[Any]) -> None:
    """A log as a daemon leaves it: segments in the archive, the last entries in the stream alone."""
    writer = LogWriter(ColdLog(storage, name), HotLog(client, name), ManualClock(NOW))
    archiver = Archiver(Log(writer.cold, writer.hot, MAPPER.decoders), writer, keep_entries=1)
    for at in range(0, len(facts), 4):
        writer.append(facts[at : at + 4])
        archiver.archive()
    writer.append(facts[-1:])
    writer.close()


@pytest.fixture
def storage(tmp_path: Path, own_server: EmbeddedServer) -> Path:
    """A storage with a market's log and the decisions about it, both with a server of their own."""
    client = own_server.ensure()
    write(tmp_path, client, EVENTS, [*one_of_each_market_kind(), *(a_trade(n) for n in range(11, 20))])
    write(tmp_path, client, DECISIONS, one_of_each_decision_kind())
    own_server.release(client)
    return tmp_path


def everything(storage: Path) -> list[dict[str, list[dict[str, Any]]]]:
    """Every entry of both logs, and whose they are."""
    found = []
    for stream in ("events", "decisions"):
        with open_log(storage, MARKET, stream) as log:  # type: ignore[arg-type]
            found.append(contents(log.read()) | {"log_id": [{"": log.cold.catalogue.log_id}]})
    return found


def lose(storage: Path) -> None:
    """Both catalogues are gone."""
    for name in (EVENTS, DECISIONS):
        (name.folder(storage) / FILE_NAME).unlink()


def test_a_lost_catalogue_is_refused_by_all_and_comes_back(storage: Path) -> None:
    """One line that names the command; nothing is touched; rebuilt, the logs are what they were."""
    before = everything(storage)
    lose(storage)
    files = sorted(storage.rglob("*.parquet"))
    csv = archive_csv(storage / "trades.csv", [archive_row(50)])
    for command in (
        ("-m", "eventlog", "check", *WHERE, storage),
        ("-m", "eventlog", "check", "--day", "2024-01-01", *WHERE, storage),
        ("-m", "eventlog", "tail", *WHERE, storage),
        ("-m", "eventlog", "export", "-o", storage / "out", *WHERE, storage),
        ("-m", "eventlog", "compact", *WHERE, storage),
        ("-m", "eventlog", "import", "binance-aggtrades", csv, *WHERE, storage),
        ("-m", "research", "sql", "select 1", *WHERE, storage),
        ("-m", "replay", "run", "--out", storage / "runs", *WHERE, storage),
        ("-m", "replay", "verify", *WHERE, storage),
    ):
        refused = run(*command)
        lines = refused.stderr.splitlines()
        assert (refused.returncode, refused.stdout, len(lines)) == (1, "", 1), (command, refused)
        assert "rebuild-catalogue" in lines[0], (command, refused)
    assert sorted(storage.rglob("*.parquet")) == files
    assert not (storage / "out").exists()
    done = rebuild(storage)
    assert (done.returncode, done.stderr) == (0, ""), done
    first, second = done.stdout.splitlines()
    assert first.startswith("events:{binance:BTCFDUSD}: catalogue rebuilt: 7 segments, 25 entries, seq 1 to 25")
    assert second.startswith("decisions:{binance:BTCFDUSD}: catalogue rebuilt: ")
    assert everything(storage) == before
    again = rebuild(storage, "--json")
    assert [report["rebuilt"] for report in json.loads(again.stdout)] == [False, False]
    assert everything(storage) == before


def test_the_collector_refuses_to_start(storage: Path) -> None:
    """It would otherwise begin a log anew over the files of the old one."""
    (EVENTS.folder(storage) / FILE_NAME).unlink()
    stage = Stage(storage)
    stage.redis = {"embedded": True, "storage_dir": str(storage)}
    before = sorted(EVENTS.folder(storage).iterdir())
    refused = run("agent_data_collector.py", "--config", stage.config)
    assert refused.returncode == 1
    assert "rebuild-catalogue" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    assert {path.name for path in before} <= {path.name for path in EVENTS.folder(storage).iterdir()}
    assert rebuild(storage).returncode == 0


def test_what_an_error_tells_to_type_works(storage: Path) -> None:
    """Word for word, in a shell, for a storage whose name needs quotes."""
    odd = storage.rename(storage.with_name("it's  a storage"))
    before = everything(odd)
    for name in (EVENTS, DECISIONS):
        (name.folder(odd) / FILE_NAME).write_text('{"log":"somebody\'s"}')
    refused = run("-m", "eventlog", "tail", *WHERE, odd)
    assert refused.returncode == 1
    (command,) = re.findall("`(liquidity [^`]*)`", refused.stderr)
    words = shlex.split(command.replace("it'\"'\"'s a", "it'\"'\"'s  a"))  # an error is one line, with single blanks
    assert words[:3] == ["liquidity", "log", "rebuild-catalogue"]
    done = run("-m", "cli", *words[1:])
    assert (done.returncode, done.stderr) == (0, ""), done
    assert f"moved to {EVENTS.folder(odd)}/aside: 1 files: catalogue.json" in done.stdout
    assert everything(odd) == before


def test_sound_catalogues_are_left_alone(storage: Path) -> None:
    """Also while their writers are at work."""
    lock = StorageLock(ColdLog(storage, EVENTS))
    done = rebuild(storage)
    lock.release()
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "events:{binance:BTCFDUSD}: its catalogue is intact; nothing was done",
        "decisions:{binance:BTCFDUSD}: its catalogue is intact; nothing was done",
    ]


def test_one_log_that_cannot_be_rebuilt_does_not_hold_up_the_other(storage: Path) -> None:
    """A line for each; the exit code says that one is left."""
    lose(storage)
    lock = StorageLock(ColdLog(storage, DECISIONS))
    done = rebuild(storage)
    lock.release()
    assert done.returncode == 1
    assert done.stdout.startswith("events:{binance:BTCFDUSD}: catalogue rebuilt")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: decisions:{binance:BTCFDUSD} already has a writer")
    next(EVENTS.folder(storage).glob("*.tick.parquet")).write_bytes(b"")
    (EVENTS.folder(storage) / FILE_NAME).unlink()
    done = rebuild(storage, "--json")
    assert [report["log"] for report in json.loads(done.stdout)] == ["decisions:{binance:BTCFDUSD}"]
    assert "no whole file holds seq" in done.stderr


def test_an_imported_log_keeps_its_name_where_a_server_knows_it(storage: Path) -> None:
    """Its recorder's reserve is lost, too: the server says whose log it is."""
    before = everything(storage)
    lose(storage)
    for name in (EVENTS, DECISIONS):
        (name.folder(storage) / "reserved.json").unlink()
    assert rebuild(storage).returncode == 0
    assert everything(storage) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--market", "binance:ETHFDUSD"), "no log of binance:ETHFDUSD in"),
        (("--market", "nyse:IBM"), "nyse"),
        (("--market", "btcfdusd"), "write venue:SYMBOL"),
    ],
)
def test_what_is_no_log_is_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """And nothing is made."""
    done = run("-m", "eventlog", "rebuild-catalogue", *words, "--storage", tmp_path / "none")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith("error: ")) == (1, True)
    assert said in line
    assert not (tmp_path / "none").exists()
