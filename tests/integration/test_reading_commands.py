"""The commands that read, as a shell runs them: closed pipes, plain locales, damage, a growing log."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eventlog.server.embedded_server import EmbeddedServer
from tests.builders import (
    MARKET,
    a_cold_log,
    a_quarantine,
    a_trade,
    a_writer,
    one_of_each_market_kind,
)
from tests.conftest import ROOT
from tests.integration.daemons import wait_for

WHERE = ("--market", str(MARKET), "--storage")
HOSTILE = "\x1b[2J\nnext\r\x9b31m \u202e寬".encode()
PLAIN = {**os.environ, "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("eventlog", "check"),
    "tail": ("eventlog", "tail", "-n", "5000"),
    "tail --json": ("eventlog", "tail", "-n", "5000", "--json"),
    "export": ("eventlog", "export", "--kind", "minute_bars", "-o", "/dev/null"),
    "compact": ("eventlog", "compact"),
    "rebuild": ("eventlog", "rebuild-catalogue"),
    "sql": ("research", "sql", "select * from agg_trade, range(4)", "--limit", "10000"),
    "sql --json": ("research", "sql", "select * from agg_trade, range(4)", "--limit", "10000", "--json"),
}


def command(name: str, storage: Path) -> list[str]:
    """A command as a shell has it."""
    return [sys.executable, "-m", *COMMANDS[name], *WHERE, str(storage)]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Entries of every kind, more than a pipe holds, and hostile bytes last."""
    folder = tmp_path_factory.mktemp("reading")
    a_cold_log(folder, [*one_of_each_market_kind(), *(a_trade(n) for n in range(11, 3000)), a_quarantine(HOSTILE)])
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_goes_away_is_no_error_to_read_about(storage: Path, name: str) -> None:
    """`… | head -1`: the command ends, and says nothing of it."""
    with subprocess.Popen(command(name, storage), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if name.startswith(("tail", "sql")):
            assert process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(60) in (0, 1, 141)
    assert said == ""


@pytest.mark.parametrize("name", ["tail", "tail --json", "sql", "sql --json"])
def test_a_plain_locale_shows_everything(storage: Path, name: str) -> None:
    """What its letters cannot say is escaped; each entry is a line, and no line is obeyed by a terminal."""
    done = subprocess.run(command(name, storage), cwd=ROOT, env=PLAIN, capture_output=True, timeout=120, check=True)
    assert done.stderr.decode() in ("", "(first 10000 rows; --limit shows more)\n")
    lines = done.stdout.decode("ascii").splitlines()
    assert all(line.isprintable() for line in lines)
    if name == "tail":
        assert len(lines) == 3006
        assert r"data=\x1b[2J\nnext\r\x9b31m \u202e\u5bec" in lines[-1]
    if name == "tail --json":
        assert json.loads(lines[-1])["data"].encode() == HOSTILE


def test_every_command_explains_its_options() -> None:
    """`--help` names each of them."""
    expected = {
        ("eventlog",): ["check", "compact", "export", "import", "tail", "rebuild-catalogue"],
        ("eventlog", "check"): ["--day", "--against", "--allow-gaps", "--json", "--redis"],
        ("eventlog", "export"): ["--kind", "--format", "--level", "--json", "minute_bars", "minute_buckets"],
        ("eventlog", "tail"): ["--follow", "--json", "-n"],
        ("eventlog", "compact"): ["--json"],
        ("eventlog", "rebuild-catalogue"): ["--incomplete-start", "--incomplete-end", "--json", "--redis"],
        ("research", "sql"): ["--runs", "--limit", "--json", "QUERY"],
    }
    for words, names in expected.items():
        done = subprocess.run(
            [sys.executable, "-m", *words, "--help"],
            cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        missing = [name for name in names if name.lower() not in done.stdout.lower()]
        assert (missing, done.stderr) == ([], ""), words


def test_a_long_query_ends_when_interrupted(storage: Path, tmp_path: Path) -> None:
    """In the middle of computing: a word, and the exit code of an interrupt."""
    started, endless = (
        tmp_path / "started",
        "select sum(hash(a.range + b.range)) from range(10000000) a, range(10000000) b",
    )
    query = f"copy (select 1) to '{started}' (format csv); {endless}"
    with subprocess.Popen(
        [sys.executable, "-m", "research", "sql", query, *WHERE, str(storage)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        wait_for(started.exists, 60)
        before = _ticks(process.pid)
        wait_for(lambda: _ticks(process.pid) > before + os.sysconf("SC_CLK_TCK"), 60)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    assert complained == "interrupted\n"


def _ticks(pid: int) -> int:
    """How long a process has computed, in clock ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


@pytest.mark.parametrize("name", ["tail", "export", "sql", "compact"])
def test_damage_is_one_line(tmp_path: Path, name: str) -> None:
    """With the file's name and what to do, and no answer beside it."""
    cold = a_cold_log(tmp_path, [a_trade(n) for n in range(1, 50)], [a_trade(60)])
    path = cold.path_of(cold.catalogue.segments[0].files[0])
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    done = subprocess.run(command(name, tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {path} is not as it was written; restore it from a backup\n"


def test_a_growing_log_is_followed_in_json(tmp_path: Path, own_server: EmbeddedServer) -> None:
    """A line as soon as an entry is there."""
    client: Any = own_server.ensure()
    writer = a_writer(tmp_path, client)
    writer.append([a_trade(1)])
    with subprocess.Popen(
        [*command("tail --json", tmp_path), "-f"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for number in (1, 2, 3):
            if number > 1:
                writer.append([a_trade(number, "100.5")])
            row = json.loads(process.stdout.readline())
            assert (row["seq"], row["kind"], row["agg_id"]) == (number, "agg_trade", number)
        process.kill()
    writer.close()
    client.close()
