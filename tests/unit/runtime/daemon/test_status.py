"""What `--status` makes of what a daemon wrote about itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.writer import StorageLock
from market.instrument import Market
from market.timestamps import SECOND_NS, iso
from runtime.daemon import status
from tests.builders import NOW

MARKET = Market.parse("binance:BTCFDUSD")
SAID: dict[str, Any] = {"market": str(MARKET), "connected": True, "trades": "live", "server_away": False,
                        "server": {"answers": True}}  # fmt: skip


def folder_of(storage: Path, log: Any) -> Path:
    """Where a daemon writes."""
    folder = LogName(log, MARKET).folder(storage)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """As if the daemon ran: it holds the lock of its log."""
    log: Any = folder.name
    lock = StorageLock(ColdLog(folder.parents[2], LogName(log, MARKET)))
    try:
        yield
    finally:
        lock.release()


NOTHING_YET = {
    "is_running": False, "websocket_connected": False, "redis_connected": False, "depth_snapshots_count": 0,
    "trade_window_count": 0, "last_analysis": None,
}  # fmt: skip


def test_one_that_never_ran_is_not_running(tmp_path: Path) -> None:
    """Whoever asks by a name of the user's documents is answered all the same, also while one starts."""
    assert status.collector_status(tmp_path, MARKET) == {"running": False, "connected": False, **NOTHING_YET}
    aliases = {name: NOTHING_YET[name] for name in ("is_running", "redis_connected", "last_analysis")}
    assert status.analyzer_status(tmp_path, MARKET) == {"running": False, **aliases}
    with running(folder_of(tmp_path, "decisions")):
        assert status.analyzer_status(tmp_path, MARKET) == {**aliases, "running": True, "is_running": True}


def test_one_that_runs_is_believed(tmp_path: Path) -> None:
    """Under its own names and under those of the user's documents."""
    folder = folder_of(tmp_path, "events")
    with running(folder):
        status.write_status(folder, SAID)
        fields = status.collector_status(tmp_path, MARKET)
    assert (fields["running"], fields["is_running"], fields["trades"]) == (True, True, "live")
    assert (fields["websocket_connected"], fields["redis_connected"]) == (True, True)
    assert (fields["depth_snapshots_count"], fields["trade_window_count"], fields["last_analysis"]) == (0, 0, None)


def test_one_that_was_killed_is_down_whatever_it_said_last(tmp_path: Path) -> None:
    """Its lock is free."""
    status.write_status(folder_of(tmp_path, "events"), SAID)
    fields = status.collector_status(tmp_path, MARKET)
    assert (fields["running"], fields["connected"], fields["trades"]) == (False, False, "down")
    assert (fields["websocket_connected"], fields["redis_connected"]) == (False, False)


@pytest.mark.parametrize("before", [b"", b"4711\n", b"x\xff\ny\n", b"1234567890\n99\n"])
def test_one_that_starts_says_nothing_of_its_predecessor(tmp_path: Path, before: bytes) -> None:
    """
    A collector was killed with its trades live, and the next one has just taken the lock: nothing is live yet. Also
    where the killed one was of a version that wrote no term, or what it wrote cannot be read.
    """
    folder = folder_of(tmp_path, "events")
    (folder / "writer.lock").write_bytes(before)
    status.write_status(folder, SAID)
    with running(folder):
        assert status.collector_status(tmp_path, MARKET) == {**NOTHING_YET, "running": True, "is_running": True}
        status.write_status(folder, SAID)
        assert status.collector_status(tmp_path, MARKET)["trades"] == "live"
    with running(folder):
        assert status.collector_status(tmp_path, MARKET) == {**NOTHING_YET, "running": True, "is_running": True}


@pytest.mark.parametrize("log", ["events", "decisions"])
@pytest.mark.parametrize("change", [{"server_away": "gone"}, {"server": {"answers": False}}, {"server": None}])
def test_a_server_that_is_away_is_not_connected(tmp_path: Path, log: Any, change: dict[str, Any]) -> None:
    """Whoever notices: who writes to it, or who looks at it."""
    folder = folder_of(tmp_path, log)
    with running(folder):
        status.write_status(folder, SAID | change)
        fields = (status.collector_status if log == "events" else status.analyzer_status)(tmp_path, MARKET)
    assert fields["running"]
    assert not fields["redis_connected"]


@pytest.mark.parametrize(
    ("written_at", "is_old"),
    [(iso(NOW - 60 * SECOND_NS), True), (iso(NOW - 5 * SECOND_NS), False), (iso(NOW), False), ("x", False), (5, False)],
)
def test_an_old_status_of_one_that_runs_says_so(tmp_path: Path, written_at: Any, is_old: bool) -> None:
    """As on a full disk, where the last one that could be written stays; what has ended has no other."""
    folder = folder_of(tmp_path, "events")
    with running(folder):
        status.write_status(folder, SAID | {"written_at": written_at})
        note = status.age_note(status.collector_status(tmp_path, MARKET), NOW)
    assert (note is not None) is is_old
    assert note is None or "60 s ago and not since" in note
    assert status.age_note(status.collector_status(tmp_path, MARKET), NOW) is None


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "[" * 100_000, '"x"'])
def test_a_file_that_is_none_says_nothing(tmp_path: Path, text: str) -> None:
    """As after a disk that was full."""
    folder = folder_of(tmp_path, "events")
    (folder / status.STATUS).write_text(text)
    assert status.collector_status(tmp_path, MARKET) == {"running": False, "connected": False, **NOTHING_YET}


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    """Logs are handed on between people."""
    folder = folder_of(tmp_path, "events")
    outside = tmp_path / "outside.json"
    outside.write_text('{"trades": "live", "market": "x", "more": 1}')
    (folder / status.STATUS).symlink_to(outside)
    assert status.collector_status(tmp_path, MARKET) == {"running": False, "connected": False, **NOTHING_YET}
