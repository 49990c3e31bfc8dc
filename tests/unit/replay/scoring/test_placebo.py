"""A placebo is the same offset in σ at another tick of the same day, drawn by a seed."""

import numpy as np

from agents.recommendation import Rung
from market.timestamps import DAY_NS, MINUTE_NS
from replay.scoring.episodes import Episode, episodes_of
from replay.scoring.placebo import PlaceboPool, draw_placebos
from tests.market_builders import T0, a_zone, e8, published


def some_moments(minutes: list[int], reference: float = 100, sigma: float = 0.001) -> PlaceboPool:
    """Ticks at some minutes after T0, whose price rises by 1 and whose σ grows by a tenth from one to the next."""
    k = np.arange(len(minutes))
    return PlaceboPool(
        T0 + np.array(minutes) * MINUTE_NS,
        1 + k,
        e8(reference) + k * e8(1),
        sigma * 1.1**k,
    )


def an_episode(minute: int = 0, side: str = "buy", low: str = "99", high: str = "99.5") -> Episode:
    return episodes_of([published(a_zone(side, low, high), minute=minute, seq=minute)])[0]


HOURLY = some_moments(list(range(0, 24 * 60, 30)))


def test_same_day_and_never_the_own_moment() -> None:
    """Moments of the day before and after, and the episode's own, are never drawn."""
    moments = some_moments(list(range(-300, 2 * 24 * 60, 30)))
    for minute in (0, 600, 1410):
        placebos = draw_placebos([an_episode(minute, "sell", "100.4", "100.7")], moments, 1000, 1)
        days = set((moments.published_ns[placebos.moment] // DAY_NS).tolist())
        assert days == {T0 // DAY_NS}
        assert T0 + minute * MINUTE_NS not in moments.published_ns[placebos.moment]
        assert len(placebos.moment) == len(set(placebos.moment.tolist())) == 47


def test_offsets_keep_their_size_in_sigma() -> None:
    """Edges and first rung stand as many σ from the drawn price as they stood from their own."""
    episode = an_episode(0, "sell", "100.4", "100.7")
    placebos = draw_placebos([episode], HOURLY, 20, 7)
    price, unit = HOURLY.reference_e8[placebos.moment], (HOURLY.reference_e8 * HOURLY.sigma)[placebos.moment]
    own = 100 * 0.001
    for column, edge in ((placebos.low_e8, 100.4), (placebos.high_e8, 100.7), (placebos.rung_e8, 100.4)):
        assert np.allclose((column - price) / unit, (edge - 100) / own, rtol=1e-6)
    assert (placebos.low_e8 > price).all()


def test_by_hand() -> None:
    """Ten σ below 100 at σ 0.1 is 99; at 200 with σ 0.4 it is 196."""
    moments = PlaceboPool(T0 + np.array([0, 5]) * MINUTE_NS, np.array([1, 2]), np.array([e8(100), e8(200)]),
                      np.array([0.001, 0.002]))  # fmt: skip
    placebos = draw_placebos([an_episode()], moments, 20, 1)
    columns = (placebos.episode, placebos.moment, placebos.low_e8, placebos.high_e8, placebos.rung_e8)
    assert [c.tolist() for c in columns] == [[0], [1], [e8(196)], [e8(198)], [e8(198)]]


def test_none_stands_at_no_price() -> None:
    """Ten σ below 100 where σ is a tenth of the price and more: only the moment that has room is left."""
    moments = PlaceboPool(T0 + np.array([0, 5, 10]) * MINUTE_NS, np.array([1, 2, 3]), np.full(3, e8(100)),
                      np.array([0.001, 0.1, 0.05]))  # fmt: skip
    placebos = draw_placebos([an_episode()], moments, 20, 1)
    assert (placebos.moment.tolist(), placebos.low_e8.tolist()) == ([2], [e8(50)])


def test_the_first_rung_is_moved() -> None:
    """Of a ladder only its first rung is tried by placebos."""
    zone = a_zone(low="99", high="99.5", ladder=(Rung(e8("99.4"), 0.5), Rung(e8("99.1"), 0.5)))
    moments = some_moments([0, 1], sigma=0.001)
    placebos = draw_placebos(episodes_of([published(zone)]), moments, 5, 1)
    unit = float(moments.reference_e8[1] * moments.sigma[1])
    assert placebos.rung_e8.tolist() == [e8(101) + round(-6 * unit)]


def test_seed_decides_and_nothing_else() -> None:
    """Equal seeds draw equally whatever numpy's own generator did; another seed draws otherwise."""
    episodes = [an_episode(m) for m in (0, 30, 60)]
    one = draw_placebos(episodes, HOURLY, 10, 1)
    np.random.random(1000)
    two = draw_placebos(episodes, HOURLY, 10, 1)
    other = draw_placebos(episodes, HOURLY, 10, 2)
    assert one.moment.tolist() == two.moment.tolist()
    assert one.moment.tolist() != other.moment.tolist()


def test_later_episodes_do_not_move_earlier_draws() -> None:
    """Each episode draws for itself: more episodes after it, or another offset before it, change nothing."""
    zone = ("sell", "100.4", "100.7")
    few = draw_placebos([an_episode(0, *zone), an_episode(30, *zone)], HOURLY, 10, 1)
    many = draw_placebos([an_episode(minute, *zone) for minute in (0, 30, 60, 90)], HOURLY, 10, 1)
    assert many.moment[:20].tolist() == few.moment.tolist()
    other_draws = draw_placebos([an_episode(0, "sell", "104", "105"), an_episode(30, *zone)], HOURLY, 10, 1)
    assert other_draws.moment.tolist() == few.moment.tolist()
    assert other_draws.low_e8[10:].tolist() == few.low_e8[10:].tolist()


def test_as_many_as_asked_or_as_there_are() -> None:
    """Ten of 47, all 3 of 3, none of none, each once."""
    assert len(draw_placebos([an_episode()], HOURLY, 10, 1).moment) == 10
    assert draw_placebos([an_episode()], some_moments([0, 1, 2, 3]), 10, 1).moment.tolist() == [1, 2, 3]
    assert len(draw_placebos([an_episode()], some_moments([0]), 10, 1).moment) == 0
    assert len(draw_placebos([], HOURLY, 10, 1).moment) == 0


def test_without_a_distance_there_is_no_placebo() -> None:
    """Advice that knew no σ or no reference cannot be moved."""
    for unknown in ({"sigma": None}, {"reference_e8": None}):
        episodes = episodes_of([published(a_zone(), **unknown)])
        assert len(draw_placebos(episodes, HOURLY, 10, 1).moment) == 0


def test_every_other_moment_is_as_likely() -> None:
    """Over a thousand seeds each of 47 moments is drawn about equally often."""
    counts = np.zeros(48)
    for seed in range(1000):
        counts[draw_placebos([an_episode()], HOURLY, 5, seed).moment] += 1
    assert counts[0] == 0
    expected = 5000 / 47
    assert float(((counts[1:] - expected) ** 2 / expected).sum()) < 90  # χ² with 46 degrees: far beyond 99.9 %
