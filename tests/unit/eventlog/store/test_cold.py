"""The Parquet part of a log: what is committed, what a crash leaves, what merging keeps."""

from pathlib import Path

import msgspec
import pytest

from eventlog.disk import files, parquet_files
from eventlog.errors import EventLogError, LogBroken, LogNotFound, StoreFull
from eventlog.facts.capture import GAP, TICK
from eventlog.facts.market import AGG_TRADE
from eventlog.names import LogName
from eventlog.store import catalogue as catalogues
from eventlog.store.catalogue import Catalogue
from eventlog.store.cold import ColdLog
from market.instrument import Market
from market.timestamps import DAY_NS, HOUR_NS
from tests.builders import (
    EVENTS,
    NOW,
    T0,
    a_cold_log,
    a_gap,
    a_log,
    a_tick,
    a_trade,
    as_tables,
    contents,
    one_of_each_market_kind,
)


def test_a_segment_says_what_it_holds(tmp_path: Path) -> None:
    """Ranges of seq, arrival and agg id, and a file a kind with its digest."""
    cold = a_cold_log(tmp_path, one_of_each_market_kind())
    (segment,) = ColdLog(tmp_path, EVENTS).catalogue.segments
    assert (segment.first_seq, segment.last_seq) == (1, 16)
    assert (segment.first_agg_id, segment.last_agg_id) == (1, 10)
    assert segment.first_recv_ns == T0
    assert segment.last_recv_ns == T0 + 120 * 10**9
    for file in segment.files:
        path = cold.path_of(file)
        assert path.stat().st_size == file.size
        assert files.file_digest(path) == file.sha256
    assert cold.catalogue.last_recv_ns == segment.last_recv_ns


def test_a_segment_must_follow_and_fill_its_range(tmp_path: Path) -> None:
    """An overlap or a range that its entries cannot fill commits nothing."""
    cold = a_cold_log(tmp_path, [a_trade(1), a_trade(2)])
    before = (cold.folder / "catalogue.json").read_bytes()
    with pytest.raises(LogBroken, match="overlaps seq 2"):
        cold.append(2, 3, as_tables([a_trade(3), a_trade(4)], 2))
    with pytest.raises(LogBroken, match="2 entries cannot fill seq 3-5"):
        cold.append(3, 5, as_tables([a_trade(3), a_trade(4)], 3))
    assert (cold.folder / "catalogue.json").read_bytes() == before


def test_a_crash_before_the_commit_leaves_the_old_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlisted files are no part of the log, and the next commit moves them aside."""
    cold = a_cold_log(tmp_path, [a_trade(1)])

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "save", crash)
        with pytest.raises(KeyboardInterrupt):
            cold.append(2, 3, as_tables([a_trade(2), a_tick()], 2))
    assert len(list(cold.folder.glob("*.parquet"))) == 3
    log = a_log(tmp_path)
    assert log.last_seq() == 1
    log.cold.append(2, 2, as_tables([a_trade(5)], 2))
    assert len(list(cold.folder.glob("*.parquet"))) == 2
    assert [r["agg_id"] for r in contents(log.read())[AGG_TRADE]] == [1, 5]


def test_no_room_commits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk raises StoreFull, and no partial file stays."""
    cold = a_cold_log(tmp_path, [a_trade(1)])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreFull, match="free space"):
            cold.append(2, 2, as_tables([a_trade(2)], 2))
    assert cold.refresh().last_seq == 1
    assert len(list(cold.folder.iterdir())) == 2


def test_another_writers_commits_are_seen(tmp_path: Path) -> None:
    """The catalogue is read again; a reader keeps nothing of its own."""
    reader = a_log(tmp_path, [a_trade(1)])
    assert reader.last_seq() == 1
    a_log(tmp_path, [a_trade(2)])
    assert reader.last_seq() == 2
    assert [r["agg_id"] for r in contents(reader.read(after_seq=1))[AGG_TRADE]] == [2]


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Reading makes no folders."""
    cold = ColdLog(tmp_path, EVENTS)
    assert not cold.exists()
    with pytest.raises(LogNotFound, match="--storage"):
        cold.refresh()
    with pytest.raises(LogNotFound):
        list(a_log(tmp_path / "made").cold.read(0, 1)) or ColdLog(tmp_path / "other", EVENTS).refresh()
    assert not (tmp_path / "other").exists()


def test_a_renamed_folder_is_noticed(tmp_path: Path) -> None:
    """Another market's files under this market's name would be believed otherwise."""
    a_cold_log(tmp_path, [a_trade(1)])
    (tmp_path / "binance" / "BTCFDUSD").rename(tmp_path / "binance" / "ETHFDUSD")
    other = ColdLog(tmp_path, LogName("events", Market("binance", "ETHFDUSD")))
    with pytest.raises(LogBroken, match="was a folder renamed"):
        other.refresh()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"log":1}', b"\xff\xfe"])
def test_a_damaged_catalogue_is_told(tmp_path: Path, text: bytes) -> None:
    """It is never taken for an empty log, and never written over."""
    cold = a_cold_log(tmp_path, [a_trade(1)])
    path = cold.folder / "catalogue.json"
    path.write_bytes(text)
    with pytest.raises(LogBroken, match="damaged"):
        ColdLog(tmp_path, EVENTS).create(NOW)
    assert path.read_bytes() == text


def test_segments_that_do_not_follow_one_another_are_told(tmp_path: Path) -> None:
    """A catalogue edited by hand; only a segment that holds the gap of the lost seqs may start later."""
    cold = a_cold_log(tmp_path, [a_trade(1)], [a_trade(2)], [a_trade(3)])
    catalogue = cold.catalogue
    without_middle = msgspec.structs.replace(catalogue, segments=(catalogue.segments[0], catalogue.segments[2]))
    (cold.folder / "catalogue.json").write_bytes(msgspec.json.encode(without_middle))
    with pytest.raises(LogBroken, match="after seq 1 comes 3"):
        catalogues.load(cold.folder)


def test_a_segment_after_a_loss_starts_with_its_gap(tmp_path: Path) -> None:
    """Lost seqs are in no segment and in no batch, but the gap names them and reading goes on."""
    cold = a_cold_log(tmp_path, [a_trade(1), a_trade(2)])
    cold.append(6, 7, as_tables([a_gap(3, 5, "seqs", "given_up"), a_trade(3)], 6))
    log = a_log(tmp_path)
    assert [r["seq"] for r in contents(log.read())[AGG_TRADE]] == [1, 2, 7]
    assert [r["seq"] for r in contents(log.read(after_seq=3))[AGG_TRADE]] == [7]
    assert contents(log.read())[GAP][0]["last"] == 5


def test_closed_days_are_merged_and_today_is_not(tmp_path: Path) -> None:
    """The same entries in fewer files; the replaced files live an hour longer, for readers that hold them."""
    days = [[a_trade(1 + 4 * d + i, at_ns=T0 + d * DAY_NS + i * HOUR_NS)] for d in range(3) for i in range(4)]
    cold = a_cold_log(tmp_path, *days)
    log = a_log(tmp_path)
    before = contents(log.read())
    now = T0 + 2 * DAY_NS + 5 * HOUR_NS
    assert cold.compact(now) == 6
    assert [(s.first_seq, s.last_seq) for s in cold.catalogue.segments] == [(1, 4), (5, 8)] + [
        (i, i) for i in range(9, 13)
    ]
    assert contents(log.read()) == before
    assert len(list(cold.folder.glob("*.parquet"))) == 6 + 8
    assert cold.compact(now + HOUR_NS - 1) == 0
    assert len(list(cold.folder.glob("*.parquet"))) == 6 + 8
    assert cold.compact(now + HOUR_NS) == 0
    assert len(list(cold.folder.glob("*.parquet"))) == 6
    assert contents(log.read()) == before


def test_a_single_tick_is_merged_once_more_has_come(tmp_path: Path) -> None:
    """At the log's end it may be an import's, which the next one continues; before that it is as any other entry."""
    cold = a_cold_log(tmp_path, [a_trade(1)], [a_trade(2)], [a_tick(T0 + 60 * 10**9, last_agg_id=2)])
    assert cold.compact(NOW) == 1
    assert [(s.first_seq, s.last_seq) for s in cold.catalogue.segments] == [(1, 2), (3, 3)]
    cold.append(4, 4, as_tables([a_trade(3, at_ns=T0 + 61 * 10**9)], 4))
    assert cold.compact(NOW) == 2
    assert [(s.first_seq, s.last_seq) for s in cold.catalogue.segments] == [(1, 4)]


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    """`seq` is always read too; a column stored as a lag is restored."""
    log = a_log(tmp_path, [a_trade(1, recv_ns=T0 + 5), a_tick()])
    (batch,) = log.read(kinds=[AGG_TRADE], columns={AGG_TRADE: ["recv_ns", "agg_id"]})
    rows = batch.rows[AGG_TRADE]
    assert rows.columns.table.column_names == ["seq", "recv_ns", "agg_id"]
    assert rows["recv_ns"].tolist() == [T0 + 5]
    assert TICK not in batch.rows
    assert batch.last_seq == 2


def test_equal_tables_give_equal_bytes() -> None:
    """Digests in the catalogue would mean nothing otherwise."""
    facts = one_of_each_market_kind()
    one, two = as_tables(facts), as_tables(facts)
    for kind in one:
        assert parquet_files.to_bytes(kind, one[kind]) == parquet_files.to_bytes(kind, two[kind])


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "other kind", "garbage"])
def test_a_file_that_is_not_as_written_is_told(tmp_path: Path, damage: str) -> None:
    """Reading stops and names the file and the fix."""
    cold = a_cold_log(tmp_path, [a_trade(1), a_trade(2), a_tick()])
    path = next(cold.path_of(f) for f in cold.catalogue.segments[0].files if f.kind == AGG_TRADE)
    data = path.read_bytes()
    other = next(cold.path_of(f) for f in cold.catalogue.segments[0].files if f.kind == TICK).read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": data[:-20], "empty": b"", "other kind": other, "garbage": b"PAR1" * 9}[damage])
    with pytest.raises(LogBroken, match="restore it from a backup"):
        list(cold.read(0, 3))


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """A file where a folder should be: the path and the reason, no traceback to read."""
    (tmp_path / "binance").write_text("")
    with pytest.raises(EventLogError, match=r"cannot read .*binance.*Not a directory") as caught:
        ColdLog(tmp_path, EVENTS).create(NOW)
    assert "\n" not in str(caught.value)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the old bytes and nothing beside them."""
    path = tmp_path / "file"
    files.write_atomic(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fail)
        with pytest.raises(EventLogError, match="Input/output error"):
            files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    files.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
