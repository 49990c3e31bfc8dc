"""Minute bars: exact, in any order of trades, and nothing said about minutes of which nothing is known."""

from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.facts.entry import Fact
from market.errors import SumOverflow
from market.fixed_point import ONE_E8
from market.timestamps import DAY_NS, HOUR_NS, MINUTE_NS
from projections.trades.minute_bars import SCHEMA, MinuteBars
from projections.trades.minute_buckets import MinuteBuckets
from projections.trades.minute_view import to_bar_table
from tests.builders import T0, a_batch, a_tick, a_trade, pieces


def bars(*facts: Fact, cuts: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """The bars of facts that come in pieces, with minutes counted from the first day."""
    fold = MinuteBars()
    for piece in pieces(a_batch(facts), cuts):
        fold.apply(piece)
    rows = pa.concat_tables(fold.tables()).to_pylist()
    return [row | {"minute": (row["minute"] - T0) // MINUTE_NS} for row in rows]


def prices(rows: list[dict[str, Any]]) -> list[tuple[float, ...]]:
    """Minute, open, high, low, close, in coins."""
    return [(r["minute"], *(r[f"{name}_e8"] / ONE_E8 for name in ("open", "high", "low", "close"))) for r in rows]


def test_a_minute_with_trades() -> None:
    """Open and close go by agg id, volumes by aggressor, trades count single trades, VWAP is exact to 1e-8."""
    (row,) = bars(
        a_trade(2, "99", "2", T0 + 5, seller=True, first_id=7, last_id=9),
        a_trade(1, "100", "1", T0 + 9, first_id=5, last_id=6),
        a_trade(3, "101.5", "0.5", T0 + 1, first_id=10),
    )
    assert row == {
        "minute": 0,
        "open_e8": 100 * ONE_E8,
        "high_e8": 10_150_000_000,
        "low_e8": 99 * ONE_E8,
        "close_e8": 10_150_000_000,
        "buy_vol_e8": 150_000_000,
        "sell_vol_e8": 2 * ONE_E8,
        "total_vol_e8": 350_000_000,
        "trades": 6,
        "vwap_e8": round(Fraction(100 + 2 * 99 * 1 + Fraction(203, 4), Fraction(7, 2)) * ONE_E8),
    }


def test_a_quiet_minute_repeats_the_close() -> None:
    """Where a tick says that trades were live; its volumes are zero, its VWAP is none."""
    rows = bars(
        a_trade(1, "100", at_ns=T0), a_tick(T0 + MINUTE_NS), a_tick(T0 + 2 * MINUTE_NS), a_tick(T0 + 3 * MINUTE_NS)
    )
    assert prices(rows) == [(0, 100, 100, 100, 100), (1, 100, 100, 100, 100), (2, 100, 100, 100, 100)]
    assert [(r["total_vol_e8"], r["trades"], r["vwap_e8"]) for r in rows[1:]] == [(0, 0, None)] * 2


def test_a_minute_of_which_nothing_is_known_has_no_row() -> None:
    """No tick, or one that says down; and no price is carried over it."""
    rows = bars(
        a_tick(T0),
        a_trade(1, "100", at_ns=T0),
        a_tick(T0 + 2 * MINUTE_NS, trades="down"),
        a_tick(T0 + 3 * MINUTE_NS),
        a_trade(2, "200", at_ns=T0 + 4 * MINUTE_NS),
        a_tick(T0 + 6 * MINUTE_NS),
    )
    assert [row["minute"] for row in rows] == [0, 4, 5]


def test_ticks_of_other_intervals() -> None:
    """Long ones cover many minutes, short ones the minute they lie in; one without end covers a day."""
    first = a_trade(1, "100", at_ns=T0)
    assert len(bars(first, a_tick(T0 + HOUR_NS, interval_ns=HOUR_NS))) == 60
    assert len(bars(first, a_tick(T0 + MINUTE_NS + 10**10, interval_ns=10**10))) == 2
    late = a_trade(2, "100", at_ns=T0 + 10 * DAY_NS)
    assert len(bars(late, a_tick(T0 + 11 * DAY_NS, interval_ns=2**62))) == 1440
    assert len(bars(first, a_tick(T0 + MINUTE_NS, interval_ns=-5))) == 1


def test_a_log_without_trades_has_a_table_without_rows() -> None:
    """With its columns."""
    fold = MinuteBars()
    fold.apply(a_batch([a_tick()]))
    assert pa.concat_tables(fold.tables()).equals(SCHEMA.empty_table())


def test_volumes_beyond_what_a_column_holds_are_refused() -> None:
    """An overflow is an error, never a wrap."""
    fold = MinuteBars()
    fold.apply(a_batch([a_trade(n, "1", "46116860184") for n in (1, 2)]))
    with pytest.raises(SumOverflow, match="quantity decimals"):
        list(fold.tables())


def test_large_prices_and_quantities_give_an_exact_vwap() -> None:
    """Their product passes int64 many times over."""
    (row,) = bars(
        a_trade(1, "123456789.12345678", "23000000000.00000001"), a_trade(2, "123456789.12345677", "0.00000001")
    )
    assert row["vwap_e8"] == 12_345_678_912_345_678


some_trades = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 10**14), st.integers(1, 10**12), st.booleans()), min_size=1, max_size=30
)


@given(some_trades, st.sets(st.integers(1, 30)))
def test_any_split_gives_the_same_bars_and_they_agree_with_the_buckets(
    trades: list[tuple[int, int, int, bool]], cuts: set[int]
) -> None:
    """The fold that analyses read, and plain fractions."""
    facts = [
        a_trade(
            i + 1, f"{p // ONE_E8}.{p % ONE_E8:08d}", f"{q // ONE_E8}.{q % ONE_E8:08d}", T0 + m * MINUTE_NS, seller=s
        )
        for i, (m, p, q, s) in enumerate(trades)
    ]
    rows = bars(*facts, cuts=tuple(cuts))
    assert rows == bars(*facts)
    buckets = MinuteBuckets(10)
    buckets.apply(a_batch(facts))
    buckets.close(T0 + 10 * MINUTE_NS)
    expected = [to_bar_table(minute_ns, minute).to_pylist()[0] for minute_ns, minute in buckets.minutes()]
    for row, other in zip(rows, expected, strict=True):
        for name in ("open_e8", "high_e8", "low_e8", "close_e8"):
            assert row[name] == other[name]
        assert (row["buy_vol_e8"], row["sell_vol_e8"], row["total_vol_e8"]) == (
            other["buy_e8"], other["sell_e8"], other["total_e8"],
        )  # fmt: skip
        inside = [(p, q) for m, p, q, _ in trades if m == row["minute"]]
        exact = Fraction(sum(p * q for p, q in inside), sum(q for _, q in inside))
        assert abs(row["vwap_e8"] - exact) <= Fraction(1, 2)
