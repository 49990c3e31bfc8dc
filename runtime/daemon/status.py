"""
The status of a daemon: a small file beside its log, written every second, read by `--status`.
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

_MAX_AGE_S = 30
"""Seconds; a status is written every second, and a busy machine is not late by this much."""
_MAX_BYTES = 16 * 1024 * 1024  # bounds memory where another program wrote the file


def write_status(folder: Path, fields: dict[str, Any]) -> None:
    """Replace the status file; the caller holds the log's lock, whose term is written into the file."""
    write_fields(folder, {**fields, "term": current_term(folder / _LOCK)}, STATUS)


def write_fields(folder: Path, fields: dict[str, Any], name: str) -> None:
    """
    Replace a JSON file beside a log; not synced to disk, since it may be lost.

    Args:
        folder: the log's folder.
        fields: what the file holds, values for JSON.
        name: the file's name.
    """
    write_atomic(folder / name, json.dumps(fields, indent=1).encode(), synced=False)


def read_status(folder: Path) -> dict[str, Any]:
    """
    Read a daemon's last status, and whether it runs now: `running` is what its lock says. Of a daemon that holds the
    lock and has written nothing yet only that is known: the file is its predecessor's.
    """
    term = current_term(folder / _LOCK)
    fields = read_fields(folder)
    file_term = fields.pop("term", 0)  # a version that knew no terms wrote none into the lock either
    if term is not None:
        return {"running": True, **(fields if file_term == term else {})}
    return {"running": False, **fields, "connected": False, **({"trades": "down"} if "trades" in fields else {})}


def collector_status(storage: Path, market: Market) -> dict[str, Any]:
    """
    The collector's status of a market, under its own names and under those of the user's documents, which are present
    also where it never ran.
    """
    fields = read_status(LogName("events", market).folder(storage))
    return {
        **fields,
        "is_running": fields["running"],
        "websocket_connected": bool(fields["running"] and fields.get("connected")),
        "redis_connected": _reaches_server(fields),
        "depth_snapshots_count": fields.get("depth_snapshots_count", 0),
        "trade_window_count": fields.get("trade_window_count", 0),
        "last_analysis": last_analysis(storage, market),
    }


def analyzer_status(storage: Path, market: Market) -> dict[str, Any]:
    """
    The analyzer's status of a market, under its own names and under those of the user's documents, which are present
    also where it never ran.
    """
    fields = read_status(LogName("decisions", market).folder(storage))
    fields.pop("connected", None)  # it has no feed
    aliases = {"is_running": fields["running"], "redis_connected": _reaches_server(fields)}
    return {**fields, **aliases, "last_analysis": last_analysis(storage, market)}


def age_note(fields: dict[str, Any], now_ns: int) -> str | None:
    """
    A note that a running daemon's status is old; None where it is recent.

    Args:
        fields: of `collector_status` or `analyzer_status`. now_ns: by this machine's clock.
    """
    if not fields["running"] or not isinstance(written_at := fields.get("written_at"), str):
        return None
    with suppress(BadTime):
        age_s = (now_ns - parse_iso(written_at)) // SECOND_NS
        if age_s > _MAX_AGE_S:
            return (
                f"note: this was written {age_s:,} s ago and not since, though it is written every second: the disk "
                "takes nothing, or the daemon hangs; its log says more"
            )
    return None


def _reaches_server(fields: dict[str, Any]) -> bool:
    """Whether a running daemon's server answers and stores facts."""
    server = fields.get("server") or {}
    return bool(fields["running"] and server.get("answers") and not fields.get("server_away"))


def last_analysis(storage: Path, market: Market) -> str | None:
    """The time up to which a market was analysed, ISO text; None where it never was."""
    moment = read_fields(LogName("decisions", market).folder(storage)).get("last_analysis")
    return moment if isinstance(moment, str) else None


def read_fields(folder: Path, name: str = STATUS) -> dict[str, Any]:
    """The fields of a status file; empty where there is none, or none that can be read."""
    with suppress(OSError, ValueError, RecursionError, LogBroken):
        fields = json.loads(read_plain(folder / name, _MAX_BYTES))
        return fields if isinstance(fields, dict) else {}
    return {}
