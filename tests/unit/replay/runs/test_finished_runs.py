"""Finished runs are read as they were written, or one line says what was changed."""

import json
import os
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlog.disk.files import file_digest
from eventlog.disk.sealed_json import seal_fields
from replay.errors import BadRun
from replay.runs.finished_runs import compare, load

TABLES = ("recommendations", "episodes", "orders", "fills", "scores")


def a_run(folder: Path) -> Path:
    """Five tables and a manifest that vouches for them."""
    folder.mkdir()
    for name in TABLES:
        columns = {"as_of_ns": [1, 2, 3], "body": ["a", None, "c"], "metric": ["x", "y", "z"], "unit": ["u"] * 3}
        figures = {"model": [None, "touch", None], "advice": [0.25, -1.5, None], "samples": [4, 5, 6]}
        pq.write_table(pa.table({**columns, **figures}), folder / f"{name}.parquet", compression="zstd")
    (folder / "report.html").write_text("<p>report</p>")
    body = {
        "run_id": folder.name,
        "inputs": {"market": "binance:BTCFDUSD", "seq": [1, 2]},
        "analyses": 3,
        "recommendations": 2,
        "with_zones": 1,
        "episodes": 1,
        "notes": ["a note"],
        "files": {path.name: file_digest(path) for path in sorted(folder.iterdir())},
        "clock": {"started": "2024-01-01", "finished": "2024-01-01", "seconds": 0.0},
    }
    (folder / "manifest.json").write_bytes(seal_fields(body))
    return folder


def read_all(folder: Path) -> object:
    """All that a reader gets of a run."""
    run = load(folder)
    run.expect_intact(folder / "report.html")
    return run.manifest, [run.table(name).to_pylist() for name in TABLES]


@pytest.mark.slow
def test_no_flip_is_read_silently(tmp_path: Path) -> None:
    """A thousand, spread over the files of a run: the same is read, or BadRun in one line."""
    original = a_run(tmp_path / "whole")
    before, dice, refusals = read_all(original), random.Random(7), 0
    files = sorted(path.name for path in original.iterdir())
    for number in range(1_000):
        folder = tmp_path / f"{number}"
        shutil.copytree(original, folder)
        path = folder / dice.choice(files)
        data = bytearray(path.read_bytes())
        bit = dice.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            after, message = read_all(folder), ""
        except BadRun as error:
            after, message = before, str(error)
            refusals += 1
        assert after == before, f"flip {number} in {path.name}"
        assert "\n" not in message
        shutil.rmtree(folder)
    assert refusals > 950


@pytest.mark.parametrize("field", ["inputs", "notes", "analyses", "clock", "files", "run_id"])
def test_an_edited_manifest_is_refused(tmp_path: Path, field: str) -> None:
    """Whatever of it was edited."""
    folder = a_run(tmp_path / "run")
    path = folder / "manifest.json"
    fields = json.loads(path.read_text())
    fields[field] = {} if isinstance(fields[field], dict) else 7
    path.write_text(json.dumps(fields))
    with pytest.raises(BadRun, match="was changed since it was written; run the replay again"):
        load(folder)


def test_a_manifest_of_an_earlier_version_is_taken_at_its_word(tmp_path: Path) -> None:
    """It has no checksum; its tables are held to their digests all the same."""
    folder = a_run(tmp_path / "run")
    path = folder / "manifest.json"
    fields = json.loads(path.read_text())
    del fields["checksum"]
    path.write_text(json.dumps(fields))
    assert load(folder).table("scores").num_rows == 3
    path.write_text(json.dumps(fields | {"chacksum": "0"}))
    with pytest.raises(BadRun, match="was changed"):
        load(folder)


@pytest.mark.parametrize("inputs", [[], "x", None])
def test_fields_of_another_kind_make_no_run(tmp_path: Path, inputs: object) -> None:
    """A line, no traceback."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"run_id": "a", "inputs": inputs, "files": {}}))
    with pytest.raises(BadRun, match="is not one of `liquidity replay run`"):
        load(folder)


def test_nothing_keeps_a_reader_waiting_or_leads_it_elsewhere(tmp_path: Path) -> None:
    """A pipe, a link and a missing table are refused."""
    folder = a_run(tmp_path / "run")
    stored = tmp_path / "kept.parquet"
    shutil.move(folder / "scores.parquet", stored)
    with pytest.raises(BadRun, match="No such file"):
        load(folder).table("scores")
    (folder / "scores.parquet").symlink_to(stored)
    with pytest.raises(BadRun, match="is a link"):
        load(folder).table("scores")
    os.mkfifo(folder / "pipe")
    (folder / "scores.parquet").unlink()
    (folder / "pipe").rename(folder / "scores.parquet")
    with pytest.raises(BadRun, match="is no plain file"):
        load(folder).table("scores")
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(BadRun, match="is no run"):
        load(folder)


def test_two_runs_of_one_market_are_compared(tmp_path: Path) -> None:
    """A figure that one lacks has no difference."""
    comparison = compare(load(a_run(tmp_path / "a")), load(a_run(tmp_path / "b")))
    assert [row["difference"] for row in comparison["figures"]] == [0.0, 0.0, None]
    assert (comparison["common_ticks"], comparison["equal_recommendations"], comparison["inputs"]) == (3, 3, {})
