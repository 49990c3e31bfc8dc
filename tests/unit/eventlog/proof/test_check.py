"""The proof that a log is complete: each thing that can be wrong is found and named."""

from pathlib import Path

import msgspec
import pytest

from eventlog.errors import LogBroken
from eventlog.facts.capture import CONFLICT, GAP, QUARANTINE, Gap, Quarantine
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.check import Report, check
from market.timestamps import MINUTE_NS
from tests.builders import (
    T0,
    a_cold_log,
    a_gap,
    a_log,
    a_quarantine,
    a_tick,
    a_trade,
    as_tables,
    one_of_each_market_kind,
)


def check_facts(tmp_path: Path, *facts: Fact) -> Report:
    """The report on a log of these facts."""
    return check(a_log(tmp_path, list(facts)))


def test_a_whole_log_is_complete(tmp_path: Path) -> None:
    """Counts and ranges are those of the log."""
    report = check_facts(tmp_path, a_trade(1), a_trade(2), a_tick(), a_trade(3))
    assert report.complete
    assert report.sound
    assert (report.entries, report.first_seq, report.last_seq) == (4, 1, 4)
    assert (report.trades, report.first_agg_id, report.last_agg_id) == (3, 1, 3)
    assert report.kinds == {"agg_trade": 3, "tick": 1}


def test_an_empty_log_proves_nothing(tmp_path: Path) -> None:
    """Nothing in it is wrong, but a mistyped name must not give "complete"."""
    report = check(a_log(tmp_path))
    assert not report.sound
    assert not report.complete
    assert (report.entries, report.first_seq, report.first_agg_id) == (0, None, None)


def test_late_trades_are_no_hole(tmp_path: Path) -> None:
    """Completeness is of the set of ids, whatever order they came in."""
    assert check_facts(tmp_path, a_trade(1), a_trade(3), a_tick(), a_trade(2)).complete


def test_a_hole_in_agg_ids_that_no_gap_names(tmp_path: Path) -> None:
    """Each missing range is listed."""
    report = check_facts(tmp_path, a_trade(1), a_trade(4), a_trade(5), a_trade(9))
    assert not report.complete
    assert not report.sound
    assert report.unnamed_agg_ids == [(2, 3), (6, 8)]


@pytest.mark.parametrize("state", ["open", "given_up"])
def test_a_hole_that_a_gap_names(tmp_path: Path, state: str) -> None:
    """Named is not there: the log is sound, and not complete."""
    report = check_facts(tmp_path, a_trade(1), a_gap(2, 3, state=state), a_trade(4))
    assert (report.complete, report.sound) == (False, True)
    word = "open gaps" if state == "open" else "missing for good"
    assert report.reasons == [f"{word}: 1: agg_ids 2-3 (disconnect)"]
    named_gaps = report.open_gaps if state == "open" else report.given_up_gaps
    assert [(g["first"], g["last"]) for g in named_gaps] == [(2, 3)]
    assert report.unnamed_agg_ids == []


def test_a_gap_that_claims_to_be_filled_must_be(tmp_path: Path) -> None:
    """Filled with its trades it is complete; filled without them it names nothing."""
    gap = (a_trade(1), a_gap(2, 3), a_trade(4))
    assert check_facts(tmp_path / "a", *gap, a_trade(2), a_trade(3), a_gap(2, 3, state="filled")).complete
    report = check_facts(tmp_path / "b", *gap, a_trade(2), a_gap(2, 3, state="filled"))
    assert report.unnamed_agg_ids == [(3, 3)]
    assert not report.sound


def test_a_gap_names_only_what_it_names(tmp_path: Path) -> None:
    """What lies beside it is still missing; several gaps together may name one range."""
    report = check_facts(tmp_path / "a", a_trade(1), a_gap(3, 4, state="given_up"), a_trade(7))
    assert report.unnamed_agg_ids == [(2, 2), (5, 6)]
    both = (a_gap(2, 4, state="given_up"), a_gap(4, 6, state="given_up"))
    assert check_facts(tmp_path / "b", a_trade(1), *both, a_trade(7)).sound


def test_numbers_that_the_venue_skipped_are_not_missing(tmp_path: Path) -> None:
    """No trade ever had them."""
    skipped_gap = Gap("agg_ids", 2, 3, "venue_skipped", "given_up").fact(GAP, T0)
    assert check_facts(tmp_path, a_trade(1), skipped_gap, a_trade(4)).complete


@pytest.mark.parametrize(
    ("what", "first", "last"), [("update_ids", 5, 9), ("seqs", 100, 120), ("snapshot", T0, T0), ("agg_ids", 50, 60)]
)
def test_whatever_is_given_up_is_not_complete(tmp_path: Path, what: str, first: int, last: int) -> None:
    """Of the book as of the trades."""
    report = check_facts(tmp_path, a_trade(1), a_gap(first, last, what, "given_up"), a_trade(2))
    assert (report.complete, report.sound) == (False, True)
    assert report.reasons == [f"missing for good: 1: {what} {first}-{last} (disconnect)"]


def test_a_fact_that_contradicts_another_is_not_complete(tmp_path: Path) -> None:
    """It is unknown which of the two is true."""
    conflict = Quarantine(CONFLICT, "import", b"{}").fact(QUARANTINE, T0)
    report = check_facts(tmp_path, a_trade(1), conflict, a_trade(2))
    assert (report.complete, report.conflicts) == (False, 1)


def test_a_log_without_a_trade_is_not_complete(tmp_path: Path) -> None:
    """However many ticks it has."""
    report = check_facts(tmp_path, a_tick(), a_quarantine())
    assert report.reasons == ["no trade among 2 entries"]


def test_files_nobody_lists_are_named(tmp_path: Path) -> None:
    """A crash leaves them; they are no part of the log and nothing is missing for them."""
    log = a_log(tmp_path, [a_trade(1)])
    (log.cold.folder / "000000000000002-000000000000002.agg_trade.parquet").write_bytes(b"x")
    report = check(log)
    assert report.complete
    assert report.unlisted == ["000000000000002-000000000000002.agg_trade.parquet"]


def test_the_newest_word_on_a_range_holds(tmp_path: Path) -> None:
    """Open, then given up."""
    report = check_facts(tmp_path, a_trade(1), a_gap(2, 2), a_trade(3), a_gap(2, 2, state="given_up"))
    assert report.open_gaps == []
    assert len(report.given_up_gaps) == 1


def test_a_gap_of_other_numbers_names_no_trades(tmp_path: Path) -> None:
    """Update ids 2 to 3 are not agg ids 2 to 3."""
    report = check_facts(tmp_path, a_trade(1), a_gap(2, 3, "update_ids", "given_up"), a_trade(4))
    assert report.unnamed_agg_ids == [(2, 3)]


def test_a_quarantined_trade_closes_its_id(tmp_path: Path) -> None:
    """The row could not be read, but it is known to have been there."""
    report = check_facts(tmp_path, a_trade(1), a_quarantine(agg_id=2), a_quarantine(), a_trade(3))
    assert report.sound
    assert (report.quarantined, report.closed_agg_ids) == (2, [2])
    assert report.reasons == ["trades nobody could read, agg ids: 1: 2"]


def test_trade_ids_out_of_chain(tmp_path: Path) -> None:
    """`first_id` must be the previous `last_id` + 1, between neighbours only."""
    fine = [a_trade(1, first_id=10, last_id=12), a_trade(2, first_id=13), a_gap(3, 3, state="given_up")]
    assert check_facts(tmp_path / "a", *fine, a_trade(4, first_id=90)).sound
    report = check_facts(tmp_path / "b", *fine, a_trade(4, first_id=90), a_trade(5, first_id=92))
    assert report.broken_chain == [5]
    assert not report.sound


def test_a_trade_that_is_there_twice(tmp_path: Path) -> None:
    """Nothing is counted twice, so nothing may be there twice."""
    report = check_facts(tmp_path, a_trade(1), a_trade(2), a_trade(2))
    assert report.duplicates == 1
    assert not report.sound


def test_a_hole_in_seqs_that_no_gap_names(tmp_path: Path) -> None:
    """A gap that names other seqs lets a segment in, but not through the check."""
    cold = a_cold_log(tmp_path, [a_trade(1)])
    cold.append(5, 6, as_tables([a_gap(2, 3, "seqs", "given_up"), a_trade(2)], 5))
    report = check(a_log(tmp_path))
    assert report.unnamed_seqs == [(4, 4)]
    assert not report.sound


def test_seqs_that_a_gap_names_as_lost(tmp_path: Path) -> None:
    """The server lost them; the log says so, and is not complete."""
    cold = a_cold_log(tmp_path, [a_trade(1)])
    cold.append(5, 6, as_tables([a_gap(2, 4, "seqs", "given_up"), a_trade(2)], 5))
    report = check(a_log(tmp_path))
    assert report.sound
    assert report.reasons == ["missing for good: 1: seqs 2-4 (disconnect)"]
    assert [(g["first"], g["last"]) for g in report.given_up_gaps] == [(2, 4)]


def test_a_log_that_does_not_begin_at_one(tmp_path: Path) -> None:
    """What was before it is missing too."""
    cold = a_cold_log(tmp_path)
    cold.append(3, 4, as_tables([a_trade(1), a_trade(2)], 3))
    report = check(a_log(tmp_path))
    assert report.unnamed_seqs == [(1, 2)]
    assert not report.trades_complete


def test_lost_entries_between_trades_whose_ids_follow_are_none_of_them(tmp_path: Path) -> None:
    """Before the first trade and behind the last no id tells."""
    cold = a_cold_log(tmp_path, [a_trade(1)])
    cold.append(5, 6, as_tables([a_gap(2, 3, "seqs", "filled"), a_trade(2)], 5))
    report = check(a_log(tmp_path))
    assert report.unnamed_seqs == [(4, 4)]
    assert report.trades_complete


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """One flipped bit that Parquet itself may not notice; without hashing, only reading can."""
    log = a_log(tmp_path, [a_trade(i) for i in range(1, 50)], [a_tick(T0 + MINUTE_NS)])
    path = next(log.cold.path_of(f) for f in log.cold.catalogue.segments[0].files if f.kind == AGG_TRADE)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    report = check(log)
    assert any(path.name in line and "not as it was written" in line for line in report.damaged)
    assert not report.complete


def test_what_cannot_be_read_is_not_nothing(tmp_path: Path) -> None:
    """Damage before the first entry that could be counted: the report does not say that nothing was recorded."""
    log = a_log(tmp_path, [a_trade(1)])
    path = log.cold.path_of(log.cold.catalogue.segments[0].files[0])
    path.write_bytes(b"damage")
    report = check(log)
    assert report.entries == 0
    assert report.reasons == [f"damaged files: 2: {', '.join(report.damaged)}"]
    assert not report.complete


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The check goes on as far as it can read."""
    log = a_log(tmp_path, [a_trade(1)], [a_trade(2)])
    path = log.cold.path_of(log.cold.catalogue.segments[1].files[0])
    path.unlink()
    report = check(log)
    assert report.damaged[0] == f"{path.name} is missing"
    assert "reading stopped" in report.damaged[1]
    assert report.trades == 1
    with pytest.raises(LogBroken, match="is in the catalogue but not in"):
        check(log, verify_files=False)


def test_a_report_is_json_with_lists_cut(tmp_path: Path) -> None:
    """A thousand gaps are a number and a few examples."""
    report = check_facts(tmp_path, *(a_trade(2 * i) for i in range(1, 100)))
    fields = msgspec.json.decode(msgspec.json.encode(report.as_json()))
    assert len(report.unnamed_agg_ids) == 98
    assert len(fields["unnamed_agg_ids"]) == 20
    assert fields["trades"] == 99


def test_one_of_each_kind_is_counted(tmp_path: Path) -> None:
    """The gap 5 to 9 is open, the quarantine closes 3."""
    report = check_facts(tmp_path, *one_of_each_market_kind())
    assert report.sound
    assert not report.complete
    assert sum(report.kinds.values()) == report.entries == 16
