"""
What a daemon says about itself: a small file beside its log, written at every tick, read by `--status`.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from eventlog.disk.files import read_plain, write_atomic
from eventlog.errors import LogBroken
from eventlog.names import LogName
from eventlog.store.writer import current_term
from market.errors import BadTime
from market.instrument import Market
from market.timestamps import SECOND_NS, parse_iso

STATUS = "status.json"
_LOCK = "writer.lock"

_OLD_S = 30
"""A busy machine may be late with a status, not by so much."""
_MAX_BYTES = 16 * 1024 * 1024


def write(folder: Path, fields: dict[str, Any]) -> None:
    """Replace the status file. Whoever writes it holds the log's lock, and the file names that term of writing."""
    write_fields(folder, {**fields, "term": current_term(folder / _LOCK)}, STATUS)


def write_fields(folder: Path, fields: dict[str, Any], name: str) -> None:
    """Replace a file of a status's kind. It is for looking at, so it is not synced to disk."""
    write_atomic(folder / name, json.dumps(fields, indent=1).encode(), synced=False)


def read(folder: Path) -> dict[str, Any]:
    """
    What the daemon said last, and whether it runs now: `running` is what its lock says. Of one that has the lock and
    has said nothing yet nothing more is known: what its predecessor said last was of another time.
    """
    term = current_term(folder / _LOCK)
    said = read_fields(folder)
    written_in = said.pop("term", 0)  # a version that knew no terms wrote none into the lock either
    if term is not None:
        return {"running": True, **(said if written_in == term else {})}
    return {"running": False, **said, "connected": False, **({"trades": "down"} if "trades" in said else {})}


def of_collector(storage: Path, market: Market) -> dict[str, Any]:
    """
    What the collector says of a market, under its own names and under those of the user's documents, which are there
    also where it never ran.
    """
    said = read(LogName("events", market).folder(storage))
    return {
        **said,
        "is_running": said["running"],
        "websocket_connected": bool(said["running"] and said.get("connected")),
        "redis_connected": _reaches_server(said),
        "depth_snapshots_count": said.get("depth_snapshots_count", 0),
        "trade_window_count": said.get("trade_window_count", 0),
        "last_analysis": last_analysis(storage, market),
    }


def of_analyzer(storage: Path, market: Market) -> dict[str, Any]:
    """
    What the analyzer says of a market, under its own names and under those of the user's documents, which are there
    also where it never ran.
    """
    said = read(LogName("decisions", market).folder(storage))
    said.pop("connected", None)  # it has no feed
    named = {"is_running": said["running"], "redis_connected": _reaches_server(said)}
    return {**said, **named, "last_analysis": last_analysis(storage, market)}


def note_on_age(said: dict[str, Any], now_ns: int) -> str | None:
    """
    That a running daemon's status is an old one; None where it is of now.

    Args:
        said: as `of_collector` or `of_analyzer` gives it. now_ns: by this machine's clock.
    """
    if not said["running"] or not isinstance(written := said.get("written_at"), str):
        return None
    with suppress(BadTime):
        age_s = (now_ns - parse_iso(written)) // SECOND_NS
        if age_s > _OLD_S:
            return (
                f"note: this was written {age_s:,} s ago and not since, though it is written every second: the disk "
                "takes nothing, or the daemon hangs; its log says more"
            )
    return None


def _reaches_server(said: dict[str, Any]) -> bool:
    """Whether a daemon's server takes what it is given."""
    server = said.get("server") or {}
    return bool(said["running"] and server.get("answers") and not said.get("server_away"))


def last_analysis(storage: Path, market: Market) -> str | None:
    """Up to when a market was analysed last; None where it never was."""
    found = read_fields(LogName("decisions", market).folder(storage)).get("last_analysis")
    return found if isinstance(found, str) else None


def read_fields(folder: Path, name: str = STATUS) -> dict[str, Any]:
    """What a status file says; nothing where there is none, or none that can be read."""
    with suppress(OSError, ValueError, RecursionError, LogBroken):
        fields = json.loads(read_plain(folder / name, _MAX_BYTES))
        return fields if isinstance(fields, dict) else {}
    return {}
