"""A day's certificate: what it claims is so, and whatever is changed afterwards shows, minute and all."""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from eventlog.disk import parquet_files
from eventlog.errors import EventLogError, LogBroken
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from eventlog.proof.certificate import Certificate, certify, compute_seal, find_difference, load, path_of, save
from eventlog.proof.day_tally import DayTally
from eventlog.proof.minute_digests import MinuteDigests
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from market.timestamps import DAY_NS, MINUTE_NS, SECOND_NS
from tests.builders import (
    MAPPER,
    NOW,
    T0,
    a_book_audit,
    a_book_reset,
    a_diff,
    a_gap,
    a_log,
    a_quarantine,
    a_rest_trade,
    a_session,
    a_snapshot,
    a_tick,
    a_trade,
    as_tables,
    one_of_each_market_kind,
)

EVERY_MINUTE = 10
"""How far trades of the small day lie apart, in minutes."""


def a_day(first_id: int = 1, start_ns: int = T0, leave_out: Sequence[int] = ()) -> list[Fact]:
    """A trade every ten minutes from midnight on, a tick a minute, the last at the next midnight."""
    facts: list[Fact] = []
    for minute in range(24 * 60):
        at = start_ns + minute * MINUTE_NS
        agg_id = first_id + minute // EVERY_MINUTE
        if minute % EVERY_MINUTE == 0 and agg_id not in leave_out:
            facts.append(a_trade(agg_id, at_ns=at))
        facts.append(a_tick(at + MINUTE_NS, last_agg_id=agg_id))
    return facts


def certify_segments(storage: Path, *segments: Sequence[Fact]) -> Certificate:
    """The certificate of 2024-01-01 in a log of these facts."""
    return certify(a_log(storage, *segments), T0)


def test_a_whole_day_is_complete(tmp_path: Path) -> None:
    """Ranges, counts and ticks are those of the day; the last tick arrives at midnight and belongs to the next."""
    certificate = certify_segments(tmp_path, a_day())
    assert (certificate.complete, certificate.sound, certificate.reasons) == (True, True, [])
    assert (certificate.day, certificate.entries, certificate.seqs) == ("2024-01-01", 144 + 1439, (1, 144 + 1439))
    trades = certificate.trades
    assert (trades.count, trades.agg_ids, trades.trade_ids) == (144, [(1, 144)], [(1, 144)])
    assert (certificate.trades.sources, certificate.trades.repaired) == ({"stream": 144}, {})
    assert (certificate.ticks.expected, certificate.ticks.present, certificate.ticks.trades_live) == (1440, 1440, 1440)
    assert certificate.unproven_trades == []
    assert certificate.unproven_depth == [(T0, T0 + DAY_NS)]
    assert (certificate.minutes[0][:2], certificate.minutes[-1][:2], len(certificate.minutes)) == (
        ("00:00", 1),
        ("23:59", 1),
        1440,
    )
    assert certificate.head == certificate.minutes[-1][2]


def test_a_hole_nobody_names_is_a_flaw_and_its_time_is_unproven(tmp_path: Path) -> None:
    """Trade 5 came at 00:40; what lies between trades 4 and 6 is not proven."""
    certificate = certify_segments(tmp_path, a_day(leave_out=[5]))
    assert (certificate.complete, certificate.sound) == (False, False)
    assert certificate.reasons == ["missing agg ids no gap names: 1: 5-5"]
    assert certificate.trades.agg_ids == [(1, 4), (6, 144)]
    assert certificate.unproven_trades == [(T0 + 30 * MINUTE_NS, T0 + 50 * MINUTE_NS + 1)]


@pytest.mark.parametrize(("state", "label"), [("open", "open gaps"), ("given_up", "missing for good")])
def test_a_hole_a_gap_names_is_no_flaw(tmp_path: Path, state: str, label: str) -> None:
    """Open, it may still be filled; given up, it is missing for good. Its time stays unproven."""
    certificate = certify_segments(
        tmp_path,
        [*a_day(leave_out=[5])[:-1], a_gap(5, 5, state=state, at_ns=T0 + DAY_NS - 1)],
        [a_tick(T0 + DAY_NS, last_agg_id=144)],
    )
    assert (certificate.complete, certificate.sound) == (False, True)
    assert [(g.first, g.last, g.cause, g.state) for g in certificate.gaps] == [(5, 5, "disconnect", state)]
    assert certificate.reasons == [f"{label}: 1: agg_ids 5-5 (disconnect)"]
    assert len(certificate.unproven_trades) == 1


def test_a_trade_that_came_a_day_late_closes_its_hole(tmp_path: Path) -> None:
    """Two hours into the next day REST brought what was missing; the gap's newest word is there too."""
    gap = a_gap(5, 5, at_ns=T0 + DAY_NS - 1)
    late = a_trade(5, at_ns=T0 + 40 * MINUTE_NS, recv_ns=T0 + DAY_NS + 120 * MINUTE_NS)
    filled_gap = a_gap(5, 5, state="filled", at_ns=T0 + DAY_NS + 120 * MINUTE_NS)
    certificate = certify_segments(
        tmp_path, [*a_day(leave_out=[5])[:-1], gap], [a_tick(T0 + DAY_NS, last_agg_id=144)], [late, filled_gap]
    )
    assert (certificate.complete, certificate.reasons, certificate.unproven_trades) == (True, [], [])
    assert [(g.first, g.state) for g in certificate.gaps] == [(5, "filled")]
    assert certificate.trades.agg_ids == [(1, 4), (6, 144)]


def test_what_was_repaired_is_told_by_its_source(tmp_path: Path) -> None:
    """Runs of ids that requests brought."""
    facts = [a_trade(1), a_rest_trade(2), a_rest_trade(3), a_trade(4), a_rest_trade(5)]
    certificate = certify_segments(tmp_path, facts)
    assert certificate.trades.sources == {"rest": 3, "stream": 2}
    assert certificate.trades.repaired == {"rest": [(2, 3), (5, 5)]}


def test_a_broken_chain_of_trade_ids_is_a_flaw(tmp_path: Path) -> None:
    """Agg ids without a gap, but a trade within them is missing."""
    certificate = certify_segments(tmp_path, [a_trade(1), a_trade(2, first_id=3)])
    assert "trade ids out of chain at agg ids: 1: 2" in certificate.reasons
    assert certificate.trades.trade_ids == [(1, 1), (3, 3)]


def test_twice_the_same_trade_is_a_flaw(tmp_path: Path) -> None:
    """It would count twice."""
    assert "1 entries are there twice" in certify_segments(tmp_path, [a_trade(1), a_trade(1), a_trade(2)]).reasons


def test_a_half_day_says_where_the_log_begins_and_ends(tmp_path: Path) -> None:
    """From 12:00 to 13:00, archived to its end."""
    noon = T0 + 12 * 60 * MINUTE_NS
    certificate = certify_segments(tmp_path, [a_trade(1, at_ns=noon), a_tick(noon + 60 * MINUTE_NS, last_agg_id=1)])
    assert (certificate.complete, certificate.sound) == (False, True)
    assert certificate.reasons == [
        "the archive ends at 2024-01-01T13:00:00Z, before the day does",
        "trades before 2024-01-01T12:00:00Z are not proven",
        "trades after 2024-01-01T13:00:00Z are not proven",
    ]


def test_a_day_of_nothing_is_not_complete(tmp_path: Path) -> None:
    """A mistyped day must not read as proven."""
    certificate = certify(a_log(tmp_path, [a_trade(1)]), T0 + 5 * DAY_NS)
    assert (certificate.complete, certificate.entries, certificate.head) == (False, 0, "")
    assert certificate.reasons == ["the log holds nothing of the day"]


def test_updates_that_break_off_are_told(tmp_path: Path) -> None:
    """Unless a gap, a reset or a recorder that had just started says why."""
    books = [a_snapshot(update_id=10), a_diff(11, 12), a_diff(13, 14)]
    later = a_diff(20, 21, at_ns=T0 + SECOND_NS)
    silent = certify_segments(tmp_path / "a", [*books, later])
    assert silent.updates.chained == [(11, 14), (20, 21)]
    assert "missing update ids nothing names: 1: 15-19" in silent.reasons
    for i, word in enumerate((a_gap(15, 19, "update_ids", "given_up"), a_book_reset(15, 19), a_session("started"))):
        assert certify_segments(tmp_path / f"b{i}", [*books, word, later]).sound


def test_the_rest_of_what_happened_is_counted(tmp_path: Path) -> None:
    """Book health, quarantine by reason, sessions and disconnects."""
    facts = [
        a_session(),
        a_quarantine(),
        a_quarantine(agg_id=3),
        a_book_audit(missing=2),
        a_book_audit(),
        a_book_reset(),
    ]
    certificate = certify_segments(tmp_path, [*facts, a_session("disconnected", T0 + SECOND_NS)])
    assert (certificate.book.audits, certificate.book.unhealthy, certificate.book.missing, certificate.book.ghost) == (
        2,
        1,
        2,
        0,
    )
    assert certificate.book.resets == [("2024-01-01T00:00:00Z", "diff_missing")]
    assert certificate.quarantined == {"no JSON": 2}
    assert certificate.sessions == {"disconnected": 1, "started": 1}
    assert certificate.disconnects == [("2024-01-01T00:00:01Z", "detail")]
    assert certificate.recorded_by == ["code"]
    assert certificate.clock is None


def test_measured_clock_offsets_are_summed_up() -> None:
    """Least, middle and most of a kind that holds offsets."""
    tally = DayTally()
    offsets = [5, -3, 40]
    tally.add("clock", pa.table({"seq": [1, 2, 3], "recv_ns": [T0] * 3, "offset_ns": offsets}))
    assert tally.clock() == {"measured": 3, "least_ns": -3, "middle_ns": 5, "most_ns": 40}


def test_a_quiet_market_is_joined_to_its_last_trade(tmp_path: Path) -> None:
    """No trade for two days before: the id of the last one still joins, and the night without trades is proven."""
    noon = T0 + 12 * 60 * MINUTE_NS
    first = [a_trade(7, at_ns=T0 - 2 * DAY_NS)]
    certificate = certify_segments(
        tmp_path, first, [a_tick(T0 - DAY_NS)], [a_trade(8, at_ns=noon), a_tick(T0 + DAY_NS, last_agg_id=8)]
    )
    assert (certificate.complete, certificate.unproven_trades) == (True, [])


def test_the_same_log_gives_the_same_bytes(tmp_path: Path) -> None:
    """However it was cut into segments, the chain is one; the files alone differ."""
    day = a_day()
    one, again = certify_segments(tmp_path / "a", day), certify_segments(tmp_path / "b", day)
    cut = certify_segments(tmp_path / "c", day[:700], day[700:701], day[701:])
    assert one == again
    assert cut.minutes == one.minutes
    assert (len(one.files), len(cut.files)) == (2, 5)


@settings(deadline=None, max_examples=40)
@given(cuts=st.sets(st.integers(1, 14), max_size=5))
def test_minutes_are_digested_the_same_in_any_pieces(cuts: set[int]) -> None:
    """Every kind, cut anywhere, texts and lists among the columns."""
    facts = one_of_each_market_kind()
    bounds = [0, *sorted(cuts), len(facts)]
    whole, pieces = MinuteDigests(), MinuteDigests()
    for kind, table in as_tables(facts).items():
        whole.add(kind, table)
    for start, stop in pairwise(bounds):
        for kind, table in as_tables(facts[start:stop], start + 1).items():
            pieces.add(kind, table)
    assert list(whole.minutes()) == list(pieces.minutes())
    assert sum(count for _, count, _ in whole.minutes()) == len(facts)


CHANGES: dict[str, Callable[[list[Fact]], list[Fact]]] = {
    "a price": lambda facts: [*facts[:1], a_trade(1, "100.01", at_ns=T0 + MINUTE_NS), *facts[2:]],
    "a side": lambda facts: [*facts[:1], a_trade(1, at_ns=T0 + MINUTE_NS, seller=True), *facts[2:]],
    "an arrival": lambda facts: [*facts[:1], a_trade(1, at_ns=T0 + MINUTE_NS, recv_ns=T0 + MINUTE_NS + 1), *facts[2:]],
    "a level": lambda facts: [*facts[:2], a_diff(asks=[("101", "5")], at_ns=T0 + MINUTE_NS), *facts[3:]],
    "the order": lambda facts: [facts[0], facts[2], facts[1], *facts[3:]],
    "a text": lambda facts: [*facts[:3], a_session("stopped", T0 + MINUTE_NS), *facts[4:]],
    "what was left out": lambda facts: facts[:-1],
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_any_other_content_gives_another_chain_from_its_minute_on(tmp_path: Path, change: str) -> None:
    """The minute before stays as it was, the changed one and all after it do not."""
    at = T0 + MINUTE_NS
    facts = [
        a_trade(0, at_ns=T0),
        a_trade(1, at_ns=at),
        a_diff(at_ns=at),
        a_session("started", at),
        a_quarantine(at_ns=at),
    ]
    facts += [a_quarantine(b"later", at_ns=at + MINUTE_NS)] if change != "what was left out" else []
    was, now = certify_segments(tmp_path / "a", facts), certify_segments(tmp_path / "b", CHANGES[change](facts))
    assert [m[0] for m in was.minutes][:2] == ["00:00", "00:01"]
    assert [a == b for a, b in zip(was.minutes, now.minutes, strict=True)] == [True] + [False] * (len(was.minutes) - 1)
    assert was.seal != now.seal


def test_the_day_before_is_chained_in(tmp_path: Path) -> None:
    """A first day's certificate changes the next day's, and is named by it."""
    log = a_log(tmp_path, a_day(), a_day(145, T0 + DAY_NS))
    alone = certify(log, T0 + DAY_NS)
    first = certify(log, T0)
    save(first, path_of(log.cold, "2024-01-01"))
    second_day = certify(log, T0 + DAY_NS)
    assert (first.complete, alone.complete, second_day.complete) == (True, True, True)
    assert (alone.previous, second_day.previous) == (None, first.seal)
    assert alone.head != second_day.head
    assert second_day.trades.agg_ids == [(145, 288)]


def test_a_hole_between_two_days_belongs_to_the_later(tmp_path: Path) -> None:
    """It is unknown when 145 was traded: the first day's last ten minutes are unproven, but nothing in it is wrong."""
    log = a_log(tmp_path, a_day(), a_day(146, T0 + DAY_NS))
    assert certify(log, T0).sound
    assert certify(log, T0).reasons == ["trades after 2024-01-01T23:50:00Z are not proven"]
    assert certify(log, T0 + DAY_NS).reasons == ["missing agg ids no gap names: 1: 145-145"]


def a_changed_certificate(certificate: Certificate) -> Certificate:
    """One that lies about a day, with the seal it had."""
    return replace(certificate, complete=not certificate.complete)


def test_a_certificate_comes_back_and_its_seal_holds(tmp_path: Path) -> None:
    """It is read as it was written; a changed word, another file and a missing one are errors."""
    certificate = certify_segments(tmp_path, a_day())
    path = tmp_path / "c.json"
    save(certificate, path)
    assert load(path) == certificate
    assert certificate.seal == compute_seal(certificate)
    save(a_changed_certificate(certificate), path)
    with pytest.raises(LogBroken, match="changed since it was made"):
        load(path)
    path.write_bytes(b"{}")
    with pytest.raises(LogBroken, match="is no certificate"):
        load(path)
    with pytest.raises(EventLogError, match="No such file"):
        load(tmp_path / "absent.json")


def rewritten(log: Log, price: str) -> None:
    """Another price at 00:20, in a file that is catalogued as it now is."""
    cold = log.cold
    record = next(f for f in cold.catalogue.segments[0].files if f.kind == AGG_TRADE)
    table = parquet_files.read(AGG_TRADE, cold.path_of(record))
    changed = as_tables([a_trade(3, price, at_ns=T0 + 20 * MINUTE_NS)])[AGG_TRADE].column("price_e8")[0].as_py()
    prices = table.column("price_e8").to_numpy().copy()
    prices[2] = changed
    at = table.schema.get_field_index("price_e8")
    table = table.set_column(at, table.schema.field("price_e8"), [prices])
    cold.path_of(record).write_bytes(parquet_files.to_bytes(AGG_TRADE, table))


def test_nothing_differs_from_a_fresh_certificate_nor_after_merging(tmp_path: Path) -> None:
    """Merged segments are other files with the same entries."""
    day = a_day()
    log = a_log(tmp_path, day[:500], day[500:])
    certificate = certify(log, T0)
    assert find_difference(log, certificate) is None
    assert ColdLog(tmp_path, log.name).compact(NOW) == 1
    assert find_difference(Log(ColdLog(tmp_path, log.name), None, MAPPER.decoders), certificate) is None


def test_a_changed_price_names_its_minute(tmp_path: Path) -> None:
    """And the file whose bytes are not those that were committed."""
    log = a_log(tmp_path, a_day())
    certificate = certify(log, T0)
    rewritten(log, "100.01")
    difference = find_difference(log, certificate)
    assert difference is not None
    assert difference.startswith("2024-01-01 00:20 is the first minute that differs from the certificate: ")
    assert difference.endswith(".agg_trade.parquet is not as it was written")


def test_a_file_written_anew_with_the_same_entries_is_told(tmp_path: Path) -> None:
    """No minute differs, yet these are not the bytes that were certified."""
    log = a_log(tmp_path, a_day())
    certificate = certify(log, T0)
    record = log.cold.catalogue.segments[0].files[0]
    path = log.cold.path_of(record)
    path.write_bytes(path.read_bytes() + b"\0")
    difference = find_difference(log, certificate)
    assert difference is not None
    assert "is not as it was written" in difference


def test_a_missing_file_names_the_first_minute_it_held(tmp_path: Path) -> None:
    """Trades of the second segment begin at 08:20."""
    day = a_day()
    log = a_log(
        tmp_path,
        [f for f in day if f.recv_ns < T0 + 500 * MINUTE_NS],
        [f for f in day if f.recv_ns >= T0 + 500 * MINUTE_NS],
    )
    certificate = certify(log, T0)
    record = next(f for f in log.cold.catalogue.segments[1].files if f.kind == AGG_TRADE)
    log.cold.path_of(record).unlink()
    assert find_difference(log, certificate) == (
        f"2024-01-01 08:20 is the first minute that differs from the certificate: {record.name} is missing"
    )
    again = certify(log, T0)
    assert not again.sound
    assert f"damaged: 1: {record.name} is missing" in again.reasons[0]


def test_a_pipe_in_place_of_a_file_is_damage_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A log from elsewhere may hold one; it is named, and the rest of the day is read."""
    log = a_log(tmp_path, a_day())
    record = next(f for f in log.cold.catalogue.segments[0].files if f.kind == AGG_TRADE)
    path = log.cold.path_of(record)
    path.unlink()
    os.mkfifo(path)
    certificate = certify(log, T0)
    assert not certificate.sound
    assert f"damaged: 1: {path} is no plain file" in certificate.reasons[0]


def test_another_days_file_that_says_what_came_late_is_held_to_its_digest(tmp_path: Path) -> None:
    """Nothing of a file that was changed since is believed without a word, not even in passing."""
    late = a_trade(5, at_ns=T0 + 40 * MINUTE_NS, recv_ns=T0 + DAY_NS + 120 * MINUTE_NS)
    log = a_log(tmp_path, a_day(leave_out=[5]), [late])
    record = next(f for f in log.cold.catalogue.segments[1].files if f.kind == AGG_TRADE)
    path = log.cold.path_of(record)
    assert not any("damaged" in reason for reason in certify(log, T0).reasons)
    path.write_bytes(parquet_files.to_bytes(AGG_TRADE, parquet_files.read(AGG_TRADE, path), "other"))
    assert f"damaged: 1: {record.name} is not as it was written" in certify(log, T0).reasons[0]


def test_another_log_is_not_what_was_certified(tmp_path: Path) -> None:
    """The same market recorded elsewhere has another id."""
    certificate = certify_segments(tmp_path / "a", a_day())
    difference = find_difference(a_log(tmp_path / "b", a_day()), replace(certificate, log_id="0" * 16))
    assert difference is not None
    assert "not of this log" in difference
