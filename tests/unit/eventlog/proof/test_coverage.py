"""What cannot be proven of a log's time: nothing is proven by silence, and nothing proven is doubted."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts.entry import Fact
from eventlog.proof.chains import TradeChain, UpdateChain, find_breaks, find_gaps
from eventlog.proof.coverage import CoverageGaps, find_coverage_gaps, minutes_of, overlapping
from market.timestamps import MINUTE_NS, SECOND_NS
from tests.builders import T0, a_book_audit, a_book_reset, a_diff, a_log, a_snapshot, a_tick, a_trade

HOUR = 60 * MINUTE_NS


def coverage_gaps(storage: Path, *facts: Fact) -> CoverageGaps:
    """The coverage gaps of the first hour of 2024."""
    return find_coverage_gaps(a_log(storage, list(facts)), T0, T0 + HOUR)


def at(minute: float) -> int:
    """A time in that hour."""
    return T0 + round(minute * 60) * SECOND_NS


def test_trades_are_proven_from_one_to_the_next(tmp_path: Path) -> None:
    """However long nothing was traded between them; before the first and after the last nothing is."""
    gaps = coverage_gaps(tmp_path, a_trade(1, at_ns=at(5)), a_trade(2, at_ns=at(45)))
    assert gaps.trades.tolist() == [[T0, at(5)], [at(45) + 1, at(60)]]
    assert not gaps.has_depth


def test_a_live_tick_proves_up_to_its_boundary(tmp_path: Path) -> None:
    """Only one that knew the last trade, and only a live one."""
    trade = a_trade(1, at_ns=T0)
    assert coverage_gaps(tmp_path / "a", trade, a_tick(at(60), last_agg_id=1)).trades.tolist() == []
    other = coverage_gaps(tmp_path / "b", trade, a_tick(at(60), last_agg_id=7))
    down = coverage_gaps(tmp_path / "c", trade, a_tick(at(60), last_agg_id=1, trades="down"))
    assert other.trades.tolist() == down.trades.tolist() == [[T0 + 1, at(60)]]


def test_a_hole_is_unproven_from_trade_to_trade(tmp_path: Path) -> None:
    """Agg ids or trade ids, in whatever order they came."""
    facts = [a_trade(1, at_ns=T0), a_trade(5, at_ns=at(30)), a_trade(3, at_ns=at(10)), a_trade(2, at_ns=at(7))]
    gaps = coverage_gaps(tmp_path / "a", *facts, a_tick(at(60), last_agg_id=5))
    assert gaps.trades.tolist() == [[at(10), at(30) + 1]]
    facts_with_break = [a_trade(1, at_ns=T0), a_trade(2, at_ns=at(1), first_id=9), a_tick(at(60), last_agg_id=2)]
    assert coverage_gaps(tmp_path / "b", *facts_with_break).trades.tolist() == [[T0, at(1) + 1]]


def test_a_book_of_updates_is_proven_from_its_snapshot_to_its_last_update(tmp_path: Path) -> None:
    """A missing update unproves it until the next snapshot that its updates reach."""
    facts = [
        a_diff(8, 9, at_ns=T0),
        a_snapshot(update_id=10, at_ns=at(1)),
        a_diff(10, 12, at_ns=at(2)),
        a_diff(13, 14, at_ns=at(20)),
        a_diff(20, 21, at_ns=at(21)),
        a_snapshot(update_id=15, at_ns=at(22)),
        a_snapshot(update_id=21, at_ns=at(30)),
        a_diff(22, 22, at_ns=at(50)),
    ]
    gaps = coverage_gaps(tmp_path, *facts)
    assert gaps.depth.tolist() == [[T0, at(1)], [at(20), at(30)], [at(50) + 1, at(60)]]
    assert gaps.has_depth


def test_without_updates_a_snapshot_proves_its_minute(tmp_path: Path) -> None:
    """Nothing is known between two books."""
    gaps = coverage_gaps(tmp_path, a_snapshot(update_id=1, at_ns=at(0.5)), a_snapshot(update_id=2, at_ns=at(3)))
    assert gaps.depth.tolist() == [[at(1), at(3)], [at(4), at(60)]]


def test_resets_and_unhealthy_audits_unprove_the_book(tmp_path: Path) -> None:
    """A reset until the next snapshot; an unhealthy book from the snapshot it came from to its audit."""
    books = [a_snapshot(update_id=9, at_ns=T0), a_diff(10, 11, at_ns=at(1))]
    tail = [a_snapshot(update_id=11, at_ns=at(5)), a_diff(12, 12, at_ns=at(59)), a_tick(at(60))]
    reset = coverage_gaps(tmp_path / "a", *books, a_book_reset(at_ns=at(2)), *tail)
    assert reset.depth.tolist() == [[at(2), at(5)]]
    audit = a_book_audit(missing=1, at_ns=at(6))  # of the snapshot with id 10; the one before it has id 9
    assert coverage_gaps(tmp_path / "b", *books, audit, *tail).depth.tolist() == [[T0, at(6)]]
    assert coverage_gaps(tmp_path / "c", *books, a_book_audit(at_ns=at(6)), *tail).depth.tolist() == []


def test_spans_that_touch_a_range_overlap_it() -> None:
    """Ranges end before their end, spans at it."""
    ranges = np.array([[10, 20], [30, 31]], np.int64)
    starts, stops = np.array([0, 0, 20, 15, 31, 25]), np.array([9, 10, 29, 16, 99, 40])
    assert overlapping(ranges, starts, stops).tolist() == [False, True, False, True, False, True]
    assert overlapping(ranges[:0], starts, stops).tolist() == [False] * 6


def test_ranges_as_minutes() -> None:
    """Every minute that is touched, once."""
    ranges = np.array([[at(1.5), at(3)], [at(3), at(3) + 1], [at(9), at(9.5)]], np.int64)
    assert minutes_of(ranges).tolist() == [at(1), at(2), at(3), at(9)]
    assert minutes_of(ranges[:0]).tolist() == []


@settings(deadline=None)
@given(data=st.data())
def test_a_chain_of_trades_is_the_same_in_any_order_and_pieces(data: st.DataObject) -> None:
    """Runs, gaps, breaks and duplicates are those of the set."""
    ids = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=40))
    chain = TradeChain()
    while ids:
        count = data.draw(st.integers(1, len(ids)))
        part, ids_left = np.array(ids[:count], np.int64), ids[count:]
        chain.add(part, part, part, part * 10)
        ids = ids_left
    runs = chain.runs()
    present = [i for a, b in runs[:, :2].tolist() for i in range(a, b + 1)]
    missing = set(range(min(present), max(present) + 1)) - set(present)
    assert {i for a, b in find_gaps(runs) for i in range(a, b + 1)} == missing
    assert (chain.duplicates == 0) == (len(present) == len(set(present)))


def test_a_chain_of_trades_tells_its_runs() -> None:
    """Three pieces out of order, a gap of agg ids, a break of trade ids, and one id twice."""
    chain = TradeChain()
    for part in ([6, 7], [1, 2], [3, 3]):
        ids = np.array(part, np.int64)
        chain.add(ids, ids, ids, ids * 10)
    chain.add(np.array([8]), np.array([9]), np.array([9]), np.array([80]))
    runs = chain.runs()
    assert runs[:, :2].tolist() == [[1, 3], [3, 3], [6, 7], [8, 8]]
    assert (chain.duplicates, find_gaps(runs), find_breaks(runs)) == (1, [(4, 5)], [8])


def test_a_chain_of_updates_tells_its_runs() -> None:
    """An update that reaches back goes on; one that begins later does not; pieces change nothing."""
    first, last = np.array([1, 3, 2, 9, 10]), np.array([2, 5, 4, 9, 12])
    seq, recv = np.arange(5), np.arange(5) * 100
    at_once, pieces = UpdateChain(), UpdateChain()
    at_once.add(seq, first, last, recv)
    for i in range(5):
        part = slice(i, i + 1)
        pieces.add(seq[part], first[part], last[part], recv[part])
    assert at_once.runs().tolist() == [[1, 5, 0, 200, 0, 2], [9, 12, 300, 400, 3, 4]]
    assert pieces.runs().tolist() == at_once.runs().tolist()
