"""A run is a folder named by its inputs: the same inputs, the same bytes; whatever differs is named."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.fitted import CONFIDENCE_FEATURES, Logistic
from analysis.parameters import Parameters
from eventlog.clock import ManualClock
from eventlog.disk.files import file_digest
from eventlog.disk.sealed_json import seal_fields
from eventlog.facts.market import AGG_TRADE
from market.timestamps import MINUTE_NS
from replay.errors import BadRun, BadZones, NothingToReplay
from replay.runs import finished_runs
from replay.runs.log_digest import log_digest
from replay.runs.own_zones import OwnZones
from replay.runs.run import UNITS, Request, Result, run
from replay.scoring.rules import ScoringRules
from runtime.analysis_config import AnalysisConfig
from runtime.open_log import open_log
from tests.builders import a_diff, a_log
from tests.market_builders import (
    MARKET,
    SIGHT,
    SMALL_WINDOWS,
    T0,
    a_market,
    e8,
    numbered,
    trade_columns,
    write_log,
)

RULES = ScoringRules(2000, 250, 1.0, 0.0, 5, 1, 2.0, 2.0)
EVERYTHING = Request(str(MARKET), 0, 2**62, SIGHT, RULES)
TABLES = ("episodes", "fills", "orders", "recommendations", "scores")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 100 minutes in three segments."""
    folder = tmp_path_factory.mktemp("storage")
    write_log(folder, a_market(21, 100), segments=3)
    return folder


def a_run(storage: Path, out: Path, request: Request = EVERYTHING, workers: int = 1, clock_ns: int = T0) -> Result:
    return run(
        partial(open_log, storage, MARKET), request, out, workers, ManualClock(clock_ns), lambda done, total: None
    )


@pytest.fixture(scope="module")
def first_run(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return a_run(storage, tmp_path_factory.mktemp("runs"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, the manifest without its clock fields."""
    files = {f.name: f.read_bytes() for f in folder.iterdir()}
    manifest = json.loads(files["manifest.json"])
    assert set(manifest.pop("clock")) == {"started", "finished", "seconds"}
    assert len(manifest.pop("checksum")) == 16
    return files | {"manifest.json": json.dumps(manifest).encode()}


def test_what_a_run_leaves(first_run: Result) -> None:
    """A manifest, five tables and a report; the manifest counts and digests them."""
    names = sorted(f.name for f in first_run.folder.iterdir())
    assert names == sorted(["manifest.json", "report.html", *(f"{t}.parquet" for t in TABLES)])
    manifest = json.loads((first_run.folder / "manifest.json").read_text())
    assert first_run.folder.name == manifest["run_id"]
    assert sorted(manifest["files"]) == [n for n in names if n != "manifest.json"]
    decisions = pq.read_table(first_run.folder / "recommendations.parquet")
    assert manifest["analyses"] == decisions.num_rows == 100
    assert manifest["recommendations"] == 100 - decisions.column("body").null_count < 100
    assert manifest["with_zones"] == sum(z > 0 for z in decisions.column("zones").to_pylist())
    assert manifest["episodes"] == pq.read_table(first_run.folder / "episodes.parquet").num_rows > 0
    assert sorted(p.name for p in first_run.folder.parent.iterdir()) == sorted([first_run.folder.name, "runs.jsonl"])


def test_same_inputs_same_bytes(first_run: Result, storage: Path, tmp_path: Path) -> None:
    """Elsewhere and at another time the same log gives the same folder, clock fields aside."""
    other = a_run(storage, tmp_path, clock_ns=T0 + 10**18)
    assert other.folder.name == first_run.folder.name
    assert contents(other.folder) == contents(first_run.folder)
    assert other.differing_files is None


def test_segments_do_not_matter(first_run: Result, tmp_path: Path) -> None:
    """The same entries in one segment have the same digest, decisions and scores."""
    write_log(tmp_path / "storage", a_market(21, 100))
    assert contents(a_run(tmp_path / "storage", tmp_path / "runs").folder) == contents(first_run.folder)


def test_an_existing_run_is_recomputed_and_kept(storage: Path, tmp_path: Path) -> None:
    """Run again it says identical and leaves the first folder as it was, clock included."""
    first = a_run(storage, tmp_path)
    before = (first.folder / "manifest.json").read_bytes()
    second = a_run(storage, tmp_path, clock_ns=T0 + 10**15)
    assert second.differing_files == []
    assert (first.folder / "manifest.json").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([first.folder.name, "runs.jsonl"])
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 1


@pytest.mark.slow
def test_tampering_is_named(storage: Path, tmp_path: Path) -> None:
    """A changed, a missing and an unreadable file of an existing run are named as different."""
    folder = a_run(storage, tmp_path).folder
    (folder / "scores.parquet").write_bytes(b"nothing")
    assert a_run(storage, tmp_path).differing_files == ["scores.parquet"]
    (folder / "fills.parquet").unlink()
    assert a_run(storage, tmp_path).differing_files == ["fills.parquet", "scores.parquet"]
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"episodes": 0}))
    assert a_run(storage, tmp_path).differing_files == ["fills.parquet", "scores.parquet", "manifest.json"]
    (folder / "manifest.json").write_text("{cut sho")
    assert a_run(storage, tmp_path).differing_files == ["fills.parquet", "scores.parquet", "manifest.json"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_",
    [
        replace(EVERYTHING, rules=replace(RULES, seed=2)),
        replace(EVERYTHING, rules=replace(RULES, latency_ms=300)),
        replace(EVERYTHING, from_ns=T0 + 50 * MINUTE_NS),
        replace(EVERYTHING, config=AnalysisConfig(MARKET.symbol, SMALL_WINDOWS, Parameters(horizons_min=(30, 60)))),
        replace(
            EVERYTHING,
            config=AnalysisConfig(MARKET.symbol, replace(SMALL_WINDOWS, snapshot_slots=10), SIGHT.parameters),
        ),
    ],
)
def test_other_inputs_are_another_run(first_run: Result, storage: Path, tmp_path: Path, request_: Request) -> None:
    """Seed, latency, range, thresholds and windows are part of a run's name."""
    assert a_run(storage, tmp_path, request_).folder.name != first_run.folder.name


def test_one_other_trade_is_another_log(tmp_path: Path) -> None:
    """A single price that differs by a hundred-millionth changes the log's digest; a cut into segments does not."""
    prices = [e8(100), e8(101), e8(102)]
    rows = []
    for number, price in enumerate((e8(101), e8(101) + 1)):
        columns = trade_columns([T0 + 1, T0 + 2, T0 + 3], [prices[0], price, prices[2]])
        rows.append(write_log(tmp_path / str(number), numbered({AGG_TRADE: columns})))
    assert log_digest(rows[0], 0, 3) != log_digest(rows[1], 0, 3)
    assert log_digest(rows[0], 0, 1) == log_digest(rows[1], 0, 1)


def test_one_other_change_of_the_book_is_another_log(tmp_path: Path) -> None:
    """A size, and the row that a level belongs to; where one segment ends and the next begins is none of both."""
    level, more = ("99", "1"), ("98", "2")
    contents = [
        [a_diff(11, 12, [level, more], [level]), a_diff(13, 14, [], [])],
        [a_diff(11, 12, [level, more], [("99", "2")]), a_diff(13, 14, [], [])],
        [a_diff(11, 12, [level], [level]), a_diff(13, 14, [more], [])],
    ]
    digests = {log_digest(a_log(tmp_path / str(n), facts), 0, 2) for n, facts in enumerate(contents)}
    assert len(digests) == 3
    assert log_digest(a_log(tmp_path / "pieces", contents[0][:1], contents[0][1:]), 0, 2) in digests


@pytest.mark.slow
def test_a_range_takes_boundaries_after_and_up_to(storage: Path, tmp_path: Path) -> None:
    """From minute 40 to 60 there are twenty ticks: 41 to 60, decided as in the whole run."""
    part = a_run(storage, tmp_path, replace(EVERYTHING, from_ns=T0 + 40 * MINUTE_NS, to_ns=T0 + 60 * MINUTE_NS))
    complete = a_run(storage, tmp_path)
    mine, all_ = (pq.read_table(r.folder / "recommendations.parquet").to_pylist() for r in (part, complete))
    assert [(r["as_of_ns"] - T0) // MINUTE_NS for r in mine] == list(range(41, 61))
    assert mine == [r for r in all_ if r["as_of_ns"] in {m["as_of_ns"] for m in mine}]


def test_no_tick_in_range(storage: Path, tmp_path: Path) -> None:
    """An empty range says which ticks there are; a log without ticks says that. No folder is left."""
    with pytest.raises(NothingToReplay, match=r"ticks from 2026-03-02T00:01:00Z to 2026-03-02T01:40:00Z"):
        a_run(storage, tmp_path / "runs", replace(EVERYTHING, from_ns=T0 + 200 * MINUTE_NS))
    write_log(tmp_path / "storage", numbered({AGG_TRADE: trade_columns([T0], [e8(100)])}))
    with pytest.raises(NothingToReplay, match="holds no tick"):
        a_run(tmp_path / "storage", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_run_that_cannot_be_finished_leaves_nothing(storage: Path, tmp_path: Path) -> None:
    """It is written while it goes on; what was written goes with it."""
    elsewhere = OwnZones("0" * 32, {10**9: (("buy", e8(99), e8(99), 1.0),)})
    with pytest.raises(BadZones, match="is no tick of this stretch"):
        a_run(storage, tmp_path, replace(EVERYTHING, own_zones=elsewhere))
    assert list(tmp_path.iterdir()) == []


def test_compare_names_what_differs(first_run: Result, storage: Path, tmp_path: Path) -> None:
    """Another seed gives the same decisions and advice figures; only the scoring inputs differ."""
    other = a_run(storage, tmp_path, replace(EVERYTHING, rules=replace(RULES, seed=2)))
    result = finished_runs.compare(finished_runs.load(first_run.folder), finished_runs.load(other.folder))
    assert list(result["inputs"]) == ["scoring"]
    assert [side["seed"] for side in result["inputs"]["scoring"]] == [1, 2]
    assert result["equal_recommendations"] == result["common_ticks"] == 100
    assert {f["difference"] for f in result["figures"]} <= {0.0, None}
    assert (result["a"], result["b"]) == (first_run.folder.name, other.folder.name)


def test_compare_counts_common_ticks(first_run: Result, storage: Path, tmp_path: Path) -> None:
    """A run of half the range with other thresholds shares its ticks, and few of its recommendations."""
    sight = AnalysisConfig(MARKET.symbol, SMALL_WINDOWS, replace(SIGHT.parameters, zone_half_width_bp=9.0))
    part = a_run(storage, tmp_path, replace(EVERYTHING, from_ns=T0 + 50 * MINUTE_NS, config=sight))
    result = finished_runs.compare(finished_runs.load(first_run.folder), finished_runs.load(part.folder))
    assert set(result["inputs"]) == {"from", "parameters"}
    assert result["common_ticks"] == 50
    assert result["equal_recommendations"] < 25
    figures = {(f["metric"], f["unit"]): f for f in result["figures"] if f["model"] is None}
    touches = figures["touched", "episode"]
    assert touches["difference"] == pytest.approx(touches["b"] - touches["a"], abs=1e-6)


def test_two_markets_cannot_be_compared(first_run: Result, tmp_path: Path) -> None:
    """Runs about different markets are refused by name."""
    shutil.copytree(first_run.folder, tmp_path / "other")
    manifest = json.loads((tmp_path / "other" / "manifest.json").read_text())
    del manifest["checksum"]
    manifest["inputs"]["market"] = "binance:ETHUSDT"
    (tmp_path / "other" / "manifest.json").write_bytes(seal_fields(manifest))
    with pytest.raises(BadRun, match="TESTUSDT, the other about binance:ETHUSDT"):
        finished_runs.compare(finished_runs.load(first_run.folder), finished_runs.load(tmp_path / "other"))


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"run_id": "x"}', "\xff"])
def test_a_folder_that_is_no_run(tmp_path: Path, text: str | None) -> None:
    """A missing, broken or foreign manifest is refused with the folder's name and the mend."""
    if text is not None:
        (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadRun, match=r"is no run: .*name a folder"):
        finished_runs.load(tmp_path)


def test_a_damaged_table_is_said(first_run: Result, tmp_path: Path) -> None:
    """A table that is missing or no Parquet is named, by its digest or by whoever gave it one."""
    shutil.copytree(first_run.folder, tmp_path / "run")
    run_copy = finished_runs.load(tmp_path / "run")
    (tmp_path / "run" / "scores.parquet").write_bytes(b"PAR1nothing")
    (tmp_path / "run" / "fills.parquet").unlink()
    with pytest.raises(BadRun, match=r"scores\.parquet is not as it was written"):
        run_copy.table("scores")
    with pytest.raises(BadRun, match=r"fills\.parquet: No such file or directory; run the replay again"):
        run_copy.table("fills")
    run_copy.manifest["files"]["scores.parquet"] = file_digest(tmp_path / "run" / "scores.parquet")
    with pytest.raises(BadRun, match=r"scores\.parquet cannot be read"):
        run_copy.table("scores")


def with_fit(confidence: Logistic) -> Request:
    return replace(EVERYTHING, config=replace(SIGHT, parameters=replace(SIGHT.parameters, confidence=confidence)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("market", "first", "last", "inside"),
    [
        (str(MARKET), "2026-03-02T00:00:00Z", "2026-03-02T00:01:00Z", True),
        (str(MARKET), "2026-03-02T01:40:00Z", "2026-03-09T00:00:00Z", True),
        (str(MARKET), "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", False),
        (str(MARKET), "2026-03-02T01:41:00Z", "2026-03-03T00:00:00Z", False),
        ("binance:OTHER", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", False),
    ],
)
def test_scores_inside_a_fit_are_in_sample(
    storage: Path, tmp_path: Path, market: str, first: str, last: str, inside: bool
) -> None:
    """A run from 00:01 to 01:40 that shares market and a moment with the fit says so, in its notes and its report."""
    fit = Logistic("a test", CONFIDENCE_FEATURES, (0.1, 0.0, 0.0, 0.0), 50, ((market, first, last),))
    done = a_run(storage, tmp_path, with_fit(fit))
    message = f"in sample: base rate was fitted on {market} {first} to {last}"
    assert (message in done.manifest["notes"]) is inside
    assert (message in (done.folder / "report.html").read_text(encoding="utf-8")) is inside
    assert "base rate fitted on a test" in done.manifest["notes"]


def test_what_is_known_of_every_run_is_in_its_notes(first_run: Result) -> None:
    """No fit, no word on samples; what markouts and calibration are measured against is always said."""
    notes = first_run.manifest["notes"]
    assert notes[-2:] == ["markouts are against last trades and contain the bid-ask bounce", UNITS]
    assert not any(note.startswith("in sample") for note in notes)
