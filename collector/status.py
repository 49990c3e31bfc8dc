"""
What a daemon says about itself: a small file beside its log, written at every tick, read by `--status`.
"""

import fcntl
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from eventlog.files import told_plainly

STATUS = "status.json"


def write(folder: Path, fields: dict[str, Any], name: str = STATUS) -> None:
    """Replace the status file, or another one of its kind. It is for looking at, so it is not synced to disk."""
    with told_plainly(folder):
        temporary = folder / f".{name}.new"
        temporary.write_text(json.dumps(fields, indent=1), encoding="utf-8")
        temporary.replace(folder / name)


def read(folder: Path) -> dict[str, Any]:
    """What the daemon said last, and whether it runs now: `running` is what its lock says."""
    said: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        said = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    running = _locked(folder / "writer.lock")
    if not running:
        said = {**said, "connected": False, **({"trades": "down"} if "trades" in said else {})}
    return {"running": running, **said}


def _locked(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    except OSError:
        return False
    return False
