"""How decisions follow: counted to the tick, to a basis point, by weight, by stance, each with an honest interval."""

from typing import Any

import numpy as np
import pytest

from agents.recommendation import Advice, Zone
from market.fixed_point import ONE_E8
from market.timestamps import HOUR_NS
from replay.decisions import Ticks
from replay.trials.changes import NO_CHANGE, MarketChange
from replay.trials.probe import (
    NOISE,
    Share,
    compare_advice,
    market_changes,
    probe,
    probe_lines,
    select_every_nth,
    share_with_interval,
    step_e8,
)
from tests.market_builders import a_zone, an_advice, e8

TICK_E8 = ONE_E8 // 100


def zones(*places: tuple[Any, Any, Any, float]) -> list[Zone]:
    """Zones from side, low, high and weight."""
    return [a_zone(side, low, high, weight=weight) for side, low, high, weight in places]


ONE = an_advice(*zones(("buy", "99", "99.5", 0.6), ("sell", "101", "101.5", 0.4)))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ((("buy", "99", "99.5", 0.6), ("sell", "101", "101.5", 0.4)), (True, True, 1.0, True)),
        ((("buy", "99.01", "99.49", 0.6), ("sell", "101", "101.5", 0.4)), (True, True, 1.0, True)),
        ((("buy", "99", "99.5", 0.595), ("sell", "101", "101.5", 0.405)), (False, True, 1.0, True)),
        ((("buy", "99.02", "99.5", 0.6), ("sell", "101", "101.5", 0.4)), (False, False, 1.0, True)),
        ((("buy", "98", "98.5", 0.6), ("sell", "101", "101.5", 0.4)), (False, False, 0.4, True)),
        ((("sell", "101", "101.5", 1.0),), (False, False, 0.7, False)),
        ((("buy", "99", "99.5", 0.3), ("buy", "97", "98", 0.3), ("sell", "101", "101.5", 0.4)),
         (False, False, 0.85, True)),
        ((), (False, False, 0.0, False)),
    ],
)  # fmt: skip
def test_how_one_decision_follows_another(places: Any, expected: tuple[bool, bool, float, bool]) -> None:
    """At a price of 100 a basis point is a tick: edges, weights, what meets, and the stance."""
    result = compare_advice(ONE, an_advice(*zones(*places)), NO_CHANGE, TICK_E8)
    assert (result.exactly, result.closely, result.overlap, result.stance) == expected


def test_a_basis_point_is_of_the_price() -> None:
    """At 20000 it is two dollars: a zone's edge that moved so far still follows, but not to the tick."""
    one = an_advice(*zones(("buy", "19900", "19950", 1.0)), reference_e8=e8(20000))
    two = an_advice(*zones(("buy", "19902", "19949", 1.0)), reference_e8=e8(20000))
    result = compare_advice(one, two, NO_CHANGE, TICK_E8)
    assert (result.exactly, result.closely) == (False, True)


def test_what_follows_is_mapped_back_first() -> None:
    """A decision that moved with a shift, or turned with a mirror, follows exactly; one that stayed does not."""
    shifted = an_advice(*zones(("buy", "109", "109.5", 0.6), ("sell", "111", "111.5", 0.4)))
    assert compare_advice(ONE, shifted, MarketChange("", shift_e8=10 * ONE_E8), TICK_E8).exactly
    assert not compare_advice(ONE, ONE, MarketChange("", shift_e8=10 * ONE_E8), TICK_E8).exactly
    bids = an_advice(*zones(("buy", "99", "99.5", 1.0)))
    asks = an_advice(*zones(("sell", "100.49", "100.99", 1.0)))
    assert compare_advice(bids, asks, MarketChange("", mirror_e8=e8("199.99")), TICK_E8).exactly
    assert not compare_advice(bids, bids, MarketChange("", mirror_e8=e8("199.99")), TICK_E8).stance


def test_to_stand_aside_is_to_follow_too() -> None:
    """Two decisions without zones agree in everything."""
    result = compare_advice(an_advice(), an_advice(), NO_CHANGE, TICK_E8)
    assert (result.exactly, result.closely, result.overlap, result.stance) == (True, True, 1.0, True)


def test_shares_carry_the_interval_of_scores() -> None:
    """Two-hour blocks count, not decisions: copies of the same minutes prove no more; few blocks or none, nothing."""
    values, at_ns = [1.0, 0.5, 1.0, 0.0, 1.0, 1.0, 0.5, 1.0, 0.0], [2 * n * HOUR_NS for n in range(9)]
    share = share_with_interval(values, at_ns)
    half = 2.3060 * np.std(values, ddof=1) / 3  # t of eight degrees of freedom
    assert share == Share(0.6667, round(2 / 3 - half, 4), round(2 / 3 + half, 4))
    assert share_with_interval(values * 20, at_ns * 20) == share
    assert share_with_interval(values[:7], at_ns[:7]) == Share(0.7143, None, None)
    assert share_with_interval([1.0] * 9, at_ns) == Share(1.0, None, None)
    assert share_with_interval([], []) == Share(None, None, None)
    nearly = share_with_interval([1.0] * 8 + [0.9], at_ns)
    assert nearly.high == 1.0  # a share has no more


@pytest.mark.parametrize(
    ("price", "step"),
    [("110000", 1000), ("83412.5", 1000), ("20000", 1000), ("3000", 100), ("612", 10), ("1.2", 0.1),
     ("5000000", 100_000), ("1600000000", 100_000_000), ("0.6", 0.01)],
)  # fmt: skip
def test_shifts_suit_the_price(price: str, step: float) -> None:
    """A thousand dollars for bitcoin, a hundredth to a twelfth of what is cheaper or dearer."""
    assert step_e8(e8(price), TICK_E8) == round(step * ONE_E8)
    names = [change.name for change in market_changes(e8(price), TICK_E8, (-1, 2))]
    assert names == [f"{-step:+g}", f"{2 * step:+g}", "relabelled", "mirrored"]


@pytest.mark.parametrize(
    ("price", "tick", "step"), [(239, 1, 10), (10**6, 1, 10**4), (25 * 10**6, 10**5, 10**6), (90, 30, 30), (5, 1, 1)]
)
def test_a_shift_stays_on_the_grid(price: int, tick: int, step: int) -> None:
    """Also where a price is a few ticks."""
    assert step_e8(price, tick) == step


def test_each_change_gets_its_row_and_noise_the_last() -> None:
    """The market as it was is decided twice: once to compare with, once for the noise."""
    calls: list[tuple[str, int]] = []

    def decide(changed: MarketChange, repeat: int) -> dict[int, Advice]:
        calls.append((changed.name, repeat))
        return {1: ONE, 2: ONE if changed == NO_CHANGE and repeat == 0 else an_advice(), 3 + len(calls): ONE}

    rows = probe(decide, [MarketChange("+0")], TICK_E8)
    assert calls == [("as it was", 0), ("+0", 0), ("as it was", 1)]
    assert [(row.change, row.n, row.exactly.value, row.stance.value) for row in rows] == [
        ("+0", 2, 0.5, 0.5),
        (NOISE, 2, 0.5, 0.5),
    ]
    lines = list(probe_lines(rows))
    assert lines[0].split() == [
        "change", "n", "to", "the", "tick", "to", "a", "basis", "point", "weight", "on", "the", "same", "zones", "same",
        "stance",
    ]  # fmt: skip
    assert lines[1].split()[:5] == ["+0", "2", "50.0", "%", "50.0"]


def test_every_nth_tick() -> None:
    """From the first one on."""
    ticks = Ticks(*(np.arange(7) for _ in range(3)))
    assert select_every_nth(ticks, 3).seq.tolist() == [0, 3, 6]
