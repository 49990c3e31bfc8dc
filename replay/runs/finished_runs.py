"""
Reading finished runs, with their digests checked, and comparing two of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from eventlog.disk import parquet_bounds
from eventlog.disk.files import file_digest, read_plain, translate_errors
from eventlog.disk.sealed_json import CHECKSUM, UNREADABLE, is_intact
from eventlog.errors import EventLogError, LogBroken
from replay.errors import BadRun

CLOCK = "clock"
"""The part of a manifest that differs between equal runs."""
_REQUIRED = {"run_id", "inputs", "files"}
_COUNTS = {"analyses", "recommendations", "with_zones", "episodes"}
_FIELDS = _REQUIRED | _COUNTS | {"model", "notes", CLOCK}
_MAX_BYTES = 4 * 1024 * 1024
"""Of a manifest: notes and inputs of the longest run are some kilobytes."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, read back."""

    folder: Path
    manifest: dict[str, Any]

    def table(self, name: str) -> pa.Table:
        """
        One of its tables.

        Raises:
            BadRun: it cannot be read, or is not as it was written.
        """
        path = self.folder / f"{name}.parquet"
        self.expect_intact(path)
        try:
            with parquet_bounds.open_for_arrow(path) as file:
                parquet_bounds.expect_plausible(file, path)
                return pq.read_table(file, partitioning=None)
        except (LogBroken, *parquet_bounds.UNREADABLE) as error:
            raise BadRun(f"{path} cannot be read; run the replay again") from error

    def expect_intact(self, path: Path) -> None:
        """
        Compare one of its files with the digest it was written with.

        Raises:
            BadRun: it is missing, or is not as it was written.
        """
        try:
            with translate_errors(path):
                same = file_digest(path) == self.manifest["files"].get(path.name)
        except EventLogError as error:
            raise BadRun(f"{error}; run the replay again") from error
        if not same:
            raise BadRun(f"{path} is not as it was written; run the replay again")


@contextmanager
def refuse_foreign_runs(*folders: Path) -> Iterator[None]:
    """
    Turn the errors of reading a manifest or table that lacks what a run holds into one that names the folders.

    Raises:
        BadRun: a field or column was missing, or of another form.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, pa.ArrowException) as error:
        names = " or ".join(map(str, folders))
        raise BadRun(
            f"{names} is no run of `liquidity replay run` ({type(error).__name__}: {str(error)[:80]})"
        ) from error


def load(folder: Path) -> Run:
    """
    Read a run's manifest; one without a checksum, as earlier versions wrote it, is trusted.

    Raises:
        BadRun: the folder is no run, or its manifest was changed since it was written.
    """
    path = folder / "manifest.json"
    try:
        data = read_plain(path, _MAX_BYTES)
        manifest, intact = msgspec.json.decode(data), is_intact(data, _FIELDS)
    except (OSError, LogBroken, *UNREADABLE) as error:
        raise BadRun(
            f"{folder} is no run: no readable manifest.json; name a folder that `liquidity replay run` printed"
        ) from error
    if not _is_manifest(manifest):
        raise BadRun(
            f"{folder} is no run: its manifest.json is not one of `liquidity replay run`; name a folder that it printed"
        )
    manifest.pop(CHECKSUM, None)
    if not intact:
        raise BadRun(f"{path} was changed since it was written; run the replay again")
    return Run(folder, manifest)


def _is_manifest(manifest: Any) -> bool:
    return (
        isinstance(manifest, dict)
        and manifest.keys() >= _REQUIRED
        and isinstance(manifest["inputs"], dict)
        and isinstance(manifest["files"], dict)
    )


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
        is_known = row["advice"] is not None and other.get("advice") is not None
        figures.append(
            {
                "metric": row["metric"],
                "unit": row["unit"],
                "model": row["model"],
                "a": row["advice"],
                "b": other.get("advice"),
                "difference": round(other["advice"] - row["advice"], 6) if is_known else None,
            }
        )
    same = _same_decisions(one.table("recommendations"), two.table("recommendations"))
    return {"a": one.manifest["run_id"], "b": two.manifest["run_id"], "inputs": inputs, **same, "figures": figures}


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["metric"], row["unit"], row["model"]


def _same_decisions(one: pa.Table, two: pa.Table) -> dict[str, int]:
    one_bodies = dict(zip(one.column("as_of_ns").to_pylist(), one.column("body").to_pylist(), strict=True))
    two_bodies = dict(zip(two.column("as_of_ns").to_pylist(), two.column("body").to_pylist(), strict=True))
    common = one_bodies.keys() & two_bodies.keys()
    return {"common_ticks": len(common), "equal_recommendations": sum(one_bodies[t] == two_bodies[t] for t in common)}
