"""The ledger finds trades by id and by time, across its blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.exchange.market.trades import Trades, no_trades
from simulators.exchange.venue.ledger import Ledger

MS = 1_000_000


def some_trades(count: int, first_agg_id: int = 100, per_ms: int = 3) -> Trades:
    columns = np.zeros((7, count), np.int64)
    columns[0] = first_agg_id + np.arange(count)
    columns[1:5] = np.arange(count)
    columns[5] = np.arange(count) // per_ms * MS
    return Trades(columns)


def a_ledger(count: int = 200_000) -> Ledger:
    ledger = Ledger(100)
    ledger.append(some_trades(count))
    return ledger


def test_what_goes_in_comes_out() -> None:
    """Appended in uneven parts, the dump is all of it, across block borders."""
    all_trades, ledger, done = some_trades(150_000), Ledger(100), 0
    for size in (1, 65_534, 3, 70_000, 14_462):
        ledger.append(all_trades[done : done + size])
        done += size
    assert np.array_equal(ledger.dump().columns, all_trades.columns)
    assert (len(ledger), ledger.first_agg_id, ledger.next_agg_id) == (150_000, 100, 150_100)


def test_ids_that_do_not_follow_are_refused() -> None:
    """A gap or a repeat is our bug and stops the exchange."""
    ledger = a_ledger(10)
    with pytest.raises(ValueError, match="expects agg id 110"):
        ledger.append(some_trades(5, 111))
    ledger.append(no_trades())
    assert ledger.next_agg_id == 110


def test_range_is_cut_at_both_ends() -> None:
    """An id too old starts at the first trade, one too new gives none, a limit holds."""
    ledger = a_ledger()
    assert ledger.select_by_id(1, 3).agg_id.tolist() == [100, 101, 102]
    assert ledger.select_by_id(65_630, 10).agg_id.tolist() == list(range(65_630, 65_640))
    assert len(ledger.select_by_id(200_100, 10)) == 0
    assert ledger.select_by_id(200_099, 10).agg_id.tolist() == [200_099]
    assert ledger.select_latest(2).agg_id.tolist() == [200_098, 200_099]


@settings(max_examples=60, deadline=None)
@given(st.integers(-5, 70_000), st.one_of(st.none(), st.integers(-5, 70_000)), st.integers(1, 2_000))
def test_times_find_what_a_scan_finds(start: int, end: int | None, limit: int) -> None:
    """`select_by_time` and `select_until` return exactly what a scan of all trades gives."""
    ledger, all_trades = _SHARED, _SHARED.dump()
    inside = (all_trades.time_ns >= start * MS) & ((all_trades.time_ns <= end * MS) if end is not None else True)
    expected = all_trades.agg_id[inside][:limit]
    assert (
        ledger.select_by_time(start * MS, None if end is None else end * MS, limit).agg_id.tolist() == expected.tolist()
    )
    if end is not None:
        last = all_trades.agg_id[all_trades.time_ns <= end * MS][-limit:]
        assert ledger.select_until(end * MS, limit).agg_id.tolist() == last.tolist()


_SHARED = a_ledger()
