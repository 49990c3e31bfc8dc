"""Book diffs in order, and what a lost log must ask for again."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.sequencing.diff_sequencer import MAX_PENDING, MAX_WAIT_NS, DiffSequencer
from eventlog.facts.capture import QUARANTINE, Gap, Quarantine
from eventlog.facts.entry import Fact
from eventlog.facts.market import DIFF
from eventlog.spill.missing_ids import missing_ids
from market.timestamps import SECOND_NS

NOW = 1_767_600_000 * SECOND_NS


def a_diff(first: int, last: int, word: bytes = b"") -> Fact:
    """A diff; the word makes its bytes its own."""
    return Fact(DIFF, NOW, b"%d-%d%s" % (first, last, word))


def take_diffs(diffs: DiffSequencer, *spans: tuple[int, int], at_ns: int = NOW) -> list[bytes]:
    """What goes into the log for diffs, as its bytes."""
    return [r.fact.data for first, last in spans for r in diffs.take(first, last, a_diff(first, last), "test", at_ns)]


def a_gap(first: int, last: int, state: str = "given_up", cause: str = "test") -> bytes:
    """A gap of update ids as it is written."""
    return msgspec.json.encode(Gap("update_ids", first, last, cause, state))  # type: ignore[arg-type]


def test_diffs_that_follow_go_through_and_repeats_are_dropped() -> None:
    """U = previous u + 1 is fine; the same u from a second socket is one."""
    diffs = DiffSequencer()
    assert take_diffs(diffs, (1, 5), (6, 9), (6, 9)) == [b"1-5", b"6-9"]
    assert diffs.duplicates == 1


def test_a_new_run_goes_on_where_the_log_ends() -> None:
    """What came before is dropped, what was missed between two runs is logged as a gap."""
    diffs = DiffSequencer(5)
    assert take_diffs(diffs, (4, 5)) == []
    diffs.restart()
    assert take_diffs(diffs, (9, 12)) == [a_gap(6, 8), b"9-12"]
    assert (diffs.duplicates, diffs.gap_count) == (1, 1)


def test_the_same_ids_with_other_bytes_are_quarantined() -> None:
    """Of two connections that contradict each other the first is followed, and what the second said is kept."""
    diffs = DiffSequencer()
    take_diffs(diffs, (1, 5))
    (ready,) = diffs.take(1, 5, a_diff(1, 5, b"!"), "test", NOW)
    body = msgspec.json.decode(ready.fact.data, type=Quarantine)
    assert (ready.fact.kind, body.data) == (QUARANTINE, b"1-5!")
    assert body.reason == "another diff of update ids 1 to 5 came before"
    assert (diffs.conflicts, diffs.duplicates, diffs.last_update_id) == (1, 0, 5)


def test_a_diff_behind_a_hole_waits_for_the_other_connection() -> None:
    """Two connections, one ahead of the other: everything goes in its order, and nothing is missing."""
    diffs = DiffSequencer()
    assert take_diffs(diffs, (1, 5), (9, 12), (13, 14), (9, 12)) == [b"1-5"]
    assert diffs.pending_count == 2
    assert take_diffs(diffs, (6, 8)) == [b"6-8", b"9-12", b"13-14"]
    assert (diffs.gap_count, diffs.pending_count, diffs.duplicates) == (0, 0, 1)


def test_a_missed_diff_is_named_after_two_seconds() -> None:
    """The ids that never came are on record, before the diff that came instead."""
    diffs = DiffSequencer()
    take_diffs(diffs, (1, 5), (9, 12))
    assert diffs.expire(NOW + MAX_WAIT_NS) == []
    gap, ready = diffs.expire(NOW + MAX_WAIT_NS + 1)
    assert gap.fact.data == a_gap(6, 8)
    assert ready == (a_diff(9, 12), 9, 12)
    assert diffs.gap_count == 1


def test_after_a_disconnect_nothing_is_waited_for() -> None:
    """What is missing before the first diff of a new connection can no longer come."""
    diffs = DiffSequencer()
    take_diffs(diffs, (1, 5))
    diffs.restart()
    assert take_diffs(diffs, (9, 12)) == [a_gap(6, 8), b"9-12"]
    assert take_diffs(diffs, (15, 16)) == []


def test_diffs_that_come_after_all_close_their_gap() -> None:
    """Each goes into the log once, as no part of the book; with the last of them the gap is filled."""
    diffs = DiffSequencer()
    take_diffs(diffs, (1, 5), (10, 12))
    diffs.give_up(NOW)
    assert diffs.take(6, 7, a_diff(6, 7), "test", NOW) == [(a_diff(6, 7), 0, 0)]
    assert take_diffs(diffs, (6, 7), (8, 9), (8, 9)) == [b"8-9", a_gap(6, 9, "filled")]
    assert (diffs.duplicates, diffs.last_update_id) == (2, 12)


def test_what_waits_is_bounded() -> None:
    """With one more pending diff than allowed the gap is given up."""
    diffs = DiffSequencer()
    take_diffs(diffs, (1, 1), *((n, n) for n in range(3, 3 + MAX_PENDING)))
    assert diffs.pending_count == MAX_PENDING
    assert len(take_diffs(diffs, (3 + MAX_PENDING, 3 + MAX_PENDING))) == MAX_PENDING + 2
    assert diffs.pending_count == 0


@given(st.permutations(range(1, 13)), st.sets(st.integers(1, 12)), st.lists(st.integers(1, 12), max_size=6))
def test_every_diff_that_came_is_written_once(order: list[int], missing: set[int], again: list[int]) -> None:
    """In whatever order and however often they come: all of them once, and gaps name exactly those that never came."""
    diffs = DiffSequencer()
    take_diffs(diffs, (0, 0))
    entries = take_diffs(diffs, *((n, n) for n in [*order, *again] if n not in missing))
    entries += [ready.fact.data for ready in diffs.give_up(NOW)]
    numbers = [int(data.split(b"-")[0]) for data in entries if not data.startswith(b"{")]
    assert sorted(numbers) == [n for n in range(1, 13) if n not in missing]
    gaps = [msgspec.json.decode(data, type=Gap) for data in entries if data.startswith(b"{")]
    gap_ids = {n for gap in gaps for n in range(gap.first, gap.last + 1)}
    assert gap_ids == {n for n in missing if n < max(numbers, default=0)}


@given(st.sets(st.integers(1, 40)), st.lists(st.tuples(st.integers(1, 40), st.integers(1, 10)), max_size=3))
def test_lost_ids_are_exactly_those_neither_held_nor_excused(
    stored_ids: set[int], spans: list[tuple[int, int]]
) -> None:
    """Ranges cover what is missing, and nothing else."""
    known_gaps = [(a, a + n) for a, n in spans]
    ranges = missing_ids(np.array(sorted(stored_ids), np.int64), 1, 41, known_gaps)
    missing = [i for a, b in ranges for i in range(a, b + 1)]
    expected = [i for i in range(1, 41) if i not in stored_ids and not any(a <= i <= b for a, b in known_gaps)]
    assert missing == expected
