"""Book diffs in order, and what a lost log must ask for again."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.diff_sequencer import DiffSequencer
from collector.loss import lost_ids
from eventlog.facts import DIFF, Fact, Gap

DIFF_FACT = Fact(DIFF, 1, b"{}")


def test_diffs_that_follow_go_through_and_repeats_are_dropped() -> None:
    """U = previous u + 1 is fine; the same u from a second socket is one."""
    diffs = DiffSequencer()
    assert diffs.take(1, 5, DIFF_FACT, "test") == [DIFF_FACT]
    assert diffs.take(6, 9, DIFF_FACT, "test") == [DIFF_FACT]
    assert diffs.take(6, 9, DIFF_FACT, "test") == []
    assert diffs.duplicates == 1


def test_a_missed_diff_is_named() -> None:
    """The ids that never came are on record, before the diff that came instead."""
    diffs = DiffSequencer()
    diffs.take(1, 5, DIFF_FACT, "disconnect")
    gap, fact = diffs.take(9, 12, DIFF_FACT, "disconnect")
    assert msgspec.json.decode(gap.data, type=Gap) == Gap("update_ids", 6, 8, "disconnect", "given_up")
    assert fact is DIFF_FACT
    assert diffs.missed == 1


@given(st.sets(st.integers(1, 40)), st.lists(st.tuples(st.integers(1, 40), st.integers(1, 10)), max_size=3))
def test_lost_ids_are_exactly_those_neither_held_nor_excused(held: set[int], spans: list[tuple[int, int]]) -> None:
    """Ranges cover what is missing, and nothing else."""
    excused = [(a, a + n) for a, n in spans]
    found = lost_ids(np.array(sorted(held), np.int64), 1, 41, excused)
    lost = [i for a, b in found for i in range(a, b + 1)]
    expected = [i for i in range(1, 41) if i not in held and not any(a <= i <= b for a, b in excused)]
    assert lost == expected
