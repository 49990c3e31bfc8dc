"""A recorded day through the command line: imported, replayed again and again, always with the same bytes."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from agents.recommendation import parse
from analysis.trades.absorption import NOTE
from market.instrument import Market
from replay.decisions import ticks_between
from replay.recorded.price_path import PricePath
from replay.scoring.episodes import Publication
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables
from runtime.open_log import open_log
from tests.commands import run_here
from tests.laws.test_slow_scorer import expect_same_scores

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("REAL_DATA_DIR") or ROOT.parent / "shared" / "data")
DAY = DATA / "aggtrades" / "BTCUSDT-aggTrades-2024-01-01.zip"
NO_BOOK = "no book was recorded: advice from trades alone"


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """A command as a user types it, over a whole day."""
    return run_here(*words, longest_s=600)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The day, imported."""
    if not DAY.exists():
        pytest.skip(f"no recorded day at {DAY}; set REAL_DATA_DIR to the folder that holds aggtrades/")
    folder = tmp_path_factory.mktemp("storage")
    done = command("eventlog", "import", "binance-aggtrades", str(DAY), "--market", "binance:BTCUSDT",
                   "--storage", str(folder))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "863,403" in done.stdout
    return folder


def replayed(storage: Path, out: Path, *options: str) -> tuple[Path, dict[str, Any]]:
    done = command("replay", "run", "--market", "binance:BTCUSDT", "--storage", str(storage), "--from", "2024-01-01",
                   "--to", "2024-01-01", "--out", str(out), "--json", *options)  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    return Path(result["folder"]), result


@pytest.fixture(scope="module")
def first(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replayed(storage, tmp_path_factory.mktemp("first"))[0]


def contents(folder: Path) -> dict[str, Any]:
    """All files as bytes, the manifest as values without its clock fields."""
    found: dict[str, Any] = {f.name: f.read_bytes() for f in folder.iterdir()}
    manifest = json.loads(found["manifest.json"])
    del manifest["clock"], manifest["checksum"]
    return found | {"manifest.json": manifest}


def test_one_analysis_a_minute(first: Path) -> None:
    """1440 analyses and recommendations, nearly all with zones, from trades alone, and that is said."""
    manifest = contents(first)["manifest.json"]
    assert manifest["analyses"] == manifest["recommendations"] == 1440
    assert 1400 < manifest["with_zones"] < 1440
    assert NO_BOOK in manifest["notes"]
    assert NO_BOOK in (first / "report.html").read_text(encoding="utf-8")
    bodies = pq.read_table(first / "recommendations.parquet").column("body").to_pylist()
    assert all(NO_BOOK in json.loads(body)["warnings"] for body in bodies)
    assert all(json.loads(body)["mid"] is None for body in bodies)


def test_again_is_the_same_bytes(first: Path, storage: Path, tmp_path: Path) -> None:
    """Another process in another folder writes the same files, clock fields aside."""
    again, _ = replayed(storage, tmp_path)
    assert contents(again) == contents(first)


@pytest.mark.soak
def test_two_workers_write_the_same_bytes(first: Path, storage: Path) -> None:
    """Over the existing run, two processes come out identical in every file."""
    folder, result = replayed(storage, first.parent, "--workers", "2")
    assert folder == first
    assert result["different"] == []


@pytest.fixture(scope="module")
def signals(storage: Path) -> dict[str, Any]:
    """What `replay signals` prints of the day."""
    done = command("replay", "signals", "--market", "binance:BTCUSDT", "--storage", str(storage), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.soak
def test_random_levels_are_rejected_as_on_any_trending_day(signals: dict[str, Any]) -> None:
    """docs/measures.md §4: touched within ε in an hour, 42–47 % of random levels are rejected, farther ones too."""
    whole, *octaves = signals["random_levels"]
    assert whole["levels"] > 25_000
    assert 0.42 <= whole["rejected"] <= 0.47
    assert all(0.41 <= each["rejected"] <= 0.47 for each in octaves)
    assert whole["open"] < 0.01 * whole["touched"]


@pytest.mark.soak
def test_absorption_does_not_beat_its_control(signals: dict[str, Any]) -> None:
    """The negative result that is printed wherever absorption is: no more often rejected than an extreme alone."""
    (found,) = (s for s in signals["scores"] if (s["signal"], s["figure"]) == ("absorption", "rejected"))
    assert found["value"] <= found["control_value"]
    assert f"{found['value']:.2f} of the time (n {found['samples']})" in NOTE
    assert f"{found['control_value']:.2f} (n {found['control_samples']})" in NOTE


@pytest.mark.soak
def test_no_signal_of_the_day_is_sure(signals: dict[str, Any]) -> None:
    """One day without a book: no figure of any signal beats its control once all are counted."""
    assert len([s for s in signals["scores"] if s["p"] is not None]) > 20
    assert [s for s in signals["scores"] if s["p"] is not None and s["p"] < 0.05] == []


def test_zones_hold_no_more_often_than_their_placebos(first: Path) -> None:
    """Neither differs from the other on this day, and both broke more often than a price without memory: a trend."""
    scores = pq.read_table(first / "scores.parquet").to_pylist()
    by_metric = {r["metric"]: r for r in scores if r["unit"] == "episode"}
    rejected, martingale, touched = (by_metric[m] for m in ("rejected", "rejected_martingale", "touched"))
    assert 0.40 <= rejected["placebo"] <= 0.50
    assert rejected["placebo_samples"] > 1_000
    assert rejected["low"] < 0 < rejected["high"]
    assert martingale["high"] < 0
    assert 0.54 <= martingale["placebo"] <= 0.57
    assert touched["samples"] == pq.read_table(first / "episodes.parquet").num_rows
    assert {r["blocks"] for r in scores if r["low"] is not None} == {12}
    assert min(r["p_corrected"] for r in scores if r["p_corrected"] is not None) > 0.05
    assert rejected["detectable"] > 0.07  # one day can show nothing smaller


def test_fills_bracket_the_truth(first: Path) -> None:
    """Whatever fills when a trade goes through a price filled at the touch too, and no later."""
    fills = pq.read_table(first / "fills.parquet").to_pylist()
    touch, through = ({f["order"]: f for f in fills if f["model"] == m} for m in ("touch", "through"))
    assert len(through) > 300
    assert set(through) <= set(touch)
    assert all(touch[order]["filled_ns"] <= fill["filled_ns"] for order, fill in through.items())
    orders = {o["order"]: o for o in pq.read_table(first / "orders.parquet").to_pylist()}
    assert all(orders[f["order"]]["start_ns"] <= f["filled_ns"] < orders[f["order"]]["stop_ns"] for f in fills)


@pytest.mark.slow
def test_every_figure_of_the_day_is_recomputed(storage: Path, first: Path) -> None:
    """From the advice that the run stored and the log's trades, by the slow scorer: every idea, fill and figure."""
    rows = pq.read_table(first / "recommendations.parquet").to_pylist()
    scoring = json.loads((first / "manifest.json").read_text())["inputs"]["scoring"]
    rules = ScoringRules(**scoring)
    with open_log(storage, Market.parse("binance:BTCUSDT")) as log:
        path = PricePath.from_log(log, 0)
        ticks = ticks_between(log, 0, 2**62)
    out_ns = dict(zip(ticks.seq.tolist(), (ticks.recv_ns + rules.publish_delay_ms * 10**6).tolist(), strict=True))
    advice = [Publication(parse(r["body"]), out_ns[r["as_of_seq"]], r["as_of_seq"]) for r in rows if r["body"]]
    tables = ScoreTables(*(pq.read_table(first / f"{n}.parquet") for n in ("episodes", "orders", "fills", "scores")))
    assert expect_same_scores(advice, path, tables, rules) > 200


def test_one_confidence_for_all_is_called_a_base_rate(first: Path) -> None:
    """It cannot tell zones apart, so it is compared with nothing; the shipped fit saw this day, and that is said."""
    episodes = pq.read_table(first / "episodes.parquet").to_pylist()
    decided = [e for e in episodes if e["outcome"] in ("rejected", "broken")]
    (confidence,) = {e["confidence"] for e in episodes}
    rows = {r["metric"]: r for r in pq.read_table(first / "scores.parquet").to_pylist()}
    assert (rows["base_rate"]["advice"], rows["base_rate"]["samples"]) == (
        pytest.approx(confidence, abs=1e-6),
        len(decided),
    )
    assert not {"brier", "ece", "resolution"} & set(rows)
    period = "binance:BTCUSDT 2024-01-01T00:01:00Z to 2024-01-02T00:00:00Z"
    assert f"in sample: base rate was fitted on {period}" in contents(first)["manifest.json"]["notes"]
