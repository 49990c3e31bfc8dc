"""The statistics of the calibration page, on trades small enough to compute by hand."""

from math import isnan, log

import numpy as np
import pytest

from market.fixed_point import ONE_E8
from simulators.exchange.calibration import statistics
from simulators.exchange.calibration.prints import Prints


def some_prints(*trades: tuple[int, float, float, str]) -> Prints:
    """Trades of time (ms), price, quantity and `b` for a buyer or `s` for a seller as the aggressor."""
    times, prices, quantities, sides = zip(*trades, strict=True)
    price_e8 = np.rint(np.array(prices) * ONE_E8).astype(np.int64)
    seller = np.array([side == "s" for side in sides])
    return Prints(np.array(times, np.int64), price_e8, np.array(quantities, np.float64), seller)


def minutes_of(prices: list[float]) -> Prints:
    """A trade in the middle of each minute."""
    return some_prints(*((minute * 60_000 + 30_000, price, 1.0, "b") for minute, price in enumerate(prices)))


def bp(after: float, before: float) -> float:
    return log(after / before) * 1e4


def test_a_response_follows_the_aggressor() -> None:
    """A buy before a rise and a sell before a fall both count as positive; those at the end do not count."""
    prints = some_prints((0, 100.0, 1, "b"), (1_000, 101.0, 1, "s"), (2_000, 100.0, 1, "b"))
    expected = (bp(101.0, 100.0) - bp(100.0, 101.0)) / 2
    assert statistics.measure_response(prints, 1) == pytest.approx(expected)


def test_flow_explains_a_price_that_moves_with_it() -> None:
    """Returns in proportion to signed volume give an R² of 1; a price that stands still gives none."""
    first, *others = (0, 100.0, 0, "b"), (500, 101.0, 1, "b"), (1_500, 100.0, 1, "s"), (2_500, 101.0, 1, "b")
    follows = some_prints(first, *others, (3_500, 101.0, 1, "b"))
    assert statistics.measure_flow_share(follows, 1) == pytest.approx(1.0)
    still = some_prints((100, 100.0, 1, "b"), (1_100, 100.0, 2, "s"), (2_100, 100.0, 1, "b"))
    assert isnan(statistics.measure_flow_share(still, 1))


def test_signs_remember() -> None:
    """Sides that alternate have −1 at lag one and +1 at lag two."""
    prints = some_prints(*((i * 1_000, 100.0, 1.0, "bs"[i % 2]) for i in range(10)))
    assert statistics.measure_sign_memory(prints, 1) == pytest.approx(-1.0)
    assert statistics.measure_sign_memory(prints, 2) == pytest.approx(1.0)


def test_a_trend_has_a_low_variance_ratio_and_a_bounce_a_high_one() -> None:
    """A price that always rises has the ratio short/long; one that comes back has more than 1."""
    trend = some_prints(*((i * 1_000 + 500, 100.0 * 1.0001**i, 1.0, "b") for i in range(41)))
    assert statistics.measure_variance_ratio(trend, 1, 4) == pytest.approx(0.25, abs=0.02)
    bounce = some_prints(*((i * 1_000 + 500, 100.0 + i % 2 + (i // 4) % 2, 1.0, "b") for i in range(41)))
    assert statistics.measure_variance_ratio(bounce, 1, 4) > 1.0


def test_a_price_that_goes_on_with_past_flow_is_no_martingale() -> None:
    """A planted trend is caught: returns that repeat flow of ten seconds before give 1, returns of coins about 0."""
    chance = np.random.default_rng(1)
    flow = np.where(chance.random(5_000) < 0.5, -1, 1)

    def later_flow(moves: np.ndarray) -> float:
        prices = 10_000.0 * np.exp(np.cumsum(moves * 1e-4))
        trades = [
            (i * 1_000 + 500, float(p), 1.0, "b" if s > 0 else "s")
            for i, (p, s) in enumerate(zip(prices, flow, strict=True))
        ]
        return statistics.measure_later_flow(some_prints(*trades))

    assert later_flow(flow + np.roll(flow, 12)) > 0.5
    assert abs(later_flow(flow + chance.normal(0.0, 1.0, len(flow)))) < 0.15


def test_moves_from_trade_to_trade() -> None:
    """Of two moves one is zero: half of the trades stand still, and the mean is half of the other."""
    prints = some_prints((0, 100.0, 1, "b"), (10, 100.0, 1, "b"), (20, 100.01, 1, "b"))
    assert statistics.measure_still_share(prints) == 0.5
    assert statistics.measure_trade_move(prints) == pytest.approx(bp(100.01, 100.0) / 2)


def test_a_bounce_is_a_buy_soon_after_a_sell() -> None:
    """A buy two seconds after a sell is no bounce, and neither is a sell after a buy."""
    prints = some_prints((0, 100.0, 1, "s"), (500, 100.02, 1, "b"), (600, 99.0, 1, "s"), (2_600, 100.0, 1, "b"))
    assert statistics.measure_bounce(prints) == pytest.approx(bp(100.02, 100.0))


def test_fills_at_the_price_and_beyond_it() -> None:
    """The order 5 bp below 10,000 rests at 9,995: one path trades there, the other jumps a dollar past it."""
    exact = some_prints((0, 10_000.0, 1, "b"), (61_000, 9_995.0, 1, "s"), (180_000, 9_995.0, 1, "s"))
    assert statistics.measure_fills(exact) == (1.0, 0.0)
    past = some_prints((0, 10_000.0, 1, "b"), (61_000, 9_994.0, 1, "s"), (180_000, 9_994.0, 1, "s"))
    share, overshoot = statistics.measure_fills(past)
    assert share == 0.0
    assert overshoot == pytest.approx(1.0 / 9_995.0 * 1e4)
    still = some_prints((0, 10_000.0, 1, "b"), (180_000, 10_000.0, 1, "s"))
    assert isnan(statistics.measure_fills(still)[0])


def test_sizes_and_round_prices() -> None:
    """The upper quartile of 1, 1, 2, 4, 4 is twice its median; 4 of 12 coins traded at a multiple of 100."""
    prints = some_prints(
        (0, 100.01, 1, "b"), (1, 250.0, 1, "b"), (2, 99.0, 2, "b"), (3, 200.0, 4, "b"), (4, 7.0, 4, "s")
    )
    assert statistics.measure_size_ratio(prints, 75) == 2.0
    assert statistics.measure_round_share(prints) == pytest.approx(4 / 12)


def test_volatility_remembers_and_volume_goes_with_it() -> None:
    """Ten calm minutes, ten wild ones and so on correlate at a lag of one; a short record cannot tell of a long lag."""
    price, prices = 100.0, []
    for minute in range(200):
        price *= 1.0 + (0.01 if minute // 10 % 2 else 0.0001) * (1 if minute % 2 else -1)
        prices.append(price)
    prints = minutes_of(prices)
    assert statistics.measure_volatility_memory(prints, 1) > 0.7
    assert isnan(statistics.measure_volatility_memory(prints, 240))
    wild = np.array([10.0 if minute // 10 % 2 else 1.0 for minute in range(200)])
    loud = Prints(prints.time_ms, prints.price_e8, wild, prints.seller)
    assert statistics.measure_volume_return(loud) > 0.9


def test_volatility_that_changes_every_half_hour_is_spread() -> None:
    """Returns ten times as large in every other half hour: logarithms about ±ln(10)/2 around their mean."""
    even = minutes_of([100.0 + minute % 2 * 0.01 for minute in range(242)])
    changing = minutes_of([100.0 + minute % 2 * (0.1 if minute // 30 % 2 else 0.01) for minute in range(242)])
    assert statistics.measure_volatility_spread(even) < 0.02
    assert statistics.measure_volatility_spread(changing) == pytest.approx(log(10) / 2, rel=0.25)
    assert isnan(statistics.measure_volatility_spread(minutes_of([100.0, 100.01])))
