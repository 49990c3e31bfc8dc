"""Importing files: each fact once, in order, with ticks and gaps, all or nothing."""

import errno
from pathlib import Path

import pytest

from eventlog.clock import ManualClock
from eventlog.errors import ImportRefused, StoreFull, WriterRefused
from eventlog.facts.capture import GAP, TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT
from eventlog.proof.check import check
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.store.writer import StorageLock
from eventlog.transfer.importing import Importer, ImportSummary
from market.timestamps import MINUTE_NS
from tests.builders import EVENTS, MAPPER, NOW, T0, a_cold_log, a_session, archive_row, brought, contents

T0_MS = T0 // 10**6


def log_of(importer: Importer) -> Log:
    """The log, to be read."""
    return Log(importer.cold, None, MAPPER.decoders)


def test_an_import_writes_what_nobody_recorded(importer: Importer, tmp_path: Path) -> None:
    """The grid, the trades, and a tick after the last trade before each minute's end, empty minutes too."""
    at = [0, 59_999, 60_000, 200_000]
    rows = [archive_row(i + 1, "100.50", "0.002", T0_MS + ms) for i, ms in enumerate(at)]
    assert brought(importer, tmp_path, *rows) == ImportSummary(added=4, known=0, ticks=4)
    entries = contents(log_of(importer).read())
    order = sorted((r["seq"], kind) for kind, rows in entries.items() for r in rows)
    assert [kind[0] for _, kind in order] == list("iaatattat")
    assert [seq for seq, _ in order] == list(range(1, 10))
    (instrument,) = entries[INSTRUMENT]
    assert (instrument["symbol"], instrument["status"], instrument["source"]) == ("BTCFDUSD", "unknown", "inferred")
    assert (instrument["tick_size_e8"], instrument["step_size_e8"]) == (10_000_000, 100_000)  # 0.1, 0.001
    assert [t["boundary_ns"] for t in entries[TICK]] == [T0 + i * MINUTE_NS for i in (1, 2, 3, 4)]
    assert [t["last_agg_id"] for t in entries[TICK]] == [2, 3, 3, 4]
    assert {(t["trades"], t["depth"]) for t in entries[TICK]} == {("live", "down")}
    trade = entries[AGG_TRADE][1]
    assert trade["recv_ns"] == trade["trade_time_ns"] == T0 + 59_999 * 10**6
    assert (trade["source"], trade["best_match"], trade["buyer_is_maker"]) == ("archive", True, True)
    assert (trade["price_e8"], trade["quantity_e8"]) == (10_050_000_000, 200_000)
    assert trade["event_time_ns"] is None
    assert check(log_of(importer)).complete


def test_the_same_file_twice_adds_nothing(importer: Importer, tmp_path: Path) -> None:
    """Not even a tick: the log is the same to the byte."""
    rows = [archive_row(i, at=T0_MS + i) for i in range(1, 6)]
    brought(importer, tmp_path, *rows)
    before = importer.cold.catalogue
    assert brought(importer, tmp_path, *rows) == ImportSummary(added=0, known=5)
    assert importer.cold.refresh() == before


def test_an_overlap_is_brought_in_once(importer: Importer, tmp_path: Path) -> None:
    """A file that goes on where the log ends, after some rows the log holds already, and rows twice in the file."""
    brought(importer, tmp_path, archive_row(1), archive_row(2))
    later = T0_MS + 60_000
    done = brought(
        importer, tmp_path, archive_row(2), archive_row(3, at=later), archive_row(3, at=later), archive_row(4, at=later)
    )
    assert done == ImportSummary(added=2, known=2, ticks=1)
    report = check(log_of(importer))
    assert report.complete
    assert report.trades == 4


def test_rows_out_of_order_are_put_in_order(importer: Importer, tmp_path: Path) -> None:
    """By agg id; an arrival never steps back, whatever the venue's clock did."""
    rows = [archive_row(3, at=T0_MS + 10), archive_row(1, at=T0_MS + 30), archive_row(2, at=T0_MS + 20)]
    brought(importer, tmp_path, *rows)
    trades = contents(log_of(importer).read())[AGG_TRADE]
    assert [t["agg_id"] for t in trades] == [1, 2, 3]
    assert [t["trade_time_ns"] - T0 for t in trades] == [30 * 10**6, 20 * 10**6, 10 * 10**6]
    assert [t["recv_ns"] - T0 for t in trades] == [30 * 10**6] * 3


def test_a_file_older_than_the_logs_end_is_refused(importer: Importer, tmp_path: Path) -> None:
    """Nothing is written, and the message names both times and the fix."""
    brought(importer, tmp_path, archive_row(10, at=T0_MS + 120_000))
    before = importer.cold.refresh()
    with pytest.raises(ImportRefused, match="starts at 2024-01-01T00:00:00Z, before the log's end at") as caught:
        brought(importer, tmp_path, archive_row(1), archive_row(10, at=T0_MS + 120_000))
    assert "--storage" in str(caught.value)
    assert importer.cold.refresh() == before


def test_a_trade_from_the_future_is_refused(importer: Importer, tmp_path: Path) -> None:
    """One bad stamp must not evict days; a minute of clock difference is let pass."""
    rows = [archive_row(1), archive_row(2, at=NOW // 10**6 + 60_001)]
    with pytest.raises(ImportRefused, match=r"a time in the future, 2025-02-04.*; nothing was imported"):
        brought(importer, tmp_path, *rows)
    assert importer.cold.refresh().last_seq == 0
    assert brought(importer, tmp_path, archive_row(1, at=NOW // 10**6 + 60_000)).added == 1


def test_holes_are_recorded_as_gaps(importer: Importer, tmp_path: Path) -> None:
    """Inside a file, and between the log and the next file: open, because an archive can be fetched again."""
    assert brought(importer, tmp_path, archive_row(1), archive_row(4), archive_row(5)).holes == 1
    assert brought(importer, tmp_path, archive_row(9, at=T0_MS + 60_000)).holes == 1
    gaps = contents(log_of(importer).read())[GAP]
    assert [(g["what"], g["first"], g["last"], g["cause"], g["state"]) for g in gaps] == [
        ("agg_ids", 2, 3, "not_in_file", "open"),
        ("agg_ids", 6, 8, "not_in_file", "open"),
    ]
    report = check(log_of(importer))
    assert report.sound
    assert not report.complete


def test_a_live_log_takes_no_imports(tmp_path: Path) -> None:
    """Whether its sessions are archived yet or only numbers were reserved."""
    live_log = a_cold_log(tmp_path / "a", [a_session()])
    with pytest.raises(ImportRefused, match="was recorded live"):
        Importer(live_log, ManualClock(NOW))
    reserved_log = a_cold_log(tmp_path / "b")
    (reserved_log.folder / "reserved.json").write_text('{"last":1,"epoch":1}')
    with pytest.raises(ImportRefused, match="another --storage"):
        Importer(reserved_log, ManualClock(NOW))
    StorageLock(reserved_log).release()


@pytest.mark.parametrize("above", ["", "storage"])
@pytest.mark.parametrize("failing", ["eventlog.disk.files.write_new", "eventlog.store.writer.os.pwrite"])
def test_a_log_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, above: str
) -> None:
    """As on a full disk: no folder and no lock stay, but a folder that was there."""

    def is_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / above).mkdir(exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(failing, is_full)
        with pytest.raises(StoreFull, match="no room left to write"):
            Importer(ColdLog(tmp_path / "storage", EVENTS), ManualClock(NOW))
    assert sorted(tmp_path.rglob("*")) == before
    importer = Importer(ColdLog(tmp_path / "storage", EVENTS), ManualClock(NOW))
    assert brought(importer, tmp_path, archive_row(1)).added == 1
    importer.close()


def test_a_log_somebody_writes_to_is_left_alone(importer: Importer, tmp_path: Path) -> None:
    """Two importers at once would give a seq twice."""
    with pytest.raises(WriterRefused, match="already has a writer"):
        Importer(importer.cold, ManualClock(NOW))


def test_microseconds_and_milliseconds_are_the_same_trades(tmp_path: Path) -> None:
    """Archives from 2025 on count µs."""
    entries = []
    for name, unit in (("ms", 1), ("us", 1_000)):
        importer = Importer(ColdLog(tmp_path / name, EVENTS), ManualClock(NOW))
        brought(importer, tmp_path, *(archive_row(i, at=(T0_MS + i) * unit) for i in range(1, 4)))
        entries.append(contents(log_of(importer).read()))
        importer.close()
    assert entries[0] == entries[1]


def test_many_small_files_are_one_log(importer: Importer, tmp_path: Path) -> None:
    """A minute each: seqs go on, ticks are one a minute, one instrument."""
    for i in range(30):
        brought(importer, tmp_path, archive_row(i + 1, at=T0_MS + i * 60_000))
    report = check(log_of(importer))
    assert report.complete
    assert report.kinds == {"instrument": 1, "agg_trade": 30, "tick": 30}
    ticks = contents(log_of(importer).read(kinds=[TICK]))[TICK]
    assert [t["boundary_ns"] for t in ticks] == [T0 + (i + 1) * MINUTE_NS for i in range(30)]
