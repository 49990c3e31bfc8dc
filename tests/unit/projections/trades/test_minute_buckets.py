"""The minute buckets: which trade counts where, what a tick moves, what late trades do."""

import numpy as np
import pytest

from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from market.errors import SumOverflow
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.trades.minute_buckets import MinuteBuckets
from tests.builders import T0, a_batch, a_tick, a_trade


def fold_facts(*facts: Fact, window: int = 10, level_e8: int = ONE_E8, end_ns: int = T0 + MINUTE_NS) -> MinuteBuckets:
    """A fold of facts, closed at a tick."""
    buckets = MinuteBuckets(window, level_e8)
    if facts:
        buckets.apply(a_batch(facts))
    buckets.close(end_ns)
    return buckets


def levels(buckets: MinuteBuckets, minute_ns: int = T0) -> list[tuple[int, int, int, int]]:
    """Level, buy, sell, count of a minute."""
    minute = buckets.minute(minute_ns)
    assert minute is not None
    return list(
        zip(
            minute.level_e8.tolist(),
            minute.buy_e8.tolist(),
            minute.sell_e8.tolist(),
            minute.count.tolist(),
            strict=True,
        )
    )


def test_a_trade_counts_for_its_aggressor_at_its_floored_level() -> None:
    """m = true means that the seller was the aggressor; 100.99 belongs to 100."""
    buckets = fold_facts(
        a_trade(1, "100.00", "1"),
        a_trade(2, "100.99", "2", seller=True),
        a_trade(3, "101.00", "0.5"),
    )
    one = ONE_E8
    assert levels(buckets) == [(100 * one, one, 2 * one, 2), (101 * one, one // 2, 0, 1)]
    minute = buckets.minute(T0)
    assert minute is not None
    assert minute.total_e8.tolist() == [3 * one, one // 2]


def test_the_published_minute() -> None:
    """The users' own example, its arithmetic corrected (docs/measures.md §1): buy, sell, total, delta of two levels."""
    buckets = fold_facts(
        a_trade(1, "110000.25", "0.001"),
        a_trade(2, "110000.01", "0.06"),
        a_trade(3, "110000.9", "0.05", seller=True),
        a_trade(4, "110001", "0.03"),
        a_trade(5, "110001", "0.001", seller=True),
    )
    minute = buckets.minute(T0)
    assert minute is not None
    assert minute.level_e8.tolist() == [110_000 * ONE_E8, 110_001 * ONE_E8]
    assert minute.buy_e8.tolist() == [6_100_000, 3_000_000]
    assert minute.sell_e8.tolist() == [5_000_000, 100_000]
    assert minute.total_e8.tolist() == [11_100_000, 3_100_000]
    assert (minute.buy_e8 - minute.sell_e8).tolist() == [1_100_000, 2_900_000]
    assert minute.count.tolist() == [3, 2]


def test_a_level_is_as_wide_as_it_is_set() -> None:
    """Half a quote unit, or ten of them."""
    facts = [a_trade(1, "104.99"), a_trade(2, "105.00"), a_trade(3, "105.49"), a_trade(4, "105.50")]
    half = fold_facts(*facts, level_e8=ONE_E8 // 2)
    assert [row[0] / ONE_E8 for row in levels(half)] == [104.5, 105.0, 105.5]
    ten = fold_facts(*facts, level_e8=10 * ONE_E8)
    assert levels(ten) == [(100 * ONE_E8, 4 * ONE_E8, 0, 4)]


def test_a_trade_belongs_to_the_minute_it_was_made_in() -> None:
    """Its arrival does not matter: one fetched an hour later lands in its own minute."""
    late = a_trade(1, "100", at_ns=T0 + MINUTE_NS - 10**6, recv_ns=T0 + 60 * MINUTE_NS)
    buckets = fold_facts(a_trade(2, "100", at_ns=T0 + MINUTE_NS), late, end_ns=T0 + 2 * MINUTE_NS)
    assert [minute_ns for minute_ns, _ in buckets.minutes()] == [T0, T0 + MINUTE_NS]
    assert [row[3] for row in levels(buckets, T0)] == [1]


def test_only_a_tick_moves_the_window() -> None:
    """Trades of the open minute wait: they are in no closed minute, but the last price is theirs."""
    buckets = fold_facts(a_trade(1, "100"), a_trade(2, "200", at_ns=T0 + MINUTE_NS))
    assert [minute_ns for minute_ns, _ in buckets.minutes()] == [T0]
    assert buckets.last_price_e8() == 200 * ONE_E8
    buckets.close(T0 + 2 * MINUTE_NS)
    assert [minute_ns for minute_ns, _ in buckets.minutes()] == [T0, T0 + MINUTE_NS]


def test_a_tick_never_moves_the_window_back() -> None:
    """A tick with an older boundary changes nothing."""
    buckets = fold_facts(a_trade(1), end_ns=T0 + 5 * MINUTE_NS)
    buckets.close(T0 + MINUTE_NS)
    assert buckets.end_ns == T0 + 5 * MINUTE_NS


def test_a_window_is_a_span_of_time_and_empty_minutes_count() -> None:
    """Two trades ten minutes apart are not neighbours: the older one leaves with its minute."""
    trades = [a_trade(1, "100"), a_trade(2, "101", at_ns=T0 + 10 * MINUTE_NS)]
    buckets = fold_facts(*trades, window=10, end_ns=T0 + 10 * MINUTE_NS)
    assert [m for m, _ in buckets.minutes()] == [T0]
    buckets.close(T0 + 11 * MINUTE_NS)
    assert [m for m, _ in buckets.minutes()] == [T0 + 10 * MINUTE_NS]
    assert buckets.minute(T0) is None
    assert [m for m, _ in buckets.minutes(1)] == [T0 + 10 * MINUTE_NS]
    assert list(buckets.minutes(0)) == []


def test_a_trade_older_than_the_window_is_not_held() -> None:
    """It is in the log; a state that never saw it is the same state."""
    without = fold_facts(a_trade(2, at_ns=T0 + 20 * MINUTE_NS), end_ns=T0 + 21 * MINUTE_NS)
    with_late = fold_facts(a_trade(2, at_ns=T0 + 20 * MINUTE_NS), end_ns=T0 + 21 * MINUTE_NS)
    with_late.apply(a_batch([a_trade(9, "1", at_ns=T0)], first_seq=9))
    assert with_late.digest() == without.digest()
    assert with_late.last_price_e8() == 100 * ONE_E8


def test_the_last_price_leaves_with_its_window() -> None:
    """Without a trade in the window there is no last price."""
    buckets = fold_facts(a_trade(1, "100"))
    assert buckets.last_price_e8() == 100 * ONE_E8
    buckets.close(T0 + 12 * MINUTE_NS)
    assert buckets.last_price_e8() is None
    assert buckets.digest() == fold_facts(end_ns=T0 + 12 * MINUTE_NS).digest()


def test_bars_open_and_close_by_agg_id_not_by_arrival() -> None:
    """37 % of real trades share their millisecond with the one before: only ids order them."""
    buckets = fold_facts(a_trade(3, "103"), a_trade(1, "101"), a_trade(4, "99"), a_trade(2, "110"))
    starts, bars = buckets.bars(10)
    assert starts.tolist() == [T0]
    assert (bars / ONE_E8).tolist() == [[101.0, 110.0, 99.0, 99.0]]
    assert buckets.last_price_e8() == 99 * ONE_E8


def test_bars_of_nothing_keep_their_shape() -> None:
    """No minutes are zero rows of four."""
    starts, bars = fold_facts().bars(10)
    assert len(starts) == 0
    assert bars.shape == (0, 4)


def test_many_levels_and_minutes_outgrow_the_first_tables() -> None:
    """5,000 groups over 40 minutes: every one of them is found again, with its own sums."""
    facts = [
        a_trade(i, f"{100 + i * 7 % 2500}", f"0.{i:06d}", T0 + (i * 13 % 40) * MINUTE_NS, seller=i % 3 == 0)
        for i in range(1, 6000)
    ]
    buckets = fold_facts(*facts, window=60, end_ns=T0 + 40 * MINUTE_NS)
    expected: dict[tuple[int, int], list[int]] = {}
    for i in range(1, 6000):
        row = expected.setdefault(((i * 13 % 40), 100 + i * 7 % 2500), [0, 0, 0])
        row[1 if i % 3 == 0 else 0] += i * 100
        row[2] += 1
    result = {
        ((m - T0) // MINUTE_NS, level // ONE_E8): [buy, sell, count]
        for m, _ in buckets.minutes()
        for level, buy, sell, count in levels(buckets, m)
    }
    assert result == expected


def test_a_sum_that_does_not_fit_is_an_error() -> None:
    """Within one batch, and where two batches meet in one minute; 2^62 itself still fits."""
    most = "46116860184.27387904"
    assert levels(fold_facts(a_trade(1, "100", most)))[0][1] == 2**62
    with pytest.raises(SumOverflow, match="2\\^62"):
        fold_facts(a_trade(1, "100", most), a_trade(2, "100", "0.00000001")).digest()
    with pytest.raises(SumOverflow):
        fold_facts(*(a_trade(i, "100", most) for i in range(1, 5))).digest()
    apart = fold_facts(a_trade(1, "100", most), a_trade(2, "300"), a_trade(3, "100", most))
    with pytest.raises(SumOverflow):
        apart.digest()
    buckets = fold_facts(a_trade(1, "100", most))
    assert buckets.last_price_e8() is not None
    buckets.apply(a_batch([a_trade(2, "100", "1")], 2))
    with pytest.raises(SumOverflow):
        buckets.digest()


def test_the_digest_tells_states_apart() -> None:
    """Price, quantity, side, minute, window, level width and boundary all count."""
    base = fold_facts(a_trade(1, "100", "1"))
    others = [
        fold_facts(a_trade(1, "101", "1")),
        fold_facts(a_trade(1, "100", "2")),
        fold_facts(a_trade(1, "100", "1", seller=True)),
        fold_facts(a_trade(1, "100", "1", at_ns=T0 + MINUTE_NS)),
        fold_facts(a_trade(2, "100", "1")),
        fold_facts(a_trade(1, "100", "1"), window=11),
        fold_facts(a_trade(1, "100", "1"), level_e8=10 * ONE_E8),
        fold_facts(a_trade(1, "100", "1"), end_ns=T0 + 2 * MINUTE_NS),
        fold_facts(),
    ]
    assert len({base.digest(), *(o.digest() for o in others)}) == len(others) + 1
    assert base.digest() == fold_facts(a_trade(1, "100", "1")).digest()


def test_a_late_trade_after_a_digest_is_in_the_next() -> None:
    """In a minute that was hashed, in one between two, and in one that has to leave: as if all had come at once."""
    trades = [a_trade(i, at_ns=T0 + m * MINUTE_NS) for i, m in ((2, 1), (7, 4), (3, 1), (5, 2), (1, 0))]
    buckets = fold_facts(trades[0], window=10, end_ns=T0 + 5 * MINUTE_NS)
    for n in range(2, 6):
        before = buckets.digest()
        buckets.apply(a_batch([trades[n - 1]], n))
        assert buckets.digest() == fold_facts(*trades[:n], window=10, end_ns=T0 + 5 * MINUTE_NS).digest() != before
    buckets.close(T0 + 12 * MINUTE_NS)
    assert buckets.digest() == fold_facts(trades[1], trades[3], window=10, end_ns=T0 + 12 * MINUTE_NS).digest()


def test_a_batch_without_trades_changes_nothing() -> None:
    """Ticks and books are for others."""
    buckets = fold_facts(a_trade(1))
    before = buckets.digest()
    buckets.apply(a_batch([a_tick()], 2))
    assert buckets.digest() == before


def test_what_changed_is_told_once() -> None:
    """A reader's mark says from where on; one that is too old is told to look at everything."""
    buckets = fold_facts(a_trade(1), window=3)
    mark, minutes = buckets.changes_since(0)
    assert minutes == [T0]
    assert buckets.changes_since(mark) == (mark, [])
    for i in range(2, 12):
        buckets.apply(a_batch([a_trade(i)], i))
        buckets.changes_since(0)
    assert buckets.changes_since(0)[1] is None
    assert buckets.changes_since(buckets.changes_since(0)[0])[1] == []


def test_more_waits_than_is_kept_waiting() -> None:
    """A quarter of a million trades nobody asks about are folded in between; the sums are the same."""
    rows = a_batch([a_trade(i, "100", at_ns=T0 + i * 10**6) for i in range(1, 1001)]).rows[AGG_TRADE]
    table = rows.columns.table
    buckets = MinuteBuckets(10)
    for _ in range(300):
        buckets.apply(type(a_batch([a_trade(1)])).from_tables(1, 1000, {AGG_TRADE: table}))
    buckets.close(T0 + MINUTE_NS)
    assert np.array(levels(buckets)).tolist() == [[100 * ONE_E8, 300_000 * ONE_E8, 0, 300_000]]
