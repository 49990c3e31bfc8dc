"""A placebo is the same zone at the same tick, at another distance, on the grid, off every zone advised then."""

import numpy as np

from agents.recommendation import Rung, Zone
from replay.scoring.episodes import Episode, episodes_of
from replay.scoring.placebo import MAX_SHIFT_SIGMA, draw_placebos
from tests.market_builders import a_zone, e8, published

TICK = e8("0.01")
SIGMA = 0.005
"""Of a price of 100: half a unit."""


def episodes_at(*distances: float, side: str = "buy", width: float = 0.1) -> list[Episode]:
    """One episode for each distance in σ, each of a recommendation of its own, hours apart."""
    episodes = []
    for n, distance in enumerate(distances):
        near = 100 - distance / 2 if side == "buy" else 100 + distance / 2
        low, high = (near - width, near) if side == "buy" else (near, near + width)
        zone = a_zone(side, f"{low:.2f}", f"{high:.2f}")
        episodes += episodes_of([published(zone, minute=120 * n, sigma=SIGMA)])
    return episodes


def test_by_hand() -> None:
    """At 2 σ there are 3 and 1.2 to move to: 0.5 down and 0.4 up; 5 is too far, and its own distance no other."""
    placebos = draw_placebos(episodes_at(2, 3, 1.2, 5), TICK, 20, 1)
    own = sorted(placebos.shift_e8[placebos.episode == 0].tolist())
    assert own == [-e8("0.5"), e8("0.4")]


def test_sells_move_the_other_way() -> None:
    """What is further from price is higher for a sell zone."""
    placebos = draw_placebos(episodes_at(2, 3, 1.2, side="sell"), TICK, 20, 1)
    assert sorted(placebos.shift_e8[placebos.episode == 0].tolist()) == [-e8("0.4"), e8("0.5")]


def test_on_the_grid_and_within_reach() -> None:
    """Every shift is a multiple of the tick size, never 0, and no more than the largest allowed."""
    chance = np.random.default_rng(1)
    episodes = episodes_at(*chance.uniform(0.5, 6, 60).round(3).tolist())
    placebos = draw_placebos(episodes, TICK, 20, 1)
    assert len(placebos.shift_e8) > 300
    assert not (placebos.shift_e8 % TICK).any()
    assert (placebos.shift_e8 != 0).all()
    assert np.abs(placebos.shift_e8).max() <= MAX_SHIFT_SIGMA * e8(100) * SIGMA + TICK


def test_never_where_something_was_advised() -> None:
    """No placebo has a price in common with its own zone or with another of the same recommendation."""
    others = [a_zone("buy", "98.4", "98.6"), a_zone("buy", "98.0", "98.2")]
    first = episodes_of([published(a_zone("buy", "98.9", "99.0"), *others, sigma=SIGMA)])
    episodes = [*first, *episodes_at(*np.linspace(1, 4, 61).round(3).tolist())]
    placebos = draw_placebos(episodes, TICK, 100, 1)
    zones = (first[0].zone, *others)
    moved = [
        (first[0].zone.low_e8 + shift, first[0].zone.high_e8 + shift)
        for shift in placebos.shift_e8[placebos.episode == 0].tolist()
    ]
    assert len(moved) > 10
    assert not any(low <= z.high_e8 and z.low_e8 <= high for low, high in moved for z in zones)


def test_never_beyond_the_price_nor_at_none() -> None:
    """A buy zone's placebo lies below the price of its tick, and above 0 with its deepest rung."""
    ladder = (Rung(e8("99.9"), 0.5), Rung(e8("0.3"), 0.5))
    deep = a_zone("buy", "0.3", "99.9", ladder=ladder)
    episodes = [*episodes_of([published(deep, sigma=SIGMA)]), *episodes_at(-1.0, 0.1, 0.3, 1.0, 1.4)]
    placebos = draw_placebos(episodes, TICK, 100, 1)
    assert not (placebos.episode == 0).any()  # it would meet itself wherever it went
    for number, episode in enumerate(episodes):
        for shift in placebos.shift_e8[placebos.episode == number].tolist():
            assert episode.zone.low_e8 + shift > 0
            assert episode.zone.high_e8 + shift < e8(100)


def test_seed_decides_and_nothing_else() -> None:
    """Equal seeds draw equally whatever numpy's own generator did; another seed draws otherwise."""
    episodes = episodes_at(*np.linspace(1, 3, 60).round(3).tolist())
    one = draw_placebos(episodes, TICK, 5, 1)
    np.random.random(1000)
    two = draw_placebos(episodes, TICK, 5, 1)
    other = draw_placebos(episodes, TICK, 5, 2)
    assert one.shift_e8.tolist() == two.shift_e8.tolist()
    assert one.shift_e8.tolist() != other.shift_e8.tolist()


def test_as_many_as_asked_or_as_there_are() -> None:
    """Five of many, all of few, none without another episode or without episodes; each shift once."""
    many = draw_placebos(episodes_at(*np.linspace(1, 3, 60).round(3).tolist()), TICK, 5, 1)
    assert np.bincount(many.episode).max() == 5
    assert len(draw_placebos(episodes_at(2, 3), TICK, 5, 1).episode) == 2
    assert len(draw_placebos(episodes_at(2, 3, 3, 3), TICK, 5, 1).shift_e8[:1]) == 1
    assert len(draw_placebos(episodes_at(2), TICK, 5, 1).episode) == 0
    assert len(draw_placebos([], TICK, 5, 1).episode) == 0


def test_without_a_distance_there_is_no_placebo() -> None:
    """Advice that knew no σ or no reference cannot be moved, nor lend its distance."""
    for unknown in ({"sigma": None}, {"reference_e8": None}):
        episodes = [*episodes_of([published(a_zone(), **unknown)]), *episodes_at(2)]
        assert len(draw_placebos(episodes, TICK, 10, 1).episode) == 0


def test_every_other_distance_is_as_likely() -> None:
    """Over 500 seeds each of the other distances is drawn about equally often."""
    episodes = episodes_at(2, *np.linspace(2.4, 3.4, 21).round(3).tolist())
    counts: dict[int, int] = {}
    for seed in range(500):
        placebos = draw_placebos(episodes, TICK, 3, seed)
        for shift in placebos.shift_e8[placebos.episode == 0].tolist():
            counts[shift] = counts.get(shift, 0) + 1
    expected = 1500 / len(counts)
    assert len(counts) == 21
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 50  # χ² with 20 degrees: beyond 99.9 %


def test_a_zone_keeps_its_shape() -> None:
    """Only a shift is drawn: width and rungs are those of the zone, whatever they are."""
    zone: Zone = episodes_at(2)[0].zone
    shift = int(draw_placebos(episodes_at(2, 3), TICK, 1, 1).shift_e8[0])
    assert (zone.high_e8 + shift) - (zone.low_e8 + shift) == zone.high_e8 - zone.low_e8
