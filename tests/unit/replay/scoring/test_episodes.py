"""An episode is one idea: overlapping zones of one side, advised again and again, scored once."""

import numpy as np

from agents.recommendation import Zone
from market.timestamps import MINUTE_NS
from replay.scoring.episodes import Episode, episodes_of, overlaps
from tests.market_builders import T0, a_zone, published


def runs(*advised: list[Zone], minutes: list[float] | None = None) -> list[Episode]:
    """Episodes of one recommendation a minute, or at some minutes."""
    at = minutes or list(range(len(advised)))
    return episodes_of([published(*zones, minute=m) for m, zones in zip(at, advised, strict=True)])


def spans(episodes: list[Episode]) -> list[tuple[float, float, int]]:
    """First and last minute, and in how many recommendations."""
    return [((e.published_ns - T0) / MINUTE_NS, (e.last_ns - T0) / MINUTE_NS, e.minutes) for e in episodes]


def test_overlapping_zones_are_one_episode() -> None:
    """What overlaps the zone advised first is the same idea; what has drifted off it is another."""
    first, second, third = a_zone(low=98, high=99), a_zone(low="98.5", high="99.5"), a_zone(low="99.4", high="99.8")
    result = runs([first], [second], [third])
    assert spans(result) == [(0, 1, 2), (2, 2, 1)]
    assert result[0].zone is first
    assert result[0].stop_ns == T0 + 60 * MINUTE_NS


def test_touching_edges_are_an_overlap() -> None:
    """Zones that share one price go on; zones a hundred-millionth apart do not."""
    assert len(runs([a_zone(low=98, high=99)], [a_zone(low=99, high="99.5")])) == 1
    assert len(runs([a_zone(low=98, high=99)], [a_zone(low="99.00000001", high="99.5")])) == 2


def test_a_zone_that_flickers_is_one_idea() -> None:
    """A recommendation without the zone, or with another one, does not make it new; an hour without it does."""
    zone = a_zone()
    assert spans(runs([zone], [], [zone])) == [(0, 2, 2)]
    assert spans(runs([zone], [a_zone(low=90, high=91)], [zone])) == [(0, 2, 2), (1, 1, 1)]
    assert spans(runs([zone], [a_zone(low=90, high=91)], [zone], minutes=[0, 30, 61])) == [
        (0, 0, 1),
        (30, 30, 1),
        (61, 61, 1),
    ]


def test_sides_never_mix() -> None:
    """A sell zone at the same prices is another episode."""
    result = runs([a_zone("buy", 99, 100)], [a_zone("sell", 99, 100)])
    assert [e.zone.side for e in result] == ["buy", "sell"]
    both = runs([a_zone("buy", 99, 100), a_zone("sell", 101, 102)], [a_zone("sell", 101, 102), a_zone("buy", 99, 100)])
    assert spans(both) == [(0, 1, 2), (0, 1, 2)]


def test_a_merge_continues_both() -> None:
    """Two zones that become one: it overlaps both, so both go on, and it is no third idea."""
    result = runs([a_zone(low=95, high=96), a_zone(low=97, high=99)], [a_zone(low="95.5", high=99)])
    assert spans(result) == [(0, 1, 2), (0, 1, 2)]


def test_a_split_is_no_new_idea() -> None:
    """One zone that becomes two within it: the same prices, counted once a recommendation."""
    result = runs([a_zone(low=95, high=99)], [a_zone(low=98, high=99), a_zone(low=95, high=96)])
    assert spans(result) == [(0, 1, 2)]


def test_episodes_that_go_on_never_overlap() -> None:
    """Over random advice no two episodes of a side that go on at one time share a price."""
    chance = np.random.default_rng(3)
    advice = [
        [a_zone("buy", low := int(chance.integers(80, 98)), low + int(chance.integers(0, 4))) for _ in range(3)]
        for _ in range(300)
    ]
    episodes = runs(*advice)
    for n, one in enumerate(episodes):
        for other in episodes[n + 1 :]:
            if other.published_ns - one.last_ns <= 60 * MINUTE_NS:
                assert not overlaps(one.zone, other.zone)


def test_silence_longer_than_validity_ends_every_episode() -> None:
    """After sixty minutes without word the same zone is a new idea; after exactly sixty it is not."""
    zone = a_zone()
    assert len(runs([zone], [zone], minutes=[0, 60])) == 1
    assert len(runs([zone], [zone], minutes=[0, 60.001])) == 2


def test_no_advice_no_episodes() -> None:
    """Nothing published, or only standing aside, gives none."""
    assert episodes_of([]) == []
    assert runs([], []) == []
