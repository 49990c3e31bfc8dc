"""A catalogue made anew from the files: the same log comes back, or nothing is changed."""

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlog.clock import ManualClock
from eventlog.disk.parquet_files import to_bytes
from eventlog.disk.sealed_json import seal
from eventlog.errors import EventLogError, LogBroken, LogNotFound, WriterRefused
from eventlog.facts.capture import GAP, TICK
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE, INSTRUMENT
from eventlog.facts.registry import SCHEMAS
from eventlog.names import RESERVED_FILE, LogName, Reservation
from eventlog.proof.certificate import certify, path_of, save
from eventlog.store.catalogue import Catalogue, file_name
from eventlog.store.cold import ColdLog
from eventlog.store.writer import StorageLock
from eventlog.transfer.rebuilding import RebuiltCatalogue, rebuild_catalogue
from market.instrument import Market
from market.timestamps import DAY_NS
from runtime.open_log import quantity_decimals
from tests.builders import (
    EVENTS,
    MARKET,
    NOW,
    T0,
    a_cold_log,
    a_gap,
    a_log,
    a_tick,
    a_trade,
    an_instrument,
    as_tables,
    contents,
    one_of_each_decision_kind,
    one_of_each_market_kind,
)

OTHER = LogName("events", Market("binance", "ETHFDUSD"))


def rebuild(cold: ColdLog, **more: object) -> RebuiltCatalogue:
    """Rebuild the catalogue of a log without a sound one."""
    done = rebuild_catalogue(cold, ManualClock(NOW), **more)  # type: ignore[arg-type]
    assert done is not None
    return done


def trades(first: int, last: int, later_ns: int = 0) -> list[Fact]:
    """Trades of a range of agg ids."""
    return [a_trade(number, at_ns=T0 + number + later_ns) for number in range(first, last + 1)]


def lose_catalogue(cold: ColdLog) -> Catalogue:
    """Remove the catalogue's file; returns what it held."""
    catalogue = cold.refresh()
    (cold.folder / "catalogue.json").unlink()
    return catalogue


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, but the lock, which is made to look."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "writer.lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def a_segment(cold: ColdLog, facts: Sequence[Fact], first: int) -> None:
    """Files of a segment that no catalogue names."""
    for kind, table in as_tables(facts, first).items():
        name = file_name(first, first + len(facts) - 1, kind)
        (cold.folder / name).write_bytes(to_bytes(kind, table, cold.name.key))


def test_a_lost_catalogue_comes_back_as_it_was(tmp_path: Path) -> None:
    """The same segments with the same digests, and the log reads as before; nothing is moved."""
    cold = a_cold_log(tmp_path, one_of_each_market_kind(), trades(11, 14), [a_tick()])
    before = contents(a_log(tmp_path).read())
    catalogue = lose_catalogue(cold)
    steps: list[tuple[int, int]] = []
    done = rebuild(cold, on_progress=lambda *step: steps.append(step))
    assert done.catalogue.segments == catalogue.segments
    assert (done.entries, done.moved_files, done.conflicting_ranges) == (21, (), ())
    assert contents(a_log(tmp_path).read()) == before
    files = sum(len(segment.files) for segment in catalogue.segments)
    assert (sum(count for count, _ in steps), {total for _, total in steps}) == (files, {files})


def test_a_decision_log_comes_back(tmp_path: Path) -> None:
    """Every kind that an analyzer writes is known."""
    cold = a_cold_log(tmp_path, one_of_each_decision_kind(), name=LogName("decisions", MARKET))
    catalogue = lose_catalogue(cold)
    assert rebuild(cold).catalogue.segments == catalogue.segments


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data.replace(b'"rows": 2', b'"rows": 3'),
        lambda data: data.replace(b"agg_trade.parquet", b"../../evil.parquet"),
        lambda data: re.sub(rb'"sha256": "[0-9a-f]{64}"', b'"sha256": "' + b"0" * 64 + b'"', data),
    ],
)
def test_an_edited_catalogue_is_replaced_and_kept(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """What was there lies aside, byte for byte."""
    cold = a_cold_log(tmp_path, trades(1, 2), [a_tick()])
    segments = cold.catalogue.segments
    path = cold.folder / "catalogue.json"
    path.write_bytes(damaged_bytes := damage(path.read_bytes()))
    done = rebuild(cold)
    assert done.catalogue.segments == segments
    assert [path.relative_to(cold.folder) for path in done.moved_files] == [Path("aside/catalogue.json")]
    assert done.moved_files[0].read_bytes() == damaged_bytes


def test_a_sound_catalogue_is_left_as_it_is(tmp_path: Path) -> None:
    """Even while a writer holds the log; files that it does not name stay where they are."""
    cold = a_cold_log(tmp_path, trades(1, 2))
    a_segment(cold, trades(3, 4), 3)
    before = listing(tmp_path)
    lock = StorageLock(cold)
    assert rebuild_catalogue(cold, ManualClock(NOW)) is None
    lock.release()
    assert rebuild_catalogue(cold, ManualClock(NOW)) is None
    assert listing(tmp_path) == before


def test_the_writers_lock_is_held(tmp_path: Path) -> None:
    """A recorder at work keeps the files to itself, and finds them kept while they are read."""
    cold = a_cold_log(tmp_path, trades(1, 2))
    lose_catalogue(cold)
    lock = StorageLock(cold)
    with pytest.raises(WriterRefused, match="stop it first"):
        rebuild(cold)
    lock.release()

    def write(*_: int) -> None:
        with pytest.raises(WriterRefused):
            StorageLock(cold)

    rebuild(cold, on_progress=write)
    StorageLock(cold).release()


def test_a_merge_that_was_cut_off_before_its_commit(tmp_path: Path) -> None:
    """The merged day and its parts are all complete: the day is used, the parts move aside."""
    cold = a_cold_log(tmp_path, trades(1, 3), [*trades(4, 5), a_tick()], trades(6, 9))
    before = contents(a_log(tmp_path).read())
    a_segment(cold, [*trades(1, 5), a_tick()], 1)
    lose_catalogue(cold)
    done = rebuild(cold)
    assert [(s.first_seq, s.last_seq) for s in done.catalogue.segments] == [(1, 6), (7, 10)]
    assert sorted(path.name for path in done.moved_files) == [
        file_name(1, 3, AGG_TRADE), file_name(4, 6, AGG_TRADE), file_name(4, 6, TICK),
    ]  # fmt: skip
    assert done.conflicting_ranges == ()
    assert contents(a_log(tmp_path).read()) == before


def test_a_merge_that_was_cut_off_between_its_files(tmp_path: Path) -> None:
    """The merged day lacks a kind: the parts are taken, the day goes aside."""
    cold = a_cold_log(tmp_path, trades(1, 3), [*trades(4, 5), a_tick()])
    catalogue = lose_catalogue(cold)
    a_segment(cold, [*trades(1, 5), a_tick()], 1)
    (cold.folder / file_name(1, 6, TICK)).unlink()
    done = rebuild(cold)
    assert done.catalogue.segments == catalogue.segments
    assert [path.name for path in done.moved_files] == [file_name(1, 6, AGG_TRADE)]


def test_a_merge_whose_parts_are_half_removed(tmp_path: Path) -> None:
    """Only the day is complete."""
    cold = a_cold_log(tmp_path, trades(1, 3), [*trades(4, 5), a_tick()])
    cold.compact(NOW)
    (day,) = lose_catalogue(cold).segments
    (cold.folder / file_name(4, 6, TICK)).unlink()
    done = rebuild(cold)
    assert done.catalogue.segments == (day,)
    assert done.catalogue.retired == ()
    assert len(done.moved_files) == 2


def test_a_damaged_day_falls_back_on_its_parts(tmp_path: Path) -> None:
    """As long as these are there, nothing is lost."""
    cold = a_cold_log(tmp_path, trades(1, 3), trades(4, 6))
    before = contents(a_log(tmp_path).read())
    cold.compact(NOW)
    lose_catalogue(cold)
    path = cold.folder / file_name(1, 6, AGG_TRADE)
    path.write_bytes(path.read_bytes()[:-20])
    assert len(rebuild(cold).catalogue.segments) == 2
    assert contents(a_log(tmp_path).read()) == before


def test_of_overlapping_files_those_that_hold_the_most_are_taken(tmp_path: Path) -> None:
    """Wherever the wider one lies; what held other entries is named."""
    cold = a_cold_log(tmp_path, trades(1, 4))
    a_segment(cold, trades(5, 9), 5)
    a_segment(cold, trades(5, 6), 5)
    a_segment(cold, trades(7, 12, later_ns=1), 7)
    lose_catalogue(cold)
    done = rebuild(cold)
    assert [(s.first_seq, s.last_seq) for s in done.catalogue.segments] == [(1, 4), (5, 6), (7, 12)]
    assert [path.name for path in done.moved_files] == [file_name(5, 9, AGG_TRADE)]
    assert done.conflicting_ranges == ((5, 9),)


def test_a_file_of_another_log_is_refused(tmp_path: Path) -> None:
    """Its name fits, what it says of itself does not; nothing is changed."""
    cold = a_cold_log(tmp_path, trades(1, 2))
    other = ColdLog(tmp_path, OTHER)
    other.create(NOW)
    data = to_bytes(AGG_TRADE, as_tables(trades(3, 4), 3)[AGG_TRADE], OTHER.key)
    (cold.folder / file_name(3, 4, AGG_TRADE)).write_bytes(data)
    lose_catalogue(cold)
    before = listing(tmp_path)
    with pytest.raises(LogBroken, match=r"is of events:\{binance:ETHFDUSD\}, not of .*; move it away"):
        rebuild(cold)
    assert listing(tmp_path) == before


def test_a_folder_of_another_log_is_refused(tmp_path: Path) -> None:
    """A catalogue that is sound, of another market: the folder was renamed, and nothing of it is taken over."""
    cold = a_cold_log(tmp_path, trades(1, 2))
    other = ColdLog(tmp_path, OTHER)
    other.folder.parent.mkdir(parents=True)
    cold.folder.rename(other.folder)
    before = listing(tmp_path)
    with pytest.raises(LogBroken, match="was a folder renamed"):
        rebuild(other)
    (other.folder / "catalogue.json").unlink()
    with pytest.raises(LogBroken, match=r"is of events:\{binance:BTCFDUSD\}"):
        rebuild(other)
    del before["binance/ETHFDUSD/events/catalogue.json"]
    assert listing(tmp_path) == before


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """Where nothing else holds its entries, nothing is changed, whatever is said."""
    cold = a_cold_log(tmp_path, trades(1, 50), trades(51, 100), trades(101, 150))
    lose_catalogue(cold)
    path = cold.folder / file_name(51, 100, AGG_TRADE)
    path.write_bytes(path.read_bytes()[:-1])
    before = listing(tmp_path)
    with pytest.raises(LogBroken, match=r"no whole file holds seq 51-100 .*restore the files from a backup") as refusal:
        rebuild(cold, incomplete_start=True, incomplete_end=True)
    assert path.name in str(refusal.value)
    assert "move those from seq 51 on into another storage" in str(refusal.value)
    assert listing(tmp_path) == before


def test_no_flipped_bit_becomes_another_entry(tmp_path: Path) -> None:
    """It is refused, or lies where it changes nothing that is read."""
    cold = a_cold_log(tmp_path, trades(1, 200))
    before = contents(a_log(tmp_path).read())
    lose_catalogue(cold)
    path = cold.folder / file_name(1, 200, AGG_TRADE)
    data, refusals = path.read_bytes(), 0
    for at in range(0, len(data), 29):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        try:
            rebuild(cold)
        except LogBroken:
            refusals += 1
            continue
        assert contents(a_log(tmp_path).read()) == before
        lose_catalogue(cold)
    assert refusals > len(data) // 29 // 3


def test_a_torn_end_needs_a_word(tmp_path: Path) -> None:
    """Without it nothing is changed; with it the end goes aside."""
    cold = a_cold_log(tmp_path, trades(1, 3))
    segments = cold.catalogue.segments
    a_segment(cold, [*trades(4, 5), a_tick()], 4)
    (cold.folder / file_name(4, 6, TICK)).unlink()
    lose_catalogue(cold)
    before = listing(tmp_path)
    with pytest.raises(LogBroken, match=r"no whole file holds seq 4-6 .*say --incomplete-end$"):
        rebuild(cold)
    assert listing(tmp_path) == before
    done = rebuild(cold, incomplete_end=True)
    assert done.catalogue.segments == segments
    assert [path.name for path in done.moved_files] == [file_name(4, 6, AGG_TRADE)]


def test_a_lost_start_needs_a_word(tmp_path: Path) -> None:
    """A log that begins late would look complete if entries were only counted."""
    cold = a_cold_log(tmp_path, [an_instrument(), *trades(1, 2)], trades(3, 5))
    catalogue = lose_catalogue(cold)
    (cold.folder / file_name(1, 3, AGG_TRADE)).unlink()
    with pytest.raises(LogBroken, match=r"no whole file holds seq 1-3.*say --incomplete-start$"):
        rebuild(cold, incomplete_end=True)
    assert rebuild(cold, incomplete_start=True).catalogue.segments[1:] == catalogue.segments[1:]


def test_a_lost_start_still_says_in_which_decimals_quantities_are(tmp_path: Path) -> None:
    """The instrument fact lies in the lost start: it is repeated before the rest, or nothing is rebuilt."""
    cold = a_cold_log(tmp_path, [an_instrument(step="1", largest="90000000000"), *trades(1, 2)], trades(3, 5))
    instrument = cold.table(cold.catalogue.segments[0].files[1]).to_pylist()[0]
    assert instrument["quantity_decimals"] < 8
    lose_catalogue(cold)
    (cold.folder / file_name(1, 3, AGG_TRADE)).unlink()
    spare = cold.folder / file_name(1, 3, INSTRUMENT)
    data = spare.read_bytes()
    spare.unlink()
    before = listing(cold.folder)
    with pytest.raises(
        LogBroken, match=r"no whole file says how many decimals .* put a \*.instrument.parquet of this log"
    ):
        rebuild(cold, incomplete_start=True)
    assert listing(cold.folder) == before
    spare.write_bytes(data)
    first = rebuild(cold, incomplete_start=True).catalogue.segments[0]
    at = cold.refresh().segments[1].first_recv_ns
    assert cold.table(first.files[0]).to_pylist() == [instrument | {"seq": 3, "recv_ns": at}]
    assert quantity_decimals(cold, None) == instrument["quantity_decimals"]
    cold.compact(NOW)
    lose_catalogue(cold)
    assert rebuild(cold, incomplete_start=True).catalogue.segments[0].first_seq == 3


def test_a_lost_start_and_a_torn_end_name_both_words(tmp_path: Path) -> None:
    """The command that a message names works."""
    cold = a_cold_log(tmp_path, trades(1, 3), [an_instrument(), *trades(4, 5)], trades(6, 8))
    catalogue = lose_catalogue(cold)
    (cold.folder / file_name(1, 3, AGG_TRADE)).unlink()
    (cold.folder / file_name(7, 9, AGG_TRADE)).write_bytes(b"PAR1")
    with pytest.raises(LogBroken, match=r"seq 1-3, 7-9 .*say --incomplete-start --incomplete-end$"):
        rebuild(cold)
    assert rebuild(cold, incomplete_start=True, incomplete_end=True).catalogue.segments == catalogue.segments[1:2]


def test_a_hole_in_the_middle_is_refused(tmp_path: Path) -> None:
    """Whatever the options: no log with an unnamed gap. The entries after it make a log in another storage."""
    cold = a_cold_log(tmp_path, trades(1, 3), trades(4, 6), [an_instrument(), *trades(7, 8)])
    catalogue = lose_catalogue(cold)
    (cold.folder / file_name(4, 6, AGG_TRADE)).unlink()
    with pytest.raises(LogBroken, match=r"no whole file holds seq 4-6;.*move those from seq 4 on into another storage"):
        rebuild(cold, incomplete_start=True, incomplete_end=True)
    other = ColdLog(tmp_path / "other", EVENTS)
    other.folder.mkdir(parents=True)
    for kind in (AGG_TRADE, INSTRUMENT):
        (cold.folder / file_name(7, 9, kind)).rename(other.folder / file_name(7, 9, kind))
    assert rebuild(cold).catalogue.segments == catalogue.segments[:1]
    assert rebuild(other, incomplete_start=True).catalogue.segments == catalogue.segments[2:]


def test_seqs_that_a_gap_names_as_lost_are_no_hole(tmp_path: Path) -> None:
    """At the start, between two segments and inside of one."""
    cold = ColdLog(tmp_path, EVENTS)
    cold.create(NOW)
    gap = a_gap(1, 4, what="seqs", state="given_up")
    cold.append(5, 6, as_tables([gap, a_trade(1)], 5))
    cold.append(10, 11, as_tables([a_gap(7, 9, what="seqs", state="given_up"), a_trade(2)], 10))
    catalogue = lose_catalogue(cold)
    assert rebuild(cold).catalogue.segments == catalogue.segments
    cold.compact(NOW)
    (day,) = lose_catalogue(cold).segments
    assert rebuild(cold).catalogue.segments == (day,)


def test_a_gap_that_names_other_things_hides_no_hole(tmp_path: Path) -> None:
    """Lost trades are not lost seqs, and only the segment after a gap may name it."""
    cold = a_cold_log(tmp_path, [a_trade(1), a_gap(3, 3, what="seqs")])
    lose_catalogue(cold)
    a_segment(cold, [a_gap(3, 3, what="agg_ids"), a_trade(2)], 4)
    with pytest.raises(LogBroken, match="no whole file holds seq 3-3"):
        rebuild(cold, incomplete_end=True)


@pytest.mark.parametrize("with_folder", [True, False])
def test_a_folder_without_a_log_stays_empty(tmp_path: Path, with_folder: bool) -> None:
    """There is nothing to rebuild, and nothing is made."""
    cold = ColdLog(tmp_path, EVENTS)
    if with_folder:
        cold.folder.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LogNotFound):
        rebuild_catalogue(cold, ManualClock(NOW))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_log_whose_entries_are_all_on_the_server(tmp_path: Path) -> None:
    """Its recorder's reserve is there, no file yet: an empty catalogue of that log."""
    cold = a_cold_log(tmp_path)
    (cold.folder / RESERVED_FILE).write_bytes(seal(Reservation(100, 3, cold.catalogue.log_id)))
    catalogue = lose_catalogue(cold)
    assert rebuild(cold).catalogue == catalogue


def test_whose_log_it_is_comes_from_whoever_knows(tmp_path: Path) -> None:
    """The writer's reservation, the server, the newest certificate; a new id where none of them has one."""
    cold = a_cold_log(tmp_path, trades(1, 3), created_ns=T0)
    log_id = cold.catalogue.log_id
    lose_catalogue(cold)
    assert rebuild(cold).catalogue.log_id != log_id
    lose_catalogue(cold)
    assert rebuild(cold, server_id=log_id).catalogue.log_id == log_id
    save(certify(a_log(tmp_path), T0 - T0 % DAY_NS), path_of(cold, "2024-01-01"))
    lose_catalogue(cold)
    assert rebuild(cold).catalogue.log_id == log_id
    (cold.folder / RESERVED_FILE).write_bytes(seal(Reservation(100, 3, "0123456789abcdef")))
    lose_catalogue(cold)
    assert rebuild(cold, server_id=log_id).catalogue.log_id == "0123456789abcdef"


def test_files_of_other_shapes_are_told_not_crashed_on(tmp_path: Path) -> None:
    """Another kind's columns, columns of other types, no rows, a kind of a later version."""
    trade = as_tables(trades(1, 1))[AGG_TRADE]
    texts = pa.table({name: pa.array(["x"]) for name in SCHEMAS[GAP].names})
    cases = {
        AGG_TRADE: pa.table({"seq": pa.array([1])}),
        GAP: texts,
        TICK: SCHEMAS[TICK].empty_table(),
        "walls": trade,
    }
    for kind, table in cases.items():
        cold = ColdLog(tmp_path / kind, EVENTS)
        cold.folder.mkdir(parents=True)
        pq.write_table(table, cold.folder / file_name(1, 1, kind))
        with pytest.raises(LogBroken, match=rf"no whole file holds seq 1-1 \(.*{kind}") as refusal:
            rebuild(cold)
        assert "\n" not in str(refusal.value)


def test_entries_outside_of_a_files_range_are_refused(tmp_path: Path) -> None:
    """A file under another's name, or the same entries twice."""
    cold = a_cold_log(tmp_path, trades(1, 3))
    lose_catalogue(cold)
    data = to_bytes(AGG_TRADE, as_tables(trades(1, 4))[AGG_TRADE], EVENTS.key)
    (cold.folder / file_name(1, 3, AGG_TRADE)).write_bytes(data)
    with pytest.raises(LogBroken, match="do not hold each entry of that range once, and no other"):
        rebuild(cold)
    twice = pa.concat_tables([as_tables(trades(1, 3))[AGG_TRADE]] * 2)
    (cold.folder / file_name(1, 3, AGG_TRADE)).write_bytes(to_bytes(AGG_TRADE, twice, EVENTS.key))
    with pytest.raises(LogBroken, match="do not hold each entry of that range once"):
        rebuild(cold)


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A file or a catalogue behind a link is refused."""
    cold = a_cold_log(tmp_path, trades(1, 3))
    lose_catalogue(cold)
    path = cold.folder / file_name(1, 3, AGG_TRADE)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LogBroken, match="is no plain file"):
        rebuild(cold)
    path.unlink()
    (tmp_path / "elsewhere").rename(path)
    (cold.folder / "catalogue.json").symlink_to(tmp_path / "target.json")
    with pytest.raises(EventLogError, match=r"catalogue\.json"):
        rebuild(cold)
    assert not (tmp_path / "target.json").exists()


def test_what_is_moved_aside_overwrites_nothing(tmp_path: Path) -> None:
    """The same can happen twice."""
    cold = a_cold_log(tmp_path, trades(1, 3))
    for text in ("one", "two"):
        (cold.folder / "catalogue.json").write_text(text)
        (cold.folder / "copy of a file.parquet").write_text(text)
        rebuild(cold)
    aside = {path.name: path.read_text() for path in (cold.folder / "aside").iterdir()}
    assert aside == {
        "catalogue.json": "one", "catalogue.json.1": "two",
        "copy of a file.parquet": "one", "copy of a file.parquet.1": "two",
    }  # fmt: skip


def test_ended_halfway_it_can_be_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are moved before the catalogue is there; what is needed stays."""
    cold = a_cold_log(tmp_path, trades(1, 3), trades(4, 6))
    before = contents(a_log(tmp_path).read())
    cold.compact(NOW)
    lose_catalogue(cold)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "save", crash)
        with pytest.raises(KeyboardInterrupt):
            rebuild(cold)
    assert len(rebuild(cold).catalogue.segments) == 1
    assert contents(a_log(tmp_path).read()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    """And stays as it was."""
    cold = a_cold_log(tmp_path, trades(1, 3))
    (cold.folder / "catalogue.json").write_text(json.dumps({}))
    StorageLock(cold).release()
    before = listing(tmp_path)
    cold.folder.chmod(0o500)
    try:
        with pytest.raises(EventLogError, match="Permission denied"):
            rebuild(cold)
    finally:
        cold.folder.chmod(0o700)
    assert listing(tmp_path) == before
