"""The laws of folds: any batches, any order, no memory beyond the windows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts.capture import TICK
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch
from market.timestamps import MINUTE_NS
from projections.book.snapshot_window import SnapshotWindow
from projections.state import MarketState, Windows, read_ticks
from projections.trades.minute_buckets import MinuteBuckets
from projections.trades.recent_trades import RecentTrades
from projections.trades.volume_profile import IncrementalProfile
from runtime.loop import drive
from tests.builders import T0, a_batch, a_snapshot, a_tick, a_trade, pieces

LAW = settings(deadline=None, max_examples=60)
WINDOW = 5


@dataclass(frozen=True)
class Made:
    """A random log: minutes of trades, some of them late, books, and a tick at the end of each minute."""

    facts: list[Fact]
    ticks: list[int]

    @property
    def batch(self) -> Batch:
        """All of it."""
        return a_batch(self.facts)


@st.composite
def logs(draw: Any, minutes: int = 12) -> Made:
    """Prices repeat, minutes are empty, trades come up to ten minutes late, agg ids in any order."""
    facts: list[Fact] = []
    ticks: list[int] = []
    ids = iter(draw(st.permutations(range(1, minutes * 4 + 1))))
    for minute in range(minutes):
        at = T0 + minute * MINUTE_NS
        for _ in range(draw(st.integers(0, 4))):
            late = draw(st.sampled_from([0, 0, 0, 0, 1, 3, 6, 10]))
            price = draw(st.sampled_from(["100", "100.5", "101", "99.99", "250"]))
            quantity = draw(st.sampled_from(["1", "0.00000001", "3.5"]))
            stamp = at - late * MINUTE_NS + draw(st.integers(0, 59_999)) * 10**6
            facts.append(a_trade(next(ids), price, quantity, stamp, seller=draw(st.booleans()), recv_ns=at))
        if draw(st.booleans()):
            late = draw(st.sampled_from([0, 0, 0, 1, 4, 7]))
            stamp = at - late * MINUTE_NS + draw(st.integers(0, 2)) * 10**9
            facts.append(a_snapshot(at_ns=stamp, recv_ns=at, update_id=draw(st.integers(1, 5))))
        if draw(st.integers(0, 5)):
            facts.append(a_tick(at + MINUTE_NS))
            ticks.append(len(facts))
    facts.append(a_tick(T0 + minutes * MINUTE_NS))
    return Made(facts, [*ticks, len(facts)])


def digests(batches: list[Batch], windows: Windows) -> tuple[dict[int, dict[str, str]], MarketState]:
    """The digests at each tick, by seq, and the state at the end."""
    state = MarketState(windows)
    seen: dict[int, dict[str, str]] = {}
    drive(batches, state, lambda tick, held: seen.update({tick.seq: held.digests()}))
    return seen, state


@pytest.mark.slow
@LAW
@given(made=logs(), cuts=st.sets(st.integers(1, 60)))
def test_any_batches_give_the_same_digest_at_every_tick(made: Made, cuts: set[int]) -> None:
    """One batch, one entry a batch, or any cuts between."""
    windows = Windows(bucket_minutes=WINDOW, snapshot_slots=3, trade_minutes=4, flow_seconds=60)
    whole, _ = digests([made.batch], windows)
    assert list(whole) == made.ticks
    assert digests(pieces(made.batch, cuts), windows)[0] == whole
    assert digests(pieces(made.batch, range(1, 100)), windows)[0] == whole


@pytest.mark.slow
@LAW
@given(made=logs(), cut=st.integers(1, 50))
def test_both_at_once_is_one_after_the_other(made: Made, cut: int) -> None:
    """apply(a + b) = apply(a), apply(b), asked in between or not."""
    for make in (lambda: MinuteBuckets(WINDOW), lambda: SnapshotWindow(3), lambda: RecentTrades(4)):
        at_once, in_two, asked = make(), make(), make()
        at_once.apply(made.batch)
        for piece in pieces(made.batch, [cut]):
            in_two.apply(piece)
            asked.apply(piece)
            asked.digest()
        for fold in (at_once, in_two, asked):
            fold.close(T0 + 12 * MINUTE_NS)
        assert at_once.digest() == in_two.digest() == asked.digest()


@pytest.mark.slow
@LAW
@given(made=logs())
def test_asking_changes_nothing(made: Made) -> None:
    """A state that is asked at each tick and one that never was are the same at the end."""
    windows = Windows(bucket_minutes=WINDOW, snapshot_slots=3, trade_minutes=4, flow_seconds=60)
    _, asked = digests([made.batch], windows)
    silent = MarketState(windows)
    drive([made.batch], silent, lambda *_: None)
    assert silent.digests() == asked.digests()


@LAW
@given(made=logs(), order=st.randoms())
def test_the_order_of_trades_does_not_matter(made: Made, order: Any) -> None:
    """Sums are exact and bars go by agg id: shuffled trades give the same buckets, bars and last price."""
    trades = [f for f in made.facts if f.kind == AGG_TRADE]
    shuffled = list(trades)
    order.shuffle(shuffled)
    folds = []
    for facts in (trades, shuffled):
        fold = MinuteBuckets(20)
        if facts:
            fold.apply(a_batch(facts))
        fold.close(T0 + 10 * MINUTE_NS)
        folds.append(fold)
    assert folds[0].digest() == folds[1].digest()
    assert folds[0].last_price_e8() == folds[1].last_price_e8()
    assert [a.tolist() for a in folds[0].bars(20)] == [a.tolist() for a in folds[1].bars(20)]


@pytest.mark.slow
@LAW
@given(made=logs(), data=st.data())
def test_there_is_no_memory_beyond_the_windows(made: Made, data: st.DataObject) -> None:
    """One state from the beginning, one warmed up from just before its window: the same at every later tick."""
    windows = Windows(bucket_minutes=WINDOW, snapshot_slots=3, trade_minutes=4, flow_seconds=60)
    longest = max(windows.bucket_minutes, 2 * windows.snapshot_slots)  # a book rests on what is twice that old
    whole, _ = digests([made.batch], windows)
    start = data.draw(st.integers(0, len(made.facts) - 1))
    first_recv = made.facts[start].recv_ns
    late = a_batch(made.facts[start:], start + 1)
    warmed, _ = digests([late], windows)
    for seq, digest in warmed.items():
        # Arrivals before `first_recv` are missing: they can matter only to windows that reach back to it.
        if made.facts[seq - 1].recv_ns - longest * MINUTE_NS > first_recv:
            assert digest == whole[seq]


@LAW
@given(made=logs(), minutes=st.integers(1, WINDOW), ask=st.lists(st.booleans(), min_size=40, max_size=40))
def test_the_kept_profile_is_the_recomputed_one(made: Made, minutes: int, ask: list[bool]) -> None:
    """After late trades and ticks, asked often or rarely, the sums are those of the fold's minutes."""
    buckets = MinuteBuckets(WINDOW)
    profile = IncrementalProfile(buckets, minutes)
    for piece, asked in zip(pieces(made.batch, range(1, 100)), (ask * 3), strict=False):
        buckets.apply(piece)
        if TICK in piece.rows:
            buckets.close(read_ticks(piece.rows[TICK])[0].boundary_ns)
        if asked:
            profile.refresh()
            assert_profile(profile, buckets, minutes)
    profile.refresh()
    assert_profile(profile, buckets, minutes)


def assert_profile(profile: IncrementalProfile, buckets: MinuteBuckets, minutes: int) -> None:
    """Sum the minutes anew, in plain Python."""
    expected: dict[int, list[int]] = {}
    for _, minute in buckets.minutes(minutes):
        for level, *amounts in np.array([minute.level_e8, minute.buy_e8, minute.sell_e8, minute.count]).T.tolist():
            row = expected.setdefault(level, [0, 0, 0])
            row[:] = [a + b for a, b in zip(row, amounts, strict=True)]
    level, *columns = (c.tolist() for c in profile.levels())
    assert level == sorted(expected)
    assert [list(row) for row in zip(*columns, strict=True)] == [expected[k] for k in level]


@LAW
@given(made=logs())
def test_buckets_are_the_sums_of_their_trades(made: Made) -> None:
    """Summed anew in plain Python from the log's columns, minute by minute."""
    buckets = MinuteBuckets(40)
    buckets.apply(made.batch)
    buckets.close(T0 + 12 * MINUTE_NS)
    expected: dict[tuple[int, int], list[int]] = {}
    if AGG_TRADE in made.batch.rows:
        for row in made.batch.rows[AGG_TRADE].columns.table.to_pylist():
            minute = row["trade_time_ns"] // MINUTE_NS * MINUTE_NS
            width = 10 ** (len(str(row["price_e8"] // 20_000)) - 1)
            sums = expected.setdefault((minute, row["price_e8"] // width * width), [0, 0, 0])
            sums[1 if row["buyer_is_maker"] else 0] += row["quantity_e8"]
            sums[2] += 1
    found = {
        (minute_ns, level): amounts
        for minute_ns, minute in buckets.minutes()
        for level, *amounts in np.array([minute.level_e8, minute.buy_e8, minute.sell_e8, minute.count]).T.tolist()
    }
    assert found == expected
