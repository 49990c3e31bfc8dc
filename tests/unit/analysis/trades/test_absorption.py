"""Absorption: planted at a price, counted by hand, silent where it should be."""

import numpy as np
import pytest
from msgspec.structs import replace

from analysis.parameters import OrderFlowParameters
from analysis.trades.absorption import NOTE, Absorption, add_replenishment, find_absorption, find_absorption_at
from analysis.trades.absorption_windows import build_frame
from analysis.trades.level_tests import Reach
from market.fixed_point import ONE_E8
from projections.trades.trade_columns import Trades
from tests.market_builders import e8
from tests.trade_builders import after, some_trades

PARAMETERS = OrderFlowParameters()
REACH = Reach(ONE_E8, 8 * ONE_E8, 8 * ONE_E8, ONE_E8)
END = 3600
LEVEL = np.array([e8(100)], np.int64)


def an_hour(quantity: float = 0.0, at: float = 100.0, before_end: int = 30, sign: int = -1, dip: float = 0.0) -> Trades:
    """
    Each minute of an hour one buy at 105 and one sell at 103, at its seconds 10 and 20: a unit in odd minutes and three
    in even ones; on top, in six trades in the minute that ends some seconds before the tick, what is absorbed.
    """
    rows: list[tuple[float, float, float, int]] = []
    for minute in range(60):
        size = 1 + 2 * (minute % 2 == 0)
        rows += [(minute * 60 + 10, 105.0, size, 1), (minute * 60 + 20, 103.0, size, -1)]
    if quantity:
        start = END - before_end - 60
        rows += [(start + 5 + 10 * i, at, quantity / 6, sign) for i in range(6)]
        rows += [(start + 30, at + sign * dip, 0.01, sign)] if dip else []
    seconds, prices, sizes, signs = (list(c) for c in zip(*sorted(rows), strict=True))
    return some_trades(prices, seconds, sizes, signs)


def test_a_planted_level_in_figures() -> None:
    """
    Sixty units sold at 100 within a minute; the 57 windows that end 119 s before the tick or earlier took one unit 29
    times and three 28 times.
    """
    absorptions = find_absorption_at(
        build_frame(an_hour(60, before_end=0), REACH, after(END), PARAMETERS), LEVEL, ONE_E8, PARAMETERS
    )
    usual = np.array([1.0] * 29 + [3.0] * 28)
    assert absorptions == [
        Absorption(
            level_e8=e8(100),
            side="bid",
            price_e8=e8(100),
            volume_e8=60 * ONE_E8,
            mean_e8=round(usual.mean() * ONE_E8, 1),
            sd_e8=round(usual.std(ddof=1) * ONE_E8, 1),
            z=57.5152,
            baseline_windows=57,
            beyond_e8=0,
            start_ns=after(END - 64),  # the earliest of the windows that hold all of it
            stop_ns=after(END - 4),
            held=True,
            concentration=1.0,
            replenishment=None,
            note=NOTE,
        )
    ]


@pytest.mark.parametrize("before_end", [0, 1, 17, 30, 59])
def test_it_is_found_wherever_in_the_minute_it_ended(before_end: int) -> None:
    """Windows slide by the second: all of the sixty units are in one of them."""
    (absorption,) = find_absorption(
        build_frame(an_hour(60, before_end=before_end), REACH, after(END), PARAMETERS), ONE_E8, PARAMETERS
    )
    assert (absorption.side, absorption.level_e8, absorption.price_e8, absorption.volume_e8) == (
        "bid",
        e8(100),
        e8(100),
        60 * ONE_E8,
    )
    assert absorption.stop_ns <= after(END)
    assert absorption.z >= 4


def test_buys_are_absorbed_by_asks() -> None:
    """The mirror image, above the price."""
    (absorption,) = find_absorption(
        build_frame(an_hour(60, 108, sign=1), REACH, after(END), PARAMETERS), ONE_E8, PARAMETERS
    )
    assert (absorption.side, absorption.level_e8, absorption.volume_e8) == ("ask", e8(108), 60 * ONE_E8)
    (at_level,) = find_absorption_at(
        build_frame(an_hour(60, 108, sign=1), REACH, after(END), PARAMETERS), np.array([e8(108)]), ONE_E8, PARAMETERS
    )
    assert at_level == absorption


def test_a_level_that_gives_way_absorbs_nothing() -> None:
    """A trade ε beyond is held, one further is not; what the band took before or after does not matter then."""
    for dip, count in ((1.0, 1), (1.01, 0)):
        trades = an_hour(60, dip=dip)
        absorptions = find_absorption_at(build_frame(trades, REACH, after(END), PARAMETERS), LEVEL, ONE_E8, PARAMETERS)
        assert [f.beyond_e8 for f in absorptions] == [e8(dip)] * count


def test_a_level_that_broke_since_is_told() -> None:
    """It absorbed, and has gone by the tick."""
    trades = an_hour(60, before_end=30)
    breaking = Trades.from_columns(
        np.append(trades.time_ns, after(END - 1)), np.append(trades.agg_id, 9_999),
        np.append(trades.price_e8, e8(98)), np.append(trades.quantity_e8, 1), np.append(trades.sign, -1),
    )  # fmt: skip
    for case_trades, holds in ((trades, True), (breaking, False)):
        (absorption,) = find_absorption_at(
            build_frame(case_trades, REACH, after(END), PARAMETERS), LEVEL, ONE_E8, PARAMETERS
        )
        assert absorption.held is holds


def test_the_heaviest_price_is_named() -> None:
    """Twenty units at 100.40 in four trades and forty at 99.80: the level is where most was taken."""
    trades = an_hour(40, at=99.8)
    more = an_hour(20, at=100.4)
    order = np.argsort(np.concatenate((trades.time_ns, more.time_ns)), kind="stable")
    both = (np.concatenate((getattr(trades, n), getattr(more, n)))[order]
            for n in ("time_ns", "price_e8", "quantity_e8", "sign"))  # fmt: skip
    times, prices, sizes, signs = both
    joined_trades = Trades.from_columns(times, np.arange(len(times)), prices, sizes, signs)
    (absorption,) = find_absorption(build_frame(joined_trades, REACH, after(END), PARAMETERS), ONE_E8, PARAMETERS)
    assert (absorption.level_e8, absorption.price_e8, absorption.volume_e8) == (e8("99.8"), e8("99.8"), 60 * ONE_E8)
    (at_100,) = find_absorption_at(build_frame(joined_trades, REACH, after(END), PARAMETERS), LEVEL, ONE_E8, PARAMETERS)
    assert (at_100.level_e8, at_100.price_e8) == (e8(100), e8("99.8"))
    assert absorption.concentration == at_100.concentration == round(40 / 60, 4)


def test_what_is_usual_is_no_absorption() -> None:
    """An ordinary hour, too short an hour, an hour without any spread, no σ, silence, a jump of 30 %."""
    usual = an_hour()
    assert find_absorption(build_frame(usual, REACH, after(END), PARAMETERS), ONE_E8, PARAMETERS) == []
    assert (
        find_absorption_at(
            build_frame(usual, REACH, after(END), PARAMETERS), np.array([e8(103), e8(105)]), ONE_E8, PARAMETERS
        )
        == []
    )
    trades = an_hour(60)
    short = trades.between(after(END - 15 * 60), after(END))
    assert find_absorption(build_frame(short, REACH, after(END), PARAMETERS), ONE_E8, PARAMETERS) == []
    even = some_trades([100] * 60, [60.0 * m for m in range(60)], signs=-1)
    assert find_absorption_at(build_frame(even, REACH, after(END), PARAMETERS), LEVEL, ONE_E8, PARAMETERS) == []
    assert find_absorption(build_frame(trades, None, after(END), PARAMETERS), ONE_E8, PARAMETERS) == []
    assert find_absorption_at(build_frame(trades, None, after(END), PARAMETERS), LEVEL, ONE_E8, PARAMETERS) == []
    assert find_absorption(build_frame(Trades.empty(), REACH, after(END), PARAMETERS), ONE_E8, PARAMETERS) == []
    assert find_absorption(build_frame(trades, REACH, after(END + 600), PARAMETERS), ONE_E8, PARAMETERS) == []
    outlier = replace(usual, price_e8=np.where(np.arange(len(usual)) > 100, e8(70), usual.price_e8))
    assert find_absorption(build_frame(outlier, REACH, after(END), PARAMETERS), ONE_E8, PARAMETERS) == []


def test_replenishment_is_what_came_back() -> None:
    """Ten taken: 5 shown before and 5 after means all came back, 0 after means half did."""
    (absorption,) = find_absorption(build_frame(an_hour(60), REACH, after(END), PARAMETERS), ONE_E8, PARAMETERS)
    doubled = replace(absorption, volume_e8=10 * ONE_E8)
    assert add_replenishment(doubled, 5 * ONE_E8, 5 * ONE_E8).replenishment == 1.0
    assert add_replenishment(doubled, 5 * ONE_E8, 0).replenishment == 0.5
    assert doubled.replenishment is None


def a_noisy_market(seed: int, minutes: int, planted_sd: float) -> tuple[Trades, int]:
    """
    A walk at 40000 whose activity and sizes are heavy-tailed; in the last minute it stands on a bid two below its
    start, which takes that many standard deviations of what is sold in a minute.
    """
    chance = np.random.default_rng(seed)
    counts = chance.poisson(240 * np.exp(0.5 * chance.normal(size=minutes)))
    minute = np.repeat(np.arange(minutes), counts)
    n = len(minute)
    at = np.sort(minute + chance.random(n)) * 60
    sizes, signs = np.exp(chance.normal(-4, 1.3, n)), np.where(chance.random(n) < 0.5, 1, -1)
    walk = 40_000 + np.cumsum(chance.normal(0, 1.8, n))
    last = minute == minutes - 1
    level = round(float(walk[last][0]) - 2, 2)
    if planted_sd:
        walk[last] = level + 0.5 + np.abs(walk[last] - level - 0.5)
        sold = np.bincount(minute[signs < 0], sizes[signs < 0], minutes)
        share = chance.random(40)
        at = np.append(at, (minutes - 1 + np.sort(chance.random(40))) * 60)
        sizes = np.append(sizes, share / share.sum() * planted_sd * sold.std())
        signs, walk = np.append(signs, [-1] * 40), np.append(walk, [level + 0.3] * 40)
    order = np.argsort(at, kind="stable")
    prices = np.round(walk + 0.3 * signs, 2)
    return some_trades(prices[order].tolist(), at[order].tolist(), sizes[order], signs[order]), e8(level)


@pytest.mark.slow
def test_planted_levels_are_found_in_noise() -> None:
    """
    Of forty levels that took five deviations of the market's minutes nine in ten are found to the unit; of forty
    markets without one, at most one in ten gives an alarm.
    """
    reach = Reach(e8(7), e8(56), e8(56), e8(7))
    hits, alarms = 0, 0
    for seed in range(40):
        trades, level = a_noisy_market(seed, 64, 5)
        bids = [
            f
            for f in find_absorption(build_frame(trades, reach, after(64 * 60), PARAMETERS), ONE_E8, PARAMETERS)
            if f.side == "bid"
        ]
        hits += any(abs(f.level_e8 - level) <= ONE_E8 for f in bids)
        trades, _ = a_noisy_market(1000 + seed, 64, 0)
        alarms += bool(find_absorption(build_frame(trades, reach, after(64 * 60), PARAMETERS), ONE_E8, PARAMETERS))
    assert hits >= 36
    assert alarms <= 4


@pytest.mark.parametrize(("at_once", "found"), [(2.0, True), (1.999, False)])
def test_half_of_the_volume_in_one_bin_is_enough(at_once: float, found: bool) -> None:
    """Six sold at 100 of twelve in the band are half of it; a level that is asked about has its figure either way."""
    rows = [(60 * m + 10.0, 103.0, 1.0 + 2 * (m % 2 == 0), -1) for m in range(60)]
    rows += [(END - 59.0 + 9 * i, price, 2.0, -1) for i, price in enumerate((99.7, 99.8, 99.9))]
    rows += [(END - 32.0 + 9 * i, 100.0, at_once, -1) for i in range(3)]  # no window has them without the others
    seconds, prices, sizes, signs = (list(c) for c in zip(*sorted(rows), strict=True))
    trades = some_trades(prices, seconds, sizes, signs)
    result = find_absorption(build_frame(trades, REACH, after(END), PARAMETERS), ONE_E8 // 10, PARAMETERS)
    assert [a.price_e8 for a in result if a.side == "bid"] == ([e8(100)] if found else [])
    (at_level,) = find_absorption_at(
        build_frame(trades, REACH, after(END), PARAMETERS), LEVEL, ONE_E8 // 10, PARAMETERS
    )
    assert at_level.concentration == round(3 * at_once / (3 * at_once + 6), 4)


def test_volume_spread_over_the_band_was_nobody_standing_there() -> None:
    """Twelve units sold at six prices within ε are found at no level, unless half of them went at one price."""
    for spread, expected in (
        ((99.5, 99.6, 99.7, 99.8, 99.9, 100.0), []),
        ((100.0, 100.0, 100.0, 99.8, 99.9, 100.0), [e8(100)]),
    ):
        rows = [(60 * m + 10.0, 103.0, 1.0 + 2 * (m % 2 == 0), -1) for m in range(60)]
        rows += [(END - 59.0 + 9 * i, spread[i], 2.0, -1) for i in range(6)]
        seconds, prices, sizes, signs = (list(c) for c in zip(*sorted(rows), strict=True))
        absorptions = find_absorption(
            build_frame(some_trades(prices, seconds, sizes, signs), REACH, after(END), PARAMETERS),
            ONE_E8 // 10,
            PARAMETERS,
        )
        assert [a.price_e8 for a in absorptions if a.side == "bid"] == expected
