"""A run says how many of its episodes lie where nothing proves the log."""

import numpy as np

from eventlog.proof.coverage import CoverageGaps
from market.timestamps import MINUTE_NS
from replay.notes.coverage_gaps import coverage_gap_notes
from tests.builders import T0

VALID_NS = 60 * MINUTE_NS
NOTHING = np.empty((0, 2), np.int64)
EARLY = np.array([[T0, T0 + 3 * MINUTE_NS]], np.int64)
OUT = np.array([T0 - 61 * MINUTE_NS, T0 - 30 * MINUTE_NS, T0 + MINUTE_NS, T0 + 3 * MINUTE_NS], np.int64)


def test_episodes_that_touch_unproven_time_are_counted() -> None:
    """Of four, one was over before, one reaches into it, one began in it, one after."""
    notes = coverage_gap_notes(CoverageGaps(EARLY, NOTHING, True), OUT, VALID_NS)
    assert notes == ["2 of 4 episodes overlap 3.0 minutes whose trades the log cannot prove"]


def test_a_book_is_missed_only_where_there_is_one() -> None:
    """A log of trades alone says elsewhere that it has no book."""
    assert coverage_gap_notes(CoverageGaps(NOTHING, EARLY, False), OUT, VALID_NS) == []
    notes = coverage_gap_notes(CoverageGaps(NOTHING, EARLY, True), OUT, VALID_NS)
    assert notes == ["2 of 4 episodes overlap 3.0 minutes whose book the log cannot prove"]


def test_nothing_is_said_where_all_is_proven_or_nothing_was_advised() -> None:
    """No ranges, no episodes, no advice."""
    assert coverage_gap_notes(CoverageGaps(NOTHING, NOTHING, True), OUT, VALID_NS) == []
    assert coverage_gap_notes(CoverageGaps(EARLY, EARLY, True), OUT[:0], 0) == []
