"""
Reading finished runs, and comparing two of them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import BadRun

_NEEDED = {"run_id", "inputs", "files"}


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, read back."""

    folder: Path
    manifest: dict[str, Any]

    def table(self, name: str) -> pa.Table:
        """One of its tables."""
        try:
            return pq.read_table(self.folder / f"{name}.parquet", partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise BadRun(f"{self.folder / name}.parquet cannot be read; run the replay again") from error


def load(folder: Path) -> Run:
    """
    Read a run's manifest.

    Raises:
        BadRun: the folder is no run.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadRun(
            f"{folder} is no run: no readable manifest.json; name a folder that `replay run` printed"
        ) from error
    if not isinstance(manifest, dict) or not manifest.keys() >= _NEEDED:
        raise BadRun(f"{folder} is no run: its manifest.json is not one of `replay run`; name a folder that it printed")
    return Run(folder, manifest)


def compare(one: Run, two: Run) -> dict[str, Any]:
    """
    Two runs side by side: what differed in their inputs, and every figure of both.

    Raises:
        BadRun: they are about different markets.
    """
    first, second = one.manifest["inputs"], two.manifest["inputs"]
    if first["market"] != second["market"]:
        raise BadRun(f"one run is about {first['market']}, the other about {second['market']}")
    inputs = {k: [first[k], second[k]] for k in first if first[k] != second.get(k)}
    figures = []
    others = {_key(row): row for row in two.table("scores").to_pylist()}
    for row in one.table("scores").to_pylist():
        other = others.get(_key(row), {})
        known = row["advice"] is not None and other.get("advice") is not None
        figures.append(
            {
                "metric": row["metric"],
                "unit": row["unit"],
                "model": row["model"],
                "a": row["advice"],
                "b": other.get("advice"),
                "difference": round(other["advice"] - row["advice"], 6) if known else None,
            }
        )
    same = _same_decisions(one.table("recommendations"), two.table("recommendations"))
    return {"a": one.manifest["run_id"], "b": two.manifest["run_id"], "inputs": inputs, **same, "figures": figures}


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["metric"], row["unit"], row["model"]


def _same_decisions(one: pa.Table, two: pa.Table) -> dict[str, int]:
    left = dict(zip(one.column("as_of_ns").to_pylist(), one.column("body").to_pylist(), strict=True))
    right = dict(zip(two.column("as_of_ns").to_pylist(), two.column("body").to_pylist(), strict=True))
    common = left.keys() & right.keys()
    return {"common_ticks": len(common), "equal_recommendations": sum(left[t] == right[t] for t in common)}
