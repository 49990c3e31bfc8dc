"""The trades of the last minutes: which are there, in which order, and what a tick and a late trade do."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts.entry import Fact
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from projections.trades.recent_trades import RecentTrades
from projections.trades.trade_columns import BLOCK
from tests.builders import T0, a_batch, a_tick, a_trade, pieces


def fold_facts(*facts: Fact, window: int = 10, end_ns: int = T0 + MINUTE_NS) -> RecentTrades:
    """A fold of facts, closed at a tick."""
    fold = RecentTrades(window)
    if facts:
        fold.apply(a_batch(facts))
    fold.close(end_ns)
    return fold


def test_a_trade_is_its_columns() -> None:
    """m = true means that the seller was the aggressor: sign −1."""
    result = fold_facts(a_trade(7, "100.25", "0.5", T0 + SECOND_NS), a_trade(8, "100", "2", T0, seller=True)).columns()
    assert result.time_ns.tolist() == [T0 + SECOND_NS, T0]
    assert result.agg_id.tolist() == [7, 8]
    assert result.price_e8.tolist() == [10_025_000_000, 100 * ONE_E8]
    assert result.quantity_e8.tolist() == [ONE_E8 // 2, 2 * ONE_E8]
    assert result.sign.tolist() == [1, -1]


def test_only_a_tick_moves_the_window() -> None:
    """Trades of the open minute wait; a trade leaves with its minute."""
    fold = fold_facts(a_trade(1), a_trade(2, at_ns=T0 + MINUTE_NS), window=1)
    assert fold.columns().agg_id.tolist() == [1]
    fold.close(T0 + 2 * MINUTE_NS)
    assert fold.columns().agg_id.tolist() == [2]
    fold.close(T0 + MINUTE_NS)
    assert fold.end_ns == T0 + 2 * MINUTE_NS
    fold.close(T0 + 3 * MINUTE_NS)
    assert len(fold.columns()) == 0


def test_late_trades_land_by_agg_id() -> None:
    """One that comes after its tick takes its place; one older than the window is not held."""
    fold = fold_facts(a_trade(5, "105"), a_trade(9, "109", at_ns=T0 + 2), window=2, end_ns=T0 + 2 * MINUTE_NS)
    assert fold.columns().agg_id.tolist() == [5, 9]
    fold.apply(a_batch([a_trade(7, "107", at_ns=T0 + MINUTE_NS), a_trade(3, "103", at_ns=T0 - MINUTE_NS)], 3))
    assert (fold.columns().price_e8 // ONE_E8).tolist() == [105, 107, 109]
    assert not fold.columns().ordered
    assert fold.between(T0, T0 + MINUTE_NS).agg_id.tolist() == [5, 9]
    fold.close(T0 + 3 * MINUTE_NS)
    assert fold.columns().agg_id.tolist() == [7]
    assert fold.columns().ordered


def test_what_was_handed_out_stays_as_it_was() -> None:
    """Neither later nor late trades nor a growing buffer change it."""
    fold = fold_facts(*(a_trade(i, f"{i}") for i in range(2, 1000)))
    before = fold.columns()
    expected = before.price_e8.copy()
    fold.apply(a_batch([a_trade(1, "7"), *(a_trade(i, "8", at_ns=T0 + MINUTE_NS) for i in range(1000, 4000))], 2000))
    fold.close(T0 + 2 * MINUTE_NS)
    assert len(fold.columns()) == 3999
    assert before.price_e8.tolist() == expected.tolist()


def test_a_span_of_the_window() -> None:
    """Its start is in it, its stop is not; an empty or reversed one has nothing."""
    fold = fold_facts(*(a_trade(1 + s, at_ns=T0 + s * SECOND_NS) for s in range(60)))
    assert fold.between(T0 + 10 * SECOND_NS, T0 + 13 * SECOND_NS).agg_id.tolist() == [11, 12, 13]
    assert len(fold.between(T0 + 13 * SECOND_NS, T0 + 10 * SECOND_NS)) == 0
    assert len(fold.between(T0 - MINUTE_NS, T0)) == 0


def test_the_digest_tells_states_apart() -> None:
    """Id, price, quantity, side, time, window and boundary all count; what waits does not."""
    base = fold_facts(a_trade(1))
    others = [
        fold_facts(a_trade(2)),
        fold_facts(a_trade(1, "101")),
        fold_facts(a_trade(1, "100", "2")),
        fold_facts(a_trade(1, seller=True)),
        fold_facts(a_trade(1, at_ns=T0 + 10**6)),
        fold_facts(a_trade(1), window=11),
        fold_facts(a_trade(1), end_ns=T0 + 2 * MINUTE_NS),
        fold_facts(),
    ]
    assert len({base.digest(), *(o.digest() for o in others)}) == len(others) + 1
    assert fold_facts(a_trade(1), a_trade(2, at_ns=T0 + MINUTE_NS)).digest() == base.digest()
    base.apply(a_batch([a_tick()], 2))
    assert base.digest() == fold_facts(a_trade(1)).digest()


@st.composite
def trades(draw: Any) -> list[Fact]:
    """Trades in any order of id over nine minutes, prices that repeat."""
    ids = draw(st.permutations(range(1, draw(st.integers(1, 40)) + 1)))
    spread = draw(st.sampled_from([0, 1, 8]))
    facts = []
    for place, agg_id in enumerate(ids if draw(st.booleans()) else sorted(ids)):
        minute = place // 5 + draw(st.integers(-spread, spread))
        at_ns = T0 + max(0, minute) * MINUTE_NS + draw(st.integers(0, 59)) * SECOND_NS
        facts.append(a_trade(agg_id, f"{draw(st.integers(90, 110))}", at_ns=at_ns, seller=draw(st.booleans())))
    return facts


@settings(deadline=None, max_examples=80)
@given(trades(), st.sets(st.integers(1, 40)), st.lists(st.booleans(), min_size=60, max_size=60))
def test_the_window_is_what_a_plain_search_finds(facts: list[Fact], cuts: set[int], ask: list[bool]) -> None:
    """Any batches, ticks in between, asked or not: the rows of the window's minutes by agg id, and one digest."""
    batch = a_batch(facts)
    fold, silent = RecentTrades(4), RecentTrades(4)
    for i, piece in enumerate(pieces(batch, cuts)):
        for item in (fold, silent):
            item.apply(piece)
            item.close(T0 + i % 7 * MINUTE_NS)
        if ask[i]:
            fold.digest()
            fold.columns()
    for item in (fold, silent):
        item.close(T0 + 7 * MINUTE_NS)
    rows = batch.rows["agg_trade"].columns.table.to_pylist()
    inside = [r for r in rows if T0 + 3 * MINUTE_NS <= r["trade_time_ns"] < T0 + 7 * MINUTE_NS]
    expected = [
        (r["agg_id"], r["trade_time_ns"], r["price_e8"], -1 if r["buyer_is_maker"] else 1)
        for r in sorted(inside, key=lambda r: r["agg_id"])
    ]
    result = fold.columns()
    columns = (result.agg_id, result.time_ns, result.price_e8, result.sign)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == expected
    assert fold.digest() == silent.digest()
    assert len(result.block_high_e8) == -(-(len(result) + result.block_offset) // BLOCK)


def test_nobody_asks_for_long() -> None:
    """A quarter of a million trades that wait are folded in between; the window holds the last minutes."""
    fold = RecentTrades(1)
    batch = a_batch([a_trade(i, "100", at_ns=T0 + i * 10**6) for i in range(1, 1001)])
    table = batch.rows["agg_trade"].columns.table
    column = table.schema.get_field_index("agg_id")
    for i in range(300):
        ids = table.column("agg_id").to_numpy() + 1000 * i
        later = table.set_column(column, table.schema.field(column), [ids])
        fold.apply(type(batch).from_tables(1, 1000, {"agg_trade": later}))
    fold.close(T0 + MINUTE_NS)
    assert fold.columns().agg_id.tolist() == list(range(1, 300_001))
