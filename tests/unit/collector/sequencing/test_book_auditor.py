"""The recorder's own book: what it adds to the log, and when it wants a snapshot."""

from collector.sequencing.book_auditor import BookAuditor
from collector.sequencing.diff_sequencer import Ready
from eventlog.facts.capture import BOOK_AUDIT, BOOK_RESET
from eventlog.facts.entry import Fact
from eventlog.facts.market import DIFF, SNAPSHOT
from market.timestamps import SECOND_NS
from tests.builders import MAPPER, T0, a_diff, a_snapshot


def log_kinds(auditor: BookAuditor, *facts: tuple[Fact, int, int]) -> list[str]:
    """The kinds that go into the log."""
    return [fact.kind for fact in auditor.follow([Ready(*fact) for fact in facts])]


def diff(first: int, last: int) -> tuple[Fact, int, int]:
    """A diff without levels."""
    return a_diff(first, last, [], []), first, last


def snapshot(update_id: int, bids: list[tuple[str, str]] | None = None) -> tuple[Fact, int, int]:
    """A book."""
    return (a_snapshot(bids, update_id=update_id) if bids else a_snapshot(update_id=update_id)), 0, 0


def test_a_book_without_a_snapshot_wants_one_as_soon_as_diffs_come() -> None:
    """Not before: where no diffs are recorded there is no book to keep."""
    auditor = BookAuditor(MAPPER.decoders)
    assert not auditor.snapshot_needed.is_set()
    assert log_kinds(auditor, diff(11, 12)) == [DIFF]
    assert auditor.snapshot_needed.is_set()
    assert log_kinds(auditor, snapshot(12)) == [SNAPSHOT]
    assert not auditor.snapshot_needed.is_set()


def test_a_missing_diff_is_a_reset_on_record_and_a_wish() -> None:
    """The reset stands behind the diff that showed it; the next snapshot mends it."""
    auditor = BookAuditor(MAPPER.decoders)
    log_kinds(auditor, snapshot(10), diff(11, 12))
    assert log_kinds(auditor, diff(15, 16)) == [DIFF, BOOK_RESET]
    assert auditor.snapshot_needed.is_set()
    assert auditor.status()["state"] == "gap"
    assert log_kinds(auditor, snapshot(16), diff(17, 17)) == [SNAPSHOT, DIFF]
    assert not auditor.snapshot_needed.is_set()
    assert (auditor.status()["state"], auditor.status()["resets"]) == ("in_step", 1)


def test_a_wrong_book_wants_another_snapshot_until_one_agrees() -> None:
    """A level that only the rebuilt book has: an unhealthy audit, then a healthy one."""
    auditor = BookAuditor(MAPPER.decoders)
    log_kinds(auditor, snapshot(10), diff(11, 12))
    assert log_kinds(auditor, snapshot(12, [("99.5", "2")])) == [SNAPSHOT, BOOK_AUDIT]
    assert auditor.snapshot_needed.is_set()
    assert auditor.status()["healthy"] is False
    assert log_kinds(auditor, diff(13, 13), snapshot(13, [("99.5", "2")])) == [DIFF, SNAPSHOT, BOOK_AUDIT]
    assert not auditor.snapshot_needed.is_set()
    status = auditor.status()
    assert (status["audits"], status["unhealthy_audits"], status["healthy"]) == (2, 1, True)


def test_a_diff_that_came_too_late_is_no_part_of_the_book() -> None:
    """It goes into the log alone."""
    auditor = BookAuditor(MAPPER.decoders)
    log_kinds(auditor, snapshot(10), diff(11, 16))
    assert log_kinds(auditor, (a_diff(13, 14), 0, 0)) == [DIFF]
    assert auditor.status()["state"] == "in_step"


def test_snapshots_at_once_are_asked_for_more_and_more_seldom() -> None:
    """At once, then after 5, 10, 20, 40 and 80 s; after a calm time at once again."""
    auditor = BookAuditor(MAPPER.decoders)
    now, pauses = T0, []
    for _ in range(7):
        pauses.append(auditor.pause_ns(now) // SECOND_NS)
        now += auditor.pause_ns(now)
        auditor.note_request(now)
    assert pauses == [0, 5, 10, 20, 40, 80, 80]
    assert auditor.pause_ns(now + 200 * SECOND_NS) == 0
    auditor.note_request(now + 200 * SECOND_NS)
    assert auditor.pause_ns(now + 200 * SECOND_NS) == 5 * SECOND_NS
    assert auditor.request_count == 8


def test_a_log_that_lost_entries_starts_its_book_anew() -> None:
    """Counts go on; the next diff wants a snapshot."""
    auditor = BookAuditor(MAPPER.decoders)
    log_kinds(auditor, snapshot(10), diff(11, 12), diff(15, 16))
    auditor.reset()
    assert (auditor.status()["state"], auditor.status()["resets"]) == ("no_book", 1)
    log_kinds(auditor, diff(17, 17))
    assert auditor.snapshot_needed.is_set()
