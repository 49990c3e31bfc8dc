"""The file beside the log: what goes in comes out, in order, whatever a machine left unfinished."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.errors import LogBroken, StoreFull
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE, DIFF
from eventlog.spill.spill import Spill, read_spill_seq

FACTS = [Fact(AGG_TRADE, -5, b"one"), Fact(DIFF, 2**62, b""), Fact(AGG_TRADE, 7, b"\x00" * 300)]


def test_what_goes_in_comes_out_in_order(tmp_path: Path) -> None:
    """Two appends are read as one run, the same until they are done; the next start reads the rest."""
    spill = Spill(tmp_path)
    spill.append(FACTS[:2], 40)
    spill.append(FACTS[2:], 99)
    assert (spill.next(2), spill.next(9), spill.pending_count) == (FACTS[:2], FACTS, 3)
    spill.mark_stored(2, 42)
    again = Spill(tmp_path)
    assert (again.next(9), again.pending_count, again.after_seq, read_spill_seq(tmp_path)) == (FACTS[2:], 1, 42, 42)
    assert again.pending_bytes == 8 + 9 + len(AGG_TRADE) + 300


def test_a_file_without_waiting_facts_begins_behind_the_log_as_it_is_then(tmp_path: Path) -> None:
    """What the log stored by another way meanwhile is not taken for what was spilled."""
    spill = Spill(tmp_path)
    spill.append(FACTS[:1], 40)
    spill.mark_stored(1, 41)
    spill.append(FACTS[1:], 1000)
    assert Spill(tmp_path).after_seq == 1000
    assert Spill(tmp_path).next(9) == FACTS[1:]


def test_what_memory_cannot_keep_may_pass_the_limit(tmp_path: Path) -> None:
    """The limit holds while there is another place; at the end there is none."""
    spill = Spill(tmp_path, max_bytes=40)
    spill.append(FACTS[:1], 40)
    with pytest.raises(StoreFull, match="beyond 40 bytes"):
        spill.append(FACTS[2:], 40)
    spill.append(FACTS[2:], 40, has_limit=False)
    assert Spill(tmp_path, max_bytes=40).next(9) == [FACTS[0], FACTS[2]]


def test_finished_it_leaves_nothing(tmp_path: Path) -> None:
    """No file, no position, and a new file can begin."""
    spill = Spill(tmp_path)
    spill.append(FACTS, 1)
    spill.mark_stored(3, 4)
    spill.finish()
    assert list(tmp_path.iterdir()) == []
    assert (spill.is_open, spill.pending_count, read_spill_seq(tmp_path)) == (False, 0, 0)
    spill.append(FACTS[:1], 9)
    assert (spill.next(9), spill.after_seq) == (FACTS[:1], 9)


@pytest.mark.slow
def test_cut_at_any_byte_the_whole_records_are_read(tmp_path: Path) -> None:
    """A torn last write costs the records it tore, and what is appended then follows the last complete one."""
    spill = Spill(tmp_path)
    spill.append(FACTS, 0)
    data = spill.path.read_bytes()
    ends = [8 + 9 + len(f.kind) + len(f.data) for f in FACTS]
    ends = [sum(ends[: n + 1]) for n in range(3)]
    for size in range(len(data)):
        spill.path.write_bytes(data[:size])
        torn = Spill(tmp_path)
        whole = sum(end <= size for end in ends)
        assert torn.next(9) == FACTS[:whole]
        torn.append([FACTS[0]], 0)
        after = Spill(tmp_path)
        assert after.next(9) == [*FACTS[:whole], FACTS[0]]


@given(place=st.integers(0, 10**6), byte=st.integers(1, 255))
def test_a_changed_byte_is_never_read_as_a_fact(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    """Whatever one byte becomes, the facts read are the first ones that were written."""
    folder = tmp_path_factory.mktemp("spill")
    spill = Spill(folder)
    spill.append(FACTS, 0)
    data = bytearray(spill.path.read_bytes())
    data[place % len(data)] ^= byte
    spill.path.write_bytes(data)
    reopened = Spill(folder)
    facts = reopened.next(9)
    assert len(facts) < 3
    assert facts == FACTS[: len(facts)]


def test_damage_under_way_stops(tmp_path: Path) -> None:
    """Bytes that this process wrote and cannot read back are no torn tail."""
    spill = Spill(tmp_path)
    spill.append(FACTS, 0)
    spill.path.write_bytes(b"\xff" * spill.path.stat().st_size)
    with pytest.raises(LogBroken, match="damaged behind byte 0"):
        spill.next(3)


def test_beyond_its_limit_nothing_of_an_append_is_kept(tmp_path: Path) -> None:
    """A file at its largest refuses, and still holds what it held."""
    spill = Spill(tmp_path, max_bytes=60)
    spill.append(FACTS[:1], 3)
    with pytest.raises(StoreFull, match="would grow beyond 60 bytes"):
        spill.append(FACTS, 3)
    assert (spill.next(9), spill.pending_count) == (FACTS[:1], 1)


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of an append reached the disk: it is taken back, and said to be full."""
    spill = Spill(tmp_path)
    spill.append(FACTS[:1], 3)
    before = spill.path.read_bytes()
    real = os.pwrite
    done: list[int] = []

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        if done:
            raise OSError(28, "No space left on device")
        done.append(1)
        return real(descriptor, data[:100], offset)

    monkeypatch.setattr("os.pwrite", pwrite)
    with pytest.raises(StoreFull, match="no room left"):
        spill.append(FACTS, 3)
    monkeypatch.undo()
    assert spill.path.read_bytes() == before
    spill.append(FACTS[1:], 3)
    assert spill.next(9) == FACTS


def test_a_file_whose_position_is_gone_stops_the_start(tmp_path: Path) -> None:
    """It is unknown which of its facts are in the log."""
    spill = Spill(tmp_path)
    spill.append(FACTS, 0)
    (tmp_path / "spill.position.json").write_text("{")
    with pytest.raises(LogBroken, match=r"spill\.position\.json is damaged .*restore it from a backup, or move it"):
        Spill(tmp_path)
