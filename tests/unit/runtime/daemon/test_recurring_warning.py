"""What lasts is said a few times."""

import pytest
import structlog

from runtime.daemon.recurring_warning import REPEAT_S, RecurringWarning


def test_a_condition_is_said_when_it_begins_changes_and_ends() -> None:
    """A line for a thousand times, one for another reason, one for the end; none for an end without a warning."""
    warning = RecurringWarning("not written", "written again")
    with structlog.testing.capture_logs() as lines:
        warning.ends()
        for _ in range(1000):
            warning.occurs("disk full", file="f")
        warning.occurs("read-only", file="f")
        warning.ends(file="f")
        warning.ends(file="f")
    assert lines == [
        {"event": "not written", "reason": "disk full", "file": "f", "log_level": "warning"},
        {"event": "not written", "reason": "read-only", "file": "f", "repeated": 999, "log_level": "warning"},
        {"event": "written again", "file": "f", "log_level": "info"},
    ]


def test_a_condition_that_lasts_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten minutes, with how often it was not said."""
    now = [0.0]
    monkeypatch.setattr("runtime.daemon.recurring_warning.time.monotonic", lambda: now[0])
    warning = RecurringWarning("not written", "written again")
    with structlog.testing.capture_logs() as lines:
        for _ in range(1 + 2 * int(REPEAT_S)):
            warning.occurs("disk full")
            now[0] += 1.0
    assert [line.get("repeated") for line in lines] == [None, REPEAT_S - 1, REPEAT_S - 1]


def test_a_condition_that_comes_and_goes_is_no_flood() -> None:
    """A thousand times on and off: one line each; reasons without end do not pile up."""
    warning = RecurringWarning("not written", "written again")
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            warning.occurs("disk full")
            warning.ends()
        for number in range(100):
            warning.occurs(f"reason {number}")
    assert [line["event"] for line in lines[:2]] == ["not written", "written again"]
    assert len(warning._logged_s) <= 16
