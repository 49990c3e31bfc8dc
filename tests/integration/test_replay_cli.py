"""`python -m replay` as a user types it: results on stdout, one line on stderr when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.market_builders import MARKET, a_market, write_log

ROOT = Path(__file__).resolve().parents[2]


def replay(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command line, with a plain terminal of fixed width."""
    return subprocess.run(
        [sys.executable, "-m", "replay", *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=120,
        check=False, env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety recorded minutes."""
    folder = tmp_path_factory.mktemp("storage")
    write_log(folder, a_market(61, 90), segments=2)
    return folder


@pytest.fixture(scope="module")
def finished(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    out = tmp_path_factory.mktemp("runs")
    done = replay("run", "--market", MARKET, "--storage", storage, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["folder"])


def said_aside(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines on stderr, without what a coverage measurement says about its own worker processes."""
    return [line for line in done.stderr.splitlines() if "coverage" not in line.lower() and "self.warn(" not in line]


def expect_refused(done: subprocess.CompletedProcess[str], *said: str) -> None:
    """One line on stderr that says each of some words, nothing on stdout, an exit code that is not 0."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in said:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--help",), ("run", "verify", "compare", "report")),
        (("run", "--help"), ("--market", "--storage", "--from", "--to", "--workers", "--out", "--json")),
        (("report", "--help"), ("--storage", "--output")),
    ],
)
def test_help(words: tuple[str, ...], said: tuple[str, ...]) -> None:
    """Each command explains itself and its options, and ends with 0."""
    done = replay(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    assert all(word in done.stdout for word in said)


def test_a_run_prints_its_scores(storage: Path, tmp_path: Path) -> None:
    """Counts, notes, the score table and the report's path; run again it says identical and still ends with 0."""
    words = ("run", "--market", MARKET, "--storage", storage, "--out", tmp_path, "--workers", "2")
    done = replay(*words)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run ")
    assert "90 analyses" in lines[0]
    assert any(line.startswith("rejected") for line in lines)
    report = Path(lines[-1].removeprefix("report: "))
    assert report.is_file()
    assert said_aside(done) == []
    again = replay(*words)
    assert again.returncode == 0
    assert "this run existed: identical again" in again.stdout
    (report.parent / "scores.parquet").unlink()
    (report.parent / "fills.parquet").write_bytes(b"x")
    (report.parent / "manifest.json").write_text("{}")
    third = replay(*words, "--json")
    assert third.returncode == 1
    assert json.loads(third.stdout)["different"] == ["fills.parquet", "scores.parquet", "manifest.json"]
    assert said_aside(third) == []


def test_compare(finished: Path, storage: Path) -> None:
    """A run compared with half of itself: what differs, how many ticks agree, every figure; the same as JSON."""
    half = replay("run", "--market", MARKET, "--storage", storage, "--out", finished.parent, "--json",
                  "--from", "2026-03-02T00:45:00Z")  # fmt: skip
    other = Path(json.loads(half.stdout)["folder"])
    done = replay("compare", finished, other)
    assert done.returncode == 0, done.stderr
    assert "of 45 common ticks have equal recommendations" in done.stdout
    assert "from: 2026-03-02T00:01:00Z | 2026-03-02T00:46:00Z" in done.stdout
    found = json.loads(replay("compare", finished, other, "--json").stdout)
    assert found["common_ticks"] == found["equal_recommendations"] == 45
    assert (found["a"], found["b"]) == (finished.name, other.name)


def test_report_is_drawn_again(finished: Path, storage: Path, tmp_path: Path) -> None:
    """From tables and log comes the same page, byte for byte."""
    done = replay("report", finished, "--storage", storage, "-o", tmp_path / "again.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (finished / "report.html").read_bytes()


def test_a_date_means_its_end(storage: Path, tmp_path: Path) -> None:
    """`--to` with a date, written either way, takes the whole day; the largest date there is does not overflow."""
    for to in ("20260302", "9999-12-31"):
        done = replay("run", "--market", MARKET, "--storage", storage, "--out", tmp_path, "--to", to, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["analyses"] == 90


RUN = ("run", "--out", "runs")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--market", "BTCUSDT"), ("'BTCUSDT' is no market", "venue:SYMBOL")),
        (("--market", "kraken:BTCUSDT"), ("kraken", "binance")),
        (("--market", "binance:NOSUCH"), ("no log events:{binance:NOSUCH}", "--storage")),
        (
            ("--market", str(MARKET), "--from", "2026-03-03"),
            ("no tick after 2026-03-03", "ticks from 2026-03-02T00:01"),
        ),
        (("--market", str(MARKET), "--from", "yesterday"), ("'yesterday' is no date", "2024-01-01")),
        (("--market", str(MARKET), "--to", "2026-02-30"), ("'2026-02-30' is no date",)),
        (("--market", str(MARKET), "--analyst", "oracle"), ("unknown analyst 'oracle'", "rules")),
        (("--market", str(MARKET), "--config", "nowhere.yaml"), ("nowhere.yaml", "--config")),
    ],
)
def test_what_cannot_be_run(storage: Path, tmp_path: Path, words: tuple[str, ...], said: tuple[str, ...]) -> None:
    """Market, log, range, date, analyst and settings are refused with what was found and what to do."""
    expect_refused(replay(*RUN, "--storage", storage, *words, cwd=tmp_path), *said)
    assert list(tmp_path.iterdir()) == []


def test_a_storage_that_is_not_there(tmp_path: Path) -> None:
    """A missing storage is named and not created."""
    expect_refused(replay(*RUN, "--market", MARKET, "--storage", tmp_path / "gone", cwd=tmp_path), "no log", "gone")
    assert list(tmp_path.iterdir()) == []


def test_an_out_folder_that_cannot_be_used(storage: Path, tmp_path: Path) -> None:
    """A file where the folder of runs should be is named."""
    (tmp_path / "runs").write_text("a file")
    expect_refused(
        replay("run", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs"), str(tmp_path / "runs")
    )
    below = tmp_path / "runs" / "below"
    expect_refused(replay("run", "--market", MARKET, "--storage", storage, "--out", below), str(tmp_path / "runs"))


def test_folders_that_are_no_runs(finished: Path, storage: Path, tmp_path: Path) -> None:
    """Compare and report refuse a folder without a run's manifest, and a page that cannot be written."""
    (tmp_path / "manifest.json").write_text("{}")
    expect_refused(replay("compare", finished, tmp_path), str(tmp_path), "is no run")
    expect_refused(replay("report", tmp_path / "nowhere", "--storage", storage), "nowhere is no run")
    target = tmp_path / "manifest.json" / "page.html"
    expect_refused(replay("report", finished, "--storage", storage, "-o", target), "cannot write", str(target))


def test_workers_are_counted(storage: Path, tmp_path: Path) -> None:
    """No workers at all is a usage error, said without a traceback."""
    done = replay(*RUN, "--market", MARKET, "--storage", storage, "--workers", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "--workers" in done.stderr
    assert "Traceback" not in done.stderr
