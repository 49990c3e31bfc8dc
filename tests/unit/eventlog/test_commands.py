"""`python -m eventlog` as a person uses it: what it prints, what it exits with."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.log.app import app
from tests.builders import (
    HEADER,
    T0,
    a_cold_log,
    a_gap,
    a_recording,
    a_tick,
    a_trade,
    archive_csv,
    archive_row,
    archive_zip,
)

T0_MS = T0 // 10**6


def run(*words: object, storage: Path | None = None) -> Result:
    """A command, on the usual market."""
    where = [] if storage is None else ["--market", "binance:BTCFDUSD", "--storage", str(storage)]
    return CliRunner().invoke(app, [*(str(w) for w in words), *where])


@pytest.fixture
def log_storage(tmp_path: Path) -> Path:
    """A storage with two files brought in, one with a header, one zipped."""
    plain = archive_csv(tmp_path / "a.csv", [archive_row(i, at=T0_MS + i) for i in range(1, 4)], HEADER)
    zip_file = archive_zip(tmp_path / "b.zip", {"b.csv": archive_row(4, at=T0_MS + 60_000) + "\n"})
    result = run("import", "binance-aggtrades", plain, zip_file, storage=tmp_path / "s")
    assert result.exit_code == 0, result.output
    assert "a.csv: 3 entries added, 1 tick" in result.output
    assert "b.zip: 1 entry added, 1 tick" in result.output
    return tmp_path / "s"


def test_check_exits_zero_only_for_a_complete_log(tmp_path: Path, log_storage: Path) -> None:
    """An open gap fails unless it is allowed; an unnamed gap, and a log without a trade, always fail."""
    assert run("check", storage=log_storage).exit_code == 0
    a_cold_log(tmp_path / "gap", [a_trade(1), a_gap(2, 2), a_trade(3)])
    assert run("check", storage=tmp_path / "gap").exit_code == 1
    assert run("check", "--allow-gaps", storage=tmp_path / "gap").exit_code == 0
    a_cold_log(tmp_path / "hole", [a_trade(1), a_trade(3)])
    result = run("check", "--allow-gaps", storage=tmp_path / "hole")
    assert result.exit_code == 1
    assert "NOT complete" in result.output
    assert "missing agg ids no gap names: 1: (2, 2)" in result.output
    a_cold_log(tmp_path / "nothing", [a_tick()])
    result = run("check", "--allow-gaps", storage=tmp_path / "nothing")
    assert result.exit_code == 1
    assert "no trade among 1 entries" in result.output


def test_check_speaks_json(log_storage: Path) -> None:
    """The full report, for programs."""
    report = json.loads(run("check", "--json", storage=log_storage).output)
    assert (report["complete"], report["trades"], report["entries"]) == (True, 4, 7)


def test_importing_again_says_so(tmp_path: Path, log_storage: Path) -> None:
    """Nothing is added, and that is no failure."""
    result = run("import", "binance-aggtrades", tmp_path / "a.csv", storage=log_storage)
    assert result.exit_code == 0
    assert "nothing added, 3 were there already" in result.output


def test_a_recording_is_brought_in(tmp_path: Path) -> None:
    """Trades, and what was passed over and could not be read."""
    lines = [
        (T0 + 1, a_trade(1).data),
        (T0 + 2, b'{"e":"kline"}'),
        (T0 + 3, a_trade(2).data.replace(b'"p":"100"', b'"p":"-1"')),
    ]
    path = a_recording(tmp_path / "r.gz", lines)
    result = run("import", "recording", path, storage=tmp_path / "s")
    assert result.exit_code == 0, result.output
    assert "1 cannot be parsed, quarantined, 1 message of other streams skipped" in " ".join(result.output.split())


@pytest.mark.parametrize("kind", ["agg_trade", "tick", "minute_buckets"])
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_export_writes_a_file(tmp_path: Path, log_storage: Path, kind: str, form: str) -> None:
    """Its rows are counted."""
    path = tmp_path / "out"
    result = run("export", "--kind", kind, "--format", form, "-o", path, storage=log_storage)
    rows = {"agg_trade": 4, "tick": 2, "minute_buckets": 2}[kind]
    assert result.exit_code == 0, result.output
    assert f"{rows:,} rows of {kind}" in result.output
    lines = len(path.read_bytes().splitlines())
    assert form == "parquet" or lines == rows + (form == "csv")


def test_export_overwrites_no_log(log_storage: Path) -> None:
    """Not even with what it holds itself."""
    files = {path: path.read_bytes() for path in log_storage.rglob("*.parquet")}
    result = run("export", "--format", "parquet", "-o", next(iter(files)), storage=log_storage)
    assert result.exit_code == 1
    assert "the folder of a log" in str(result.exception)
    assert {path: path.read_bytes() for path in log_storage.rglob("*.parquet")} == files


def test_export_writes_a_file_a_minute(tmp_path: Path, log_storage: Path) -> None:
    """The files older systems read."""
    result = run("export", "--kind", "trade_files", "--level", 1, "-o", tmp_path / "minutes", storage=log_storage)
    assert result.exit_code == 0
    names = sorted(p.name for p in (tmp_path / "minutes").iterdir())
    assert names == ["trades_20240101_0000.json", "trades_20240101_0001.json"]
    view = json.loads((tmp_path / "minutes" / names[0]).read_text())
    assert view["price_levels"]["100"]["trade_count"] == 3


def test_export_of_a_kind_without_rows_is_a_readable_file(tmp_path: Path, log_storage: Path) -> None:
    """A header and nothing below it."""
    result = run("export", "--kind", "diff", "-o", tmp_path / "out.csv", storage=log_storage)
    assert result.exit_code == 0
    assert (tmp_path / "out.csv").read_text().startswith('"seq","recv"')


def test_export_names_the_kinds_there_are(tmp_path: Path, log_storage: Path) -> None:
    """A mistyped kind writes nothing."""
    result = run("export", "--kind", "trades", "-o", tmp_path / "out", storage=log_storage)
    assert "unknown kind 'trades'; kinds: agg_trade, snapshot" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_tail_prints_the_last_entries_in_order(log_storage: Path) -> None:
    """Kinds mixed, a line each."""
    lines = run("tail", "-n", 3, storage=log_storage).output.splitlines()
    assert [line.split()[0] for line in lines] == ["5", "6", "7"]
    assert [line.split()[2] for line in lines] == ["tick", "agg_trade", "tick"]
    assert "price=100.5" in lines[1]


def test_follow_needs_a_server(log_storage: Path) -> None:
    """Nothing will ever come otherwise."""
    assert "needs a running collector" in str(run("tail", "-f", storage=log_storage).exception)


def test_compact_merges_closed_days(tmp_path: Path) -> None:
    """And says how many segments went."""
    a_cold_log(tmp_path, [a_trade(1)], [a_tick()], [a_trade(2)])
    result = run("compact", storage=tmp_path)
    assert "2 segments merged away" in result.output
    assert "1 remain" in result.output


def test_compact_speaks_json(tmp_path: Path) -> None:
    """How many segments went, and how many remain."""
    a_cold_log(tmp_path, [a_trade(1)], [a_trade(2)])
    report = json.loads(run("compact", "--json", storage=tmp_path).stdout)
    assert (report["log"], report["merged_away"], report["segments"]) == ("events:{binance:BTCFDUSD}", 1, 1)


@pytest.mark.parametrize("words", [["check"], ["tail"], ["compact"], ["export", "-o", "x"]])
def test_a_log_that_is_not_there_is_one_line(tmp_path: Path, words: list[str]) -> None:
    """With what to look at, and without making it."""
    result = run(*words, storage=tmp_path / "none")
    assert "check --market and --storage" in str(result.exception)
    assert not (tmp_path / "none").exists()


def test_every_command_explains_itself() -> None:
    """`--help` everywhere."""
    for words in (
        [],
        ["check"],
        ["import", "binance-aggtrades"],
        ["import", "recording"],
        ["export"],
        ["tail"],
        ["rebuild-catalogue"],
    ):
        result = run(*words, "--help")
        assert result.exit_code == 0
        assert "Usage" in result.output
