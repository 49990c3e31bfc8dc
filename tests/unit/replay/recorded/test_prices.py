"""
The trades of a log by stretches of time: whatever is asked between two times is what the whole path says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts.market import AGG_TRADE
from eventlog.store.batch import Batch
from market.fixed_point import ONE_E8
from market.timestamps import DAY_NS, MINUTE_NS, SECOND_NS
from replay.baselines.baselines import baselines_on
from replay.recorded import prices as recorded_prices
from replay.recorded.minutes import Minutes
from replay.recorded.price_path import PricePath
from replay.recorded.prices import RecordedPrices
from replay.scoring.rules import ScoringRules
from replay.scoring.scoring import score
from tests.market_builders import T0, table, trade_columns
from tests.null_markets import a_martingale, advise, even

SPAN_S = 1200


class ALog:
    """Batches that are read by seq."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self._batches = batches

    def read(self, after: int, until: int, kinds: Any, columns: Any) -> Iterator[Any]:
        for batch in self._batches:
            seqs = batch.rows[AGG_TRADE]["seq"]
            assert all(seq <= after or after < seq for seq in seqs)
            if seqs[-1] > after and seqs[0] <= until:
                yield batch


@pytest.fixture(autouse=True)
def eight_decimals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_prices, "quantity_decimals_of", lambda log: 8)


@st.composite
def logged(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Id, second and price of trades in the order in which they were logged: late ones, and times that fall back."""
    count = draw(st.integers(1, 30))
    seconds = sorted(draw(st.lists(st.integers(0, SPAN_S), min_size=count, max_size=count)))
    jitter = draw(st.lists(st.sampled_from([0, 0, 0, -90, 90]), min_size=count, max_size=count))
    prices = draw(st.lists(st.integers(90, 110), min_size=count, max_size=count))
    rows = [(n + 1, max(0, s + j), p) for n, (s, j, p) in enumerate(zip(seconds, jitter, prices, strict=True))]
    for _ in range(draw(st.integers(0, 3))):
        rows.insert(draw(st.integers(0, count - 1)), rows.pop(draw(st.integers(0, count - 1))))
    return rows


def batches_of(
    rows: Sequence[tuple[int, int, int]], size: int, unit_ns: int = SECOND_NS, unit_e8: int = ONE_E8
) -> list[Any]:
    made, seq = [], 0
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        ids, seconds, prices = zip(*part, strict=True)
        recv = T0 + np.array(seconds) * unit_ns
        columns = trade_columns(recv, [p * unit_e8 for p in prices], agg_id=np.array(ids))
        rows_of = table(AGG_TRADE, {"seq": np.arange(seq + 1, seq + 1 + len(part)), **columns})
        made.append(Batch.from_tables(seq + 1, seq + len(part), {AGG_TRADE: rows_of}))
        seq += len(part)
    return made


@settings(max_examples=300, deadline=None)
@given(logged(), st.integers(1, 7), st.tuples(st.integers(0, SPAN_S), st.integers(0, SPAN_S)), st.integers(0, 31))
def test_a_stretch_says_what_the_whole_says(
    rows: list[tuple[int, int, int]], size: int, span: tuple[int, int], seq: int
) -> None:
    batches = batches_of(rows, size)
    whole = PricePath.from_batches(batches)
    recorded = RecordedPrices(ALog(batches), 0, len(rows))  # type: ignore[arg-type]
    from_ns, to_ns = (T0 + second * SECOND_NS for second in sorted(span))
    part = recorded.between(from_ns, to_ns)
    asked = np.arange(from_ns, to_ns + 1, 7 * SECOND_NS)
    assert part.price_at(asked).tolist() == whole.price_at(asked).tolist()
    for path in (part, whole):
        assert len(path) == len(path.seq) == len(path.newest_known)

    def news(path: PricePath) -> list[tuple[int, int]]:
        """What was made in the stretch and is news to advice given at a seq."""
        start = max(int(path.index_at(np.array([from_ns]))[0]), int(path.first_after(np.array([seq]))[0]))
        stop = int(path.index_at(np.array([to_ns]))[0])
        return list(zip(path.at_ns[start:stop].tolist(), path.price_e8[start:stop].tolist(), strict=True))

    assert news(part) == news(whole)
    assert recorded.tick_size_e8 == whole.tick_size_e8


def test_scores_are_the_same_by_stretches_and_from_the_whole() -> None:
    """Two days, some trades logged late: every table is the same, baselines included."""
    path = a_martingale(3, days=2)
    rows = [
        (n + 1, int(at - T0), int(price)) for n, (at, price) in enumerate(zip(path.at_ns, path.price_e8, strict=True))
    ]
    for late in range(1, 200):
        rows.insert(late * 860, rows.pop(late * 860 - 700))
    batches = batches_of(rows, 5000, unit_ns=1, unit_e8=1)
    whole, recorded = PricePath.from_batches(batches), RecordedPrices(ALog(batches), 0, len(rows))  # type: ignore[arg-type]
    publications = [replace(p, published_seq=p.published_seq // 2) for p in advise(path, 3, even, days=2)]
    rules = ScoringRules(2000, 250, 1.0, 0.0, 5, 1, 2.0, 2.0)
    one, two = (score(publications, p, rules, baselines_on(p.minutes)) for p in (whole, recorded))
    assert one.episodes.num_rows > 100
    assert {e // DAY_NS for e in one.episodes.column("published_ns").to_pylist()} == {T0 // DAY_NS, T0 // DAY_NS + 1}
    for name in ("episodes", "orders", "fills", "scores"):
        assert getattr(one, name).equals(getattr(two, name)), name


def test_only_the_parts_that_lie_in_a_stretch_are_read() -> None:
    rows = [(n + 1, 60 * n, 100 + n % 3) for n in range(20)]
    recorded = RecordedPrices(ALog(batches_of(rows, 2)), 0, 20)  # type: ignore[arg-type]
    path = recorded.between(T0 + 10 * MINUTE_NS, T0 + 12 * MINUTE_NS)
    assert path.seq.tolist() == [10, 11, 12, 13, 14]


def test_a_log_without_trades() -> None:
    recorded = RecordedPrices(ALog([]), 0, 0)  # type: ignore[arg-type]
    assert len(recorded.between(0, 1)) == 0
    assert recorded.tick_size_e8 == 1


@settings(max_examples=200, deadline=None)
@given(logged(), st.integers(1, 7))
def test_minutes_do_not_depend_on_how_trades_were_logged(rows: list[tuple[int, int, int]], size: int) -> None:
    def minutes(rows: Sequence[tuple[int, int, int]], size: int) -> list[Any]:
        parts = [rows[n : n + size] for n in range(0, len(rows), size)]
        arrays = [np.array(part, np.int64).T for part in parts]
        result = Minutes.of((T0 + second * SECOND_NS, price, ids) for ids, second, price in arrays)
        return [getattr(result, name) for name in Minutes.__slots__]

    for one, two in zip(minutes(rows, size), minutes(sorted(rows), len(rows)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_minutes_by_hand() -> None:
    seconds, price, ids = np.array([61, 0, 62, 119, 121]), np.array([7, 5, 9, 8, 6]), np.array([2, 1, 3, 4, 5])
    minutes = Minutes.of([(T0 + seconds * SECOND_NS, price, ids)])
    assert ((minutes.start_ns - T0) // MINUTE_NS).tolist() == [0, 1, 2]
    rows = zip(minutes.count, minutes.first_e8, minutes.high_e8, minutes.low_e8, minutes.last_e8, strict=True)
    assert [tuple(map(int, row)) for row in rows] == [(1, 5, 5, 5, 5), (3, 7, 9, 7, 8), (1, 6, 6, 6, 6)]
    at = T0 + np.array([59, 60, 119, 120, 500]) * SECOND_NS
    assert minutes.price_at(at).tolist() == [-1, 5, 5, 8, 6]
