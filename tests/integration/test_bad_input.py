"""
Bad input to every command: one clear line, exit code ≠ 0, nothing half-written.
"""

import gzip
import os
import random
import resource
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import HEADER
from tests.commands import run

ROOT = Path(__file__).resolve().parent.parent.parent
MARKET = "binance:BTCUSDT"
GOOD = "1,42283.58,0.00069,11,11,1704067200000,True,True\n2,42283.59,0.00144,12,12,1704067200001,False,True\n"


def command(*arguments: str, limit: Callable[[], None] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command of the product as a user does: in a process of its own where it has limits."""
    if limit is None:
        return run(*arguments)
    measured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=measured,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limit,
        check=False,
    )


def expect_one_line(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """One line that says what is wrong, no traceback, and a failing exit code."""
    assert done.returncode != 0, done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0], lines[0]


def importing(path: Path, storage: Path, **more: Callable[[], None]) -> "subprocess.CompletedProcess[str]":
    """Import one archive file."""
    arguments = (
        "-m",
        "eventlog",
        "import",
        "binance-aggtrades",
        str(path),
        "--market",
        MARKET,
        "--storage",
        str(storage),
    )
    return command(*arguments, limit=more.get("limit"))


def log_files(storage: Path) -> list[str]:
    """Everything of a log that an import could have half written."""
    return sorted(p.name for p in storage.rglob("*") if p.suffix == ".parquet" or ".new" in p.name)


BAD_CSV = {
    "empty": ("", "is empty"),
    "html": ("<!doctype html><html><body>404</body></html>", "HTML"),
    "json": ('{"code":-1121}', "JSON"),
    "wrong columns": ("a,b,c\n1,2,3\n", "aggTrades"),
    "header only": (f"{HEADER}\n", "no trades"),
    "a header of other words": ("agg_trade_id,price,quantity,first,last,time,maker,best\n", "first_trade_id"),
    "nine decimals": (GOOD + "3,42283.123456789,1,13,13,1704067200002,True,True\n", "more decimals"),
    "negative": (GOOD + "3,-42283.5,1,13,13,1704067200002,True,True\n", "'-42283.5'"),
    "nan": (GOOD + "3,NaN,1,13,13,1704067200002,True,True\n", "'NaN'"),
    "exponent": (GOOD + "3,4.2e4,1,13,13,1704067200002,True,True\n", "'4.2e4'"),
    "zero price": (GOOD + "3,0.0,1,13,13,1704067200002,True,True\n", "is zero"),
    "year 2030": (GOOD + "3,42283.5,1,13,13,1900000000000,True,True\n", "in the future"),
    "seconds": (GOOD + "3,42283.5,1,13,13,1704067200,True,True\n", "no time"),
    "text for an id": (GOOD + "x,42283.5,1,13,13,1704067200002,True,True\n", "aggTrades"),
    "ids reversed": (GOOD + "3,42283.5,1,14,13,1704067200002,True,True\n", "ids"),
    "a missing cell": (GOOD + "3,42283.5,1,,13,1704067200002,True,True\n", "missing"),
    "a maybe for a boolean": (GOOD + "3,42283.5,1,13,13,1704067200002,maybe,True\n", "aggTrades"),
    "a short row": (GOOD + "3,42283.5\n", "aggTrades"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_a_bad_archive_is_refused_whole(case: str, tmp_path: Path) -> None:
    """A file with one bad row adds nothing."""
    text, word = BAD_CSV[case]
    path = tmp_path / "trades.csv"
    path.write_text(text)
    expect_one_line(importing(path, tmp_path / "storage"), word)
    assert log_files(tmp_path / "storage") == []


def test_missing_truncated_and_crowded_zips_are_refused(tmp_path: Path) -> None:
    """No file, half a zip, a zip of two files, a zip of nothing."""
    storage = tmp_path / "storage"
    expect_one_line(importing(tmp_path / "none.zip", storage), "none.zip", "No such file")
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("trades.csv", GOOD * 500)
    (tmp_path / "cut.zip").write_bytes(whole.read_bytes()[:-200])
    expect_one_line(importing(tmp_path / "cut.zip", storage), "cut short")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as file:
        file.writestr("a.csv", GOOD)
        file.writestr("b.csv", GOOD)
    expect_one_line(importing(tmp_path / "two.zip", storage), "2 files")
    with zipfile.ZipFile(tmp_path / "none-inside.zip", "w"):
        pass
    expect_one_line(importing(tmp_path / "none-inside.zip", storage), "")
    assert log_files(storage) == []


BAD_RECORDINGS = {
    "html": (b"<html>nothing here</html>\n", "receive time"),
    "no time": (b'{"e":"trade"}\n', "receive time"),
    "a trade without fields": (b'1723161253 {"e":"trade"}\n', "nothing in it can be read"),
    "nothing known": (b'1723161253937085768 {"e":"bookTicker"}\n', "holds no"),
    "empty": (b"", "holds no"),
    "half a gzip": (gzip.compress(b'1723161253937085768 {"e":"bookTicker"}\n' * 999)[:-30], "cut short"),
}


@pytest.mark.parametrize("case", BAD_RECORDINGS)
def test_a_bad_recording_is_refused_whole(case: str, tmp_path: Path) -> None:
    """A file that is no recording adds nothing."""
    data, word = BAD_RECORDINGS[case]
    path = tmp_path / "recording"
    path.write_bytes(data)
    storage = str(tmp_path / "storage")
    done = command("-m", "eventlog", "import", "recording", str(path), "--market", MARKET, "--storage", storage)
    expect_one_line(done, word)
    assert log_files(tmp_path / "storage") == []


def test_unreadable_lines_of_a_recording_are_quarantined_and_counted(tmp_path: Path) -> None:
    """One good trade and four that nobody can read: five entries, four of them quarantine."""
    head = (
        '1723161253937085768 {"e":"aggTrade","E":1723161253930,"s":"BTCUSDT","a":%d,"p":"%s","q":"1","f":%d,"l":%d,'
        '"T":%d,"m":true}'
    )
    rows = [
        (1, "61000.5", 1723161253930),
        (2, "1e5", 1723161253930),
        (3, "-1", 1723161253930),
        (4, "61000.5", 1900000000000),
    ]
    lines = [head % (i, p, i, i, t) for i, p, t in rows] + ['1723161253937085768 {"e":"aggTrade","a":5']
    path = tmp_path / "recording"
    path.write_text("\n".join(lines) + "\n")
    storage = str(tmp_path / "storage")
    done = command("-m", "eventlog", "import", "recording", str(path), "--market", MARKET, "--storage", storage)
    assert done.returncode == 0, done.stderr
    assert "1 entry added" in done.stdout
    assert "4 cannot be parsed, quarantined" in done.stdout


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    """No room for the Parquet file: one line, and the log still proves complete."""
    storage = tmp_path / "storage"
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text(GOOD)
    chance = random.Random(1)
    rows = (
        f"{i},42{chance.randrange(999)}.{chance.randrange(10, 99)},0.{chance.randrange(1, 99999):05d},"
        f"{i + 10},{i + 10},{1704067260000 + i},True,True"
        for i in range(3, 20_000)
    )
    second.write_text("\n".join(rows) + "\n")
    assert importing(first, storage).returncode == 0
    before = log_files(storage)

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    expect_one_line(importing(second, storage, limit=little_room), "no room")
    assert log_files(storage) == before
    assert command("-m", "eventlog", "check", "--market", MARKET, "--storage", str(storage)).returncode == 0
    assert importing(second, storage).returncode == 0


def test_a_parquet_file_cut_short_is_named(tmp_path: Path) -> None:
    """Reading it stops with its name; `check` lists it."""
    storage = tmp_path / "storage"
    source = tmp_path / "trades.csv"
    source.write_text(GOOD)
    importing(source, storage)
    path = next(storage.rglob("*.agg_trade.parquet"))
    path.write_bytes(path.read_bytes()[:-50])
    where = ("--market", MARKET, "--storage", str(storage))
    expect_one_line(
        command("-m", "eventlog", "export", "-o", str(tmp_path / "x.csv"), *where), path.name, "not as it was written"
    )
    assert not (tmp_path / "x.csv").exists()
    expect_one_line(command("-m", "replay", "run", *where, "--out", str(tmp_path / "runs")), path.name)
    assert not list((tmp_path / "runs").glob("*"))
    done = command("-m", "eventlog", "check", *where)
    assert done.returncode == 1
    assert path.name in done.stdout


COMMANDS = {
    "unknown venue": (("-m", "eventlog", "check", "--market", "nyse:IBM", "--storage", "."), "nyse"),
    "no market": (("-m", "eventlog", "check", "--market", "BTCUSDT", "--storage", "."), "venue:SYMBOL"),
    "no log": (("-m", "eventlog", "check", "--market", MARKET, "--storage", "/nonexistent"), "no log"),
    "no log to export": (
        ("-m", "eventlog", "export", "-o", "x", "--market", MARKET, "--storage", "/nonexistent"),
        "no log",
    ),
    "no log to replay": (("-m", "replay", "run", "--market", MARKET, "--storage", "/nonexistent"), "no log"),
    "no log to verify": (("-m", "replay", "verify", "--market", MARKET, "--storage", "/nonexistent"), "no log"),
    "no log to compact": (("-m", "eventlog", "compact", "--market", MARKET, "--storage", "/nonexistent"), "no log"),
    "no runs": (("-m", "replay", "compare", "/nonexistent/a", "/nonexistent/b"), "is no run"),
    "no settings": (("agent_data_collector.py", "--config", "/nonexistent.yaml"), "cannot read settings"),
    "no settings either": (("agent_analyzer.py", "--config", "/nonexistent.yaml"), "cannot read settings"),
    "a file for a folder": (
        ("-m", "simulators.exchange", "record", "--market", "binance:BTCFDUSD", "--storage", "README.md"),
        "README.md",
    ),
    "a bad price": (("-m", "simulators.exchange", "serve", "--price", "1e5"), "1e5"),
    "bad SQL": (("-m", "research", "sql", "selec", "--market", MARKET, "--storage", "."), "Parser Error"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands_say_what_is_wrong_in_one_line(case: str) -> None:
    """No traceback, whatever the arguments."""
    arguments, word = COMMANDS[case]
    expect_one_line(command(*arguments), word)


@pytest.mark.parametrize("script", ["agent_data_collector.py", "agent_analyzer.py"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("redis: {embeded: true}", ("redis.embeded", "unknown key")),
        ("binance: {symbol: '${NOT_SET_ANYWHERE}'}", ("binance.symbol", "NOT_SET_ANYWHERE")),
        ("analyzer: {analysis: {interval_seconds: 7}}", ("analyzer.analysis.interval_seconds", "divide")),
        ("app: [", ("not YAML",)),
        (
            "analyzer: {analysis: {fitted_file: /nonexistent.json}}",
            ("/nonexistent.json", "analyzer.analysis.fitted_file"),
        ),
        ("analyzer: {analysis: {fitted_file: README.md}}", ("README.md", "not a file of fitted coefficients")),
        ("analyzer: {analysis: {ladder_policy: beside}}", ("analyzer.analysis.ladder_policy", "'front' or 'behind'")),
        ("redis: {host: 127.0.0.1, port: 9}", ("does not answer",)),
    ],
)
def test_daemons_name_the_settings_key(script: str, text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    """A bad settings file or a server that is not there ends a daemon with one line."""
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    logs = tmp_path / "logs"
    if "host" in text:
        path.write_text(
            f"app: {{logs_dir: {logs}}}\nredis: {{host: 127.0.0.1, port: 9, storage_dir: {tmp_path / 's'}}}"
        )
    expect_one_line(command(script, "--config", str(path)), *words)


def test_a_taken_port_is_named() -> None:
    """The simulated exchange says which port it cannot have."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        expect_one_line(command("-m", "simulators.exchange", "serve", "--port", str(port)), str(port))


def test_unwritable_places_are_named(tmp_path: Path) -> None:
    """An output that cannot be created, a runs folder that is a file."""
    storage = tmp_path / "storage"
    source = tmp_path / "trades.csv"
    source.write_text(GOOD)
    importing(source, storage)
    where = ("--market", MARKET, "--storage", str(storage))
    missing = os.path.join(tmp_path, "no", "such", "x.csv")
    expect_one_line(command("-m", "eventlog", "export", "-o", missing, *where), "No such file")
    expect_one_line(command("-m", "replay", "run", *where, "--out", str(source)), "trades.csv")
