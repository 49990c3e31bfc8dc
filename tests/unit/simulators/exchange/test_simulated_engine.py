"""The laws of the simulated market: ids, books, diffs and time follow from the seed alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.fixed_point import ONE_E8
from simulators.exchange.errors import ParameterError
from simulators.exchange.market.engine import MarketEngine, Step
from simulators.exchange.market.parameters import STEP_NS, MarketParameters
from simulators.exchange.market.trades import Trades, join_trades

START_NS = 1_700_000_000_000_000_000
STORM = MarketParameters(daily_volatility=0.35)

Levels = dict[int, int]


def an_engine(seed: int = 7, parameters: MarketParameters | None = None) -> MarketEngine:
    return MarketEngine(parameters or MarketParameters(), np.random.default_rng(seed), START_NS)


def all_trades(steps: list[Step]) -> Trades:
    return join_trades([step.trades for step in steps])


def digest(steps: list[Step]) -> list[object]:
    facts: list[object] = []
    for step in steps:
        facts.append(
            (step.time_ns, step.trades.columns.tolist(), step.depth.first_update_id, step.depth.last_update_id)
        )
        facts.append([column.tolist() for column in (*step.depth.bids, *step.depth.asks)])
    return facts


def as_levels(side: tuple[np.ndarray, np.ndarray]) -> Levels:
    return dict(zip(side[0].tolist(), side[1].tolist(), strict=True))


def apply(levels: Levels, side: tuple[np.ndarray, np.ndarray]) -> None:
    for price, quantity in as_levels(side).items():
        if quantity:
            levels[price] = quantity
        else:
            levels.pop(price, None)


@pytest.mark.slow
def test_a_snapshot_and_the_diffs_after_it_make_every_later_snapshot() -> None:
    """Two hours of violent market: snapshot plus diffs is the book, which never thins, crosses or loses an id."""
    engine = an_engine(3, STORM)
    _, bid_side, ask_side = engine.snapshot()
    bids, asks = as_levels(bid_side), as_levels(ask_side)
    update, fewest, prices = engine.last_update_id, 5_000, []
    for number in range(72_000):
        step = engine.step(engine.now_ns + STEP_NS)
        assert step.depth.first_update_id == update + 1
        update = step.depth.last_update_id
        apply(bids, step.depth.bids)
        apply(asks, step.depth.asks)
        fewest = min(fewest, *engine.level_counts)
        _, best_bid, best_ask = engine.snapshot(1)
        assert best_bid[0][0] < best_ask[0][0]
        prices.append(engine.fair_price_e8)
        if number % 6_000 == 0:
            _, bid_side, ask_side = engine.snapshot()
            assert (as_levels(bid_side), as_levels(ask_side)) == (bids, asks)
    assert fewest == 5_000
    assert update == engine.last_update_id
    # The grid spans four times the depth each way; this wandered far enough for it to be laid anew.
    assert max(prices) / min(prices) > 1.03


def test_levels_are_sorted_positive_and_on_the_grid() -> None:
    """Bids fall, asks rise, quantities are whole steps above zero, and a limit cuts from the far end."""
    engine = an_engine()
    engine.run(500)
    _, (bid, bid_quantity), (ask, ask_quantity) = engine.snapshot(5_000)
    assert len(bid) == len(ask) == 5_000
    assert np.all(np.diff(bid) < 0)
    assert np.all(np.diff(ask) > 0)
    for price, quantity in ((bid, bid_quantity), (ask, ask_quantity)):
        assert np.all(price % 1_000_000 == 0)
        assert np.all(quantity > 0)
        assert np.all(quantity % 1_000 == 0)
    assert engine.snapshot(3)[1][0].tolist() == bid[:3].tolist()


def test_five_thousand_levels_reach_one_to_two_and_a_half_percent() -> None:
    """The book is as deep as the real one: its 5000th level lies 1 to 2.5 % from the mid."""
    engine = an_engine()
    engine.run(3_000)
    _, (bid, _), (ask, _) = engine.snapshot(5_000)
    mid = (bid[0] + ask[0]) / 2
    assert 0.01 < 1 - bid[-1] / mid < 0.025
    assert 0.01 < ask[-1] / mid - 1 < 0.025


def test_the_book_has_round_numbers_and_walls() -> None:
    """Whole dollars hold more than their share of levels, and some levels dwarf the median."""
    _, (price, quantity), _ = an_engine().snapshot(5_000)
    round_prices = price % (100 * 1_000_000) == 0
    assert 0.05 < round_prices.mean() < 0.5
    assert quantity[round_prices].mean() > 1.5 * quantity[~round_prices].mean()
    assert quantity.max() > 50 * np.median(quantity)


def test_the_spread_is_mostly_one_tick() -> None:
    """At nearly every step's end the best ask is one tick above the best bid."""
    engine, spreads = an_engine(), []
    for _ in range(3_000):
        engine.step(engine.now_ns + STEP_NS)
        _, bids, asks = engine.snapshot(1)
        spreads.append(int(asks[0][0] - bids[0][0]))
    assert np.mean(np.array(spreads) == 1_000_000) > 0.9


def test_trade_ids_run_without_a_gap() -> None:
    """Agg ids rise by one, first ids follow the last ids before them, both from the parameters on."""
    trades = all_trades(an_engine().run(20_000))
    assert trades.agg_id[0] == 100_000_001
    assert trades.first_id[0] == 250_000_001
    assert np.all(np.diff(trades.agg_id) == 1)
    assert np.all(trades.first_id[1:] == trades.last_id[:-1] + 1)
    assert np.all(trades.last_id >= trades.first_id)
    assert np.any(trades.last_id > trades.first_id)


def test_trades_are_stamped_within_their_step() -> None:
    """Trade times are whole milliseconds that never fall and lie within the 100 ms of their step."""
    steps = an_engine().run(5_000)
    for step in steps:
        assert np.all(step.trades.time_ns >= step.time_ns - STEP_NS)
        assert np.all(step.trades.time_ns < step.time_ns)
    times = all_trades(steps).time_ns
    assert np.all(times % 1_000_000 == 0)
    assert np.all(np.diff(times) >= 0)


def test_one_order_makes_one_agg_trade_for_each_level() -> None:
    """AggTrades of one order share time and side, and walk away from the touch level by level."""
    trades = all_trades(an_engine().run(20_000))
    same = (np.diff(trades.time_ns) == 0) & (np.diff(trades.buyer_is_maker) == 0)
    way = np.where(trades.buyer_is_maker[1:] == 1, -1, 1) * np.diff(trades.price_e8)
    assert same.sum() > 500
    # Two orders, often of one parent, may share a millisecond; those are the few that do not walk on.
    assert np.mean(way[same] > 0) > 0.9
    assert np.mean(way[same] < 0) < 0.01


@pytest.mark.slow
def test_the_trade_rate_is_the_one_asked_for() -> None:
    """An hour trades about as often as the parameters say, where the pace of orders does not wander."""
    for rate in (1.0, 10.0):
        steady = MarketParameters(trades_per_second=rate, activity_spread=0.0)
        count = len(all_trades(an_engine(5, steady).run(36_000)))
        assert count / 3_600 == pytest.approx(rate, rel=0.15)


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same trades and diffs; another seed gives others."""
    once, again, other = an_engine(1).run(300), an_engine(1).run(300), an_engine(2).run(300)
    assert digest(once) == digest(again)
    assert digest(once) != digest(other)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 120), min_size=1, max_size=6))
def test_batches_change_nothing(batches: list[int]) -> None:
    """However steps are batched, they are the same steps."""
    engine = an_engine(4)
    parts = [step for count in batches for step in engine.run(count)]
    assert digest(parts) == digest(an_engine(4).run(sum(batches)))


def test_batches_beyond_the_output_room_change_nothing() -> None:
    """A batch that fills the hot loop's output goes on where it stopped."""
    busy = MarketParameters(trades_per_second=200.0)
    one, many = an_engine(6, busy), an_engine(6, busy)
    assert digest(one.run(2_000)) == digest([many.step(many.now_ns + STEP_NS) for _ in range(2_000)])


def test_the_wall_only_stamps() -> None:
    """Steps that come late or fast trade the same; only their times differ."""
    on_time, late = an_engine(8), an_engine(8)
    plain = all_trades(on_time.run(400))
    odd = all_trades([late.step(late.now_ns + (7 if i % 2 else 450) * 1_000_000) for i in range(400)])
    assert np.array_equal(plain.columns[:5], odd.columns[:5])
    assert not np.array_equal(plain.time_ns, odd.time_ns)


def test_a_step_cannot_go_back() -> None:
    """A step that would end before the last one is our bug and is refused."""
    engine = an_engine()
    engine.run(3)
    with pytest.raises(ValueError, match="cannot end"):
        engine.step(engine.now_ns - 1)


def test_a_still_price_still_trades() -> None:
    """Without volatility the price stands where it started while orders go on."""
    engine = an_engine(1, MarketParameters(daily_volatility=0.0))
    trades = all_trades(engine.run(5_000))
    assert engine.fair_price_e8 == 100_000 * ONE_E8
    assert len(trades) > 300


@pytest.mark.parametrize(
    ("symbol", "price_e8", "tick_e8"), [("ETHUSDT", 3_000 * ONE_E8, 1_000_000), ("DOGEUSDT", ONE_E8 // 4, 1_000)]
)
def test_other_symbols_are_as_deep(symbol: str, price_e8: int, tick_e8: int) -> None:
    """A symbol with few or many ticks to its price keeps 5000 levels a side too."""
    engine = an_engine(1, MarketParameters(symbol=symbol, start_price_e8=price_e8, tick_size_e8=tick_e8))
    engine.run(2_000)
    assert min(engine.level_counts) >= 5_000
    assert len(engine.snapshot(5_000)[1][0]) == 5_000


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "btcfdusd"},
        {"symbol": "BTCXYZ"},
        {"start_price_e8": 100 * ONE_E8},
        {"tick_size_e8": 0},
        {"typical_quantity_e8": 1},
        {"daily_volatility": -0.1},
        {"trades_per_second": 0.0},
        {"depth_reach": 0.5},
    ],
)
def test_impossible_markets_are_refused(change: dict[str, int | float | str]) -> None:
    """A market that cannot be simulated is refused before it starts."""
    with pytest.raises(ParameterError):
        replace(MarketParameters(), **change)  # type: ignore[arg-type]
