"""
Giving a finished run its name: a new one keeps it, one that exists already is compared and kept.
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
    aside: Path, final: Path, manifest: dict[str, Any], started_ns: int, finished_ns: int
) -> list[str] | None:
    """
    Write a run's manifest and move its folder to its name.

    Returns:
        None for a new run; for one that existed already, the files that came out different.
    """
    clock = {
        "started": iso(started_ns),
        "finished": iso(finished_ns),
        "seconds": round((finished_ns - started_ns) / 1e9, 3),
    }
    (aside / "manifest.json").write_bytes(seal_fields(manifest | {CLOCK: clock}))
    if not final.exists():
        aside.rename(final)
        return None
    different = [n for n, digest in manifest["files"].items() if _digest_or_none(final / n) != digest]
    if _manifest_or_none(final) != manifest:
        different.append("manifest.json")
    shutil.rmtree(aside)
    return different


def _digest_or_none(path: Path) -> str | None:
    try:
        return file_digest(path)
    except (OSError, LogBroken):
        return None


def _manifest_or_none(folder: Path) -> dict[str, Any] | None:
    """A run's manifest without its clock fields; None where it cannot be read."""
    try:
        there = load(folder).manifest
    except BadRun:
        return None
    return {k: v for k, v in there.items() if k != CLOCK}
