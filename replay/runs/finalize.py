"""
Moving a finished run to its folder; where that exists already, the two are compared and the older one stays.
"""

import shutil
from pathlib import Path
from typing import Any

from eventlog.disk.files import file_digest
from eventlog.disk.sealed_json import seal_fields
from eventlog.errors import LogBroken
from market.timestamps import iso
from replay.errors import BadRun
from replay.runs.finished_runs import CLOCK, load


def finalize_run(
    new_folder: Path, run_folder: Path, manifest: dict[str, Any], started_ns: int, finished_ns: int
) -> list[str] | None:
    """
    Write a run's manifest and move its folder to its name; where the run exists already, remove the new folder.

    Args:
        new_folder: holds the run's tables and report, beside `run_folder`.
        run_folder: the folder of that name, there or not.
        manifest: without the clock fields.
        started_ns: when the run began. finished_ns: when it ended.

    Returns:
        None for a new run; for one that existed already, the names of the files that differ.
    """
    clock = {
        "started": iso(started_ns),
        "finished": iso(finished_ns),
        "seconds": round((finished_ns - started_ns) / 1e9, 3),
    }
    (new_folder / "manifest.json").write_bytes(seal_fields(manifest | {CLOCK: clock}))
    if not run_folder.exists():
        new_folder.rename(run_folder)
        return None
    different = [n for n, digest in manifest["files"].items() if _digest_or_none(run_folder / n) != digest]
    if _manifest_or_none(run_folder) != manifest:
        different.append("manifest.json")
    shutil.rmtree(new_folder)
    return different


def _digest_or_none(path: Path) -> str | None:
    try:
        return file_digest(path)
    except (OSError, LogBroken):
        return None


def _manifest_or_none(folder: Path) -> dict[str, Any] | None:
    """A run's manifest without its clock fields; None where it cannot be read."""
    try:
        manifest = load(folder).manifest
    except BadRun:
        return None
    return {k: v for k, v in manifest.items() if k != CLOCK}
