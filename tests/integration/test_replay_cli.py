"""`python -m replay` as a user types it: results on stdout, one line on stderr when something is wrong."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from replay.scoring.figures import SHOWN_MODELS
from replay.signals.signals import SIGNALS
from tests.commands import run_here
from tests.market_builders import MARKET, a_market, write_log

ROOT = Path(__file__).resolve().parents[2]


def replay(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command line, with a plain terminal of fixed width."""
    plain = {"PYTHONPATH": str(ROOT), "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}
    return run_here("replay", *words, cwd=cwd, environment=os.environ | plain)


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
        (("--help",), ("run", "verify", "compare", "report", "picture", "fit", "signals")),
        (("run", "--help"), ("--market", "--storage", "--from", "--to", "--workers", "--out", "--json")),
        (("report", "--help"), ("--storage", "--output")),
        (("picture", "--help"), ("--market", "--storage", "--at", "--output")),
        (("fit", "--help"), ("MARKET@DIR", "--output", "--config")),
        (("signals", "--help"), ("--market", "--storage", "--from", "--to", "--json")),
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


def strictly(text: str) -> Any:
    """JSON by its standard, which knows no NaN."""

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_run_as_json_holds_what_the_screen_shows(finished: Path, storage: Path) -> None:
    """Counts, notes, every line of the score table with its interval, and the report's path."""
    where = ("run", "--market", MARKET, "--storage", storage, "--out", finished.parent)
    found, lines = strictly(replay(*where, "--json").stdout), replay(*where).stdout.splitlines()
    assert found["scores"] == pq.read_table(finished / "scores.parquet").to_pylist()
    assert found["report"] == lines[-1].removeprefix("report: ")
    assert found["notes"] == [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]
    counts = [f"{found[name]:,}" for name in ("analyses", "recommendations", "with_zones", "episodes")]
    assert re.findall(r"([0-9][0-9,]*) ", lines[0].partition(": ")[2]) == counts
    told = [row for row in found["scores"] if row["unit"] != "every minute" and row["model"] in SHOWN_MODELS]
    first = next(n for n, line in enumerate(lines) if line.startswith("figure")) + 1
    stop = next(n for n, line in enumerate(lines) if line.startswith("→"))
    table, said = lines[first:stop], [line.removeprefix("→ ") for line in lines[stop:-3]]
    assert said == found["conclusions"]
    assert lines[-3].startswith("tried on these prices: 1")
    assert len(table) == len(told)
    for line, row in zip(table, told, strict=True):
        assert line.startswith(row["metric"])
        assert f"{row['samples']:,}" in line
        for name in ("advice", "placebo", "low", "high"):
            assert row[name] is None or f"{row[name]:.3f}" in line


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("report", "RUN", "--storage", "STORAGE", "-o", "a.html"), {"run_id", "report"}),
        (("picture", "--market", MARKET, "--storage", "STORAGE", "--at", "2026-03-02T01:00", "-o", "a.png"),
         {"picture", "as_of", "as_of_seq", "origin", "zones"}),
        (("fit", f"{MARKET}@STORAGE", "-o", "f.json"), {"fitted", "file"}),
        (("signals", "--market", MARKET, "--storage", "STORAGE"), {"notes", "scores", "random_levels", "book_flow"}),
        (("compare", "RUN", "RUN"), {"a", "b", "inputs", "common_ticks", "equal_recommendations", "figures"}),
        (("probe", "--market", MARKET, "--storage", "STORAGE", "--every", "30"), {"analyst", "changes", "notes"}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_every_result_as_json(
    finished: Path, storage: Path, tmp_path: Path, words: tuple[str, ...], keys: set[str]
) -> None:
    """One valid object on stdout, its keys known, and nothing else there."""
    named = [str(w).replace("RUN", str(finished)).replace("STORAGE", str(storage)) for w in words]
    done = replay(*named, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert strictly(done.stdout).keys() == keys


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


def test_a_report_is_drawn_over_the_runs_own_log_alone(finished: Path, tmp_path: Path) -> None:
    """Prices of another log of the same market would stand under its figures."""
    write_log(tmp_path, a_market(7, 91))
    done = replay("report", finished, "--storage", tmp_path, "-o", tmp_path / "again.html")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {finished} was made from other data than {tmp_path} has for {MARKET} now; ")
    assert not (tmp_path / "again.html").exists()


def test_a_report_is_not_written_through_a_link(finished: Path, storage: Path, tmp_path: Path) -> None:
    """A run is handed on, and a link with it: where that leads is left as it is, unless the user says so himself."""
    link = tmp_path / "run"
    link.symlink_to(finished)
    before = (finished / "report.html").stat().st_mtime_ns
    done = replay("report", link, "--storage", storage)
    assert done.returncode == 1
    assert (
        done.stderr == f"error: {link} is a link, and reports are not written through links; name a file with -o FILE\n"
    )
    assert (finished / "report.html").stat().st_mtime_ns == before
    assert replay("report", link, "--storage", storage, "-o", tmp_path / "again.html").returncode == 0


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


def test_signals_as_json_and_as_lines(storage: Path) -> None:
    """Every signal with its control; the same again as a table, with a word on the book flow that is not there."""
    words = ("signals", "--market", MARKET, "--storage", storage, "--from", "2026-03-02T00:30")
    done = replay(*words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {s["signal"]: s["control"] for s in found["scores"]} == SIGNALS
    assert found["book_flow"] == []
    sighted = {s["signal"]: s["sightings"] for s in found["scores"]}
    assert sighted["wall"] > 0
    lines = replay(*words).stdout.splitlines()
    assert f"wall: sighted {sighted['wall']:,} times; control: ordinary level, same distance" in lines
    assert "queue imbalance: not sighted" in lines
    assert lines[-1] == "no whole book between ticks: nothing to say about book flow"


def notes_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The notes on samples of a run or of signals."""
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("note: in sample")]


def test_days_that_thresholds_were_chosen_on_are_in_sample(storage: Path, tmp_path: Path) -> None:
    """Named in the settings, they are named by a run, its report and the signals, where they were scored."""
    config, where = tmp_path / "settings.yaml", ("--market", MARKET, "--storage", storage)
    said = "in sample: thresholds were chosen on 2026-03-02"
    for day, lines in (("2026-03-02", [f"note: {said}"]), ("2026-03-03", [])):
        config.write_text(f"analyzer: {{analysis: {{thresholds_chosen_on: [{day}]}}}}\n")
        done = replay("run", *where, "--config", config, "--out", tmp_path / day)
        assert notes_of(done) == lines
        (page,) = (tmp_path / day).glob("*/report.html")
        assert (said in page.read_text(encoding="utf-8")) is bool(lines)
        assert notes_of(replay("signals", *where, "--config", config)) == lines
    config.write_text("analyzer: {analysis: {thresholds_chosen_on: [yesterday]}}\n")
    expect_refused(replay("run", *where, "--config", config), "thresholds_chosen_on", "must be a date like 2026-10-01")


def test_a_day_scored_before_under_other_thresholds_is_in_sample(storage: Path, tmp_path: Path) -> None:
    """The second set of thresholds on one day in one folder of runs; the first is none, however often it is run."""
    config, where = tmp_path / "settings.yaml", ("run", "--market", MARKET, "--storage", storage, "--out", tmp_path)
    config.write_text("analyzer: {analysis: {ladder_rungs: 2}}\n")
    said = "note: in sample: 2026-03-02 was scored before with other thresholds, coefficients or zones; these may be"
    assert notes_of(replay(*where)) == []
    (line,) = notes_of(replay(*where, "--config", config))
    assert line.startswith(said)
    again = replay(*where)
    assert "identical again" in again.stdout
    assert notes_of(again) == []
    assert json.loads(replay(*where, "--config", config, "--json").stdout)["tried"]["days_before"] == ["2026-03-02"]


@pytest.mark.slow
def test_a_fit_is_written_used_and_named(tmp_path: Path) -> None:
    """Fitted on a log of ten hours, named in the settings, it changes the run, which says that it is in sample."""
    file, storage = tmp_path / "fit.json", tmp_path / "storage"
    write_log(storage, a_market(64, 600))
    done = replay("fit", f"{MARKET}@{storage}", "-o", file)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["pull", "confidence"]
    assert f"outcomes of {MARKET} 2026-03-02T00:01:00Z to 2026-03-02T10:00:00Z" in lines[1]
    assert lines[1].endswith(
        "not judged on later days, which needs two days and ten outcomes of each kind: a base rate"
    )
    assert lines[2] == str(file)
    before = file.read_bytes()
    assert replay("fit", f"{MARKET}@{storage}", "-o", file).returncode == 0
    assert file.read_bytes() == before
    config = tmp_path / "settings.yaml"
    config.write_text(f"analyzer: {{analysis: {{fitted_file: {file}}}}}\n")
    where = ("run", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs")
    ran = replay(*where, "--config", config)
    assert ran.returncode == 0, ran.stderr
    period = f"{MARKET} 2026-03-02T00:01:00Z to 2026-03-02T10:00:00Z"
    assert f"note: in sample: base rate was fitted on {period}" in ran.stdout.splitlines()
    assert any(line.startswith("brier") for line in ran.stdout.splitlines())
    fitted = json.loads(next((tmp_path / "runs").glob("*/manifest.json")).read_bytes())
    plain = json.loads(replay(*where, "--json").stdout)
    assert plain["inputs"]["parameters"] != fitted["inputs"]["parameters"]


@pytest.mark.slow
def test_a_fit_on_two_days_is_judged_on_the_second(tmp_path: Path) -> None:
    """Forty-two hours by chance: eighteen are judged in nine blocks, nothing tells zones apart: a base rate."""
    file, storage = tmp_path / "fit.json", tmp_path / "storage"
    write_log(storage, a_market(64, 42 * 60, per_minute=20, books=False))
    done = replay("fit", f"{MARKET}@{storage}", "-o", file)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("confidence: "))
    interval = r"[+-]0\.\d{4} \(-0\.\d{4} … \+0\.\d{4}\)"
    days = "2026-03-03 to 2026-03-03, fitted on 2026-03-02 to 2026-03-02"
    assert re.search(rf"; resolution {interval} of \d+ outcomes of {days}: a base rate$", line), line
    judged = json.loads(file.read_bytes())["confidence"]["resolution"]
    assert judged["low"] < judged["mean"] < judged["high"]
    assert (judged["blocks"], judged["judged_on"]) == (9, "2026-03-03 to 2026-03-03")


def test_a_picture_is_drawn(storage: Path, tmp_path: Path) -> None:
    """The path is printed; the file is a PNG or an SVG of the last tick up to a time."""
    for name, start in (("a.png", b"\x89PNG\r\n\x1a\n"), ("a.svg", b"<?xml")):
        done = replay("picture", "--market", MARKET, "--storage", storage, "--at", "2026-03-02T01:00", "-o",
                      tmp_path / name)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    assert "at 2026-03-02T01:00:00Z" in (tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that was created and holds nothing."""
    folder = tmp_path_factory.mktemp("empty")
    ColdLog(folder, LogName("events", MARKET)).create(1)
    return folder


HERE, EMPTY = "<storage>", "<empty>"
OF = ("--market", str(MARKET), "--storage")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("signals", *OF, EMPTY), ("holds no tick in that time range",)),
        (("signals", *OF, HERE, "--from", "2026-03-03"), ("holds no tick in that time range",)),
        (("signals", *OF, HERE, "--from", "soon"), ("'soon' is no date",)),
        (("signals", "--market", "binance:NOSUCH", "--storage", HERE), ("no log events:{binance:NOSUCH}",)),
        (("fit", "binance:TESTUSDT", "-o", "f.json"), ("'binance:TESTUSDT' is not MARKET@DIR", "BTCUSDT@data")),
        (("fit", "binance:TESTUSDT@", "-o", "f.json"), ("is not MARKET@DIR",)),
        (("fit", f"TESTUSDT@{HERE}", "-o", "f.json"), ("'TESTUSDT' is no market", "venue:SYMBOL")),
        (("fit", f"binance:NOSUCH@{HERE}", "-o", "f.json"), ("no log events:{binance:NOSUCH}",)),
        (("fit", f"{MARKET}@nowhere", "-o", "f.json"), ("no log", "nowhere")),
        (("fit", f"{MARKET}@{HERE}", f"{MARKET}", "-o", "f.json"), ("is not MARKET@DIR",)),
        (("picture", *OF, EMPTY, "--at", "2026-03-02", "-o", "p.png"), ("holds no tick at or before 2026-03-02",)),
        (("picture", *OF, HERE, "--at", "2026-03-01", "-o", "p.png"), ("holds no tick at or before 2026-03-01",)),
        (("picture", *OF, HERE, "--at", "2026-03-02T01:00", "-o", "p.jpg"), ("p.jpg must end in .png or .svg",)),
        (("picture", *OF, HERE, "--at", "noon", "-o", "p.png"), ("'noon' is no date",)),
        (("picture", *OF, HERE, "--at", "2026-03-02T01:00", "-o", "no/p.png"), ("cannot write no/p.png",)),
        (
            ("picture", "--market", "binance:NOSUCH", "--storage", HERE, "--at", "2026-03-02", "-o", "p.png"),
            ("no log",),
        ),
    ],
)
def test_what_signals_fit_and_picture_cannot_do(
    storage: Path, empty: Path, tmp_path: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    """One line each, and no file."""
    typed = [w.replace(HERE, str(storage)).replace(EMPTY, str(empty)) for w in words]
    expect_refused(replay(*typed, cwd=tmp_path), *said)
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_teaches_nothing(empty: Path, tmp_path: Path) -> None:
    """Why neither probability could be fitted is printed, the mend is on the error line, and no file is left."""
    done = replay("fit", f"{MARKET}@{empty}", "-o", tmp_path / "fit.json")
    assert done.returncode == 1
    why = "0 of 0 outcomes are positive; ten of each kind are needed"
    assert done.stdout.splitlines() == [f"pull: {why}", f"confidence: {why}"]
    assert done.stderr.strip() == "error: nothing could be fitted; use longer logs"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, ("cannot read", "fit.json", "analyzer.analysis.fitted_file")),
        ("{}", ("fit.json: it holds no fitted",)),
    ],
)
@pytest.mark.parametrize("command", ["run", "signals", "picture", "fit"])
def test_a_fitted_file_that_cannot_be_used(
    storage: Path, tmp_path: Path, command: str, body: str | None, said: tuple[str, ...]
) -> None:
    """Every command that reads settings names the file and the key."""
    (tmp_path / "settings.yaml").write_text("analyzer: {analysis: {fitted_file: fit.json}}")
    if body is not None:
        (tmp_path / "fit.json").write_text(body)
    where = [*OF, str(storage)]
    words = {
        "run": ["run", *where], "signals": ["signals", *where], "fit": ["fit", f"{MARKET}@{storage}", "-o", "f.json"],
        "picture": ["picture", *where, "--at", "2026-03-02T01:00", "-o", "p.png"],
    }[command]  # fmt: skip
    expect_refused(replay(*words, "--config", "settings.yaml", cwd=tmp_path), *said)
    assert sorted(p.name for p in tmp_path.iterdir()) == (["fit.json"] if body is not None else []) + ["settings.yaml"]
