"""Baselines keep an advice's orders and take away its reasons."""

import numpy as np
import pytest

from agents.recommendation import Rung
from market.timestamps import MINUTE_NS
from replay.baselines.baselines import NAMES, baselines_on
from replay.baselines.derived import Delay, alternate, mirror
from replay.scoring.rules import ScoringRules
from replay.scoring.scoring import score
from tests.market_builders import a_zone, e8, published
from tests.null_markets import a_martingale, advise, even

BUY = a_zone("buy", "98.9", 99, weight=0.5, ladder=(Rung(e8(99), 0.3), Rung(e8("98.9"), 0.2)))
FAR = a_zone("buy", 97, "97.5", weight=0.25, ladder=(Rung(e8("97.5"), 0.25),))
SELL = a_zone("sell", 102, "102.1", weight=0.25, ladder=(Rung(e8(102), 0.25),))


def test_a_mirror_keeps_distance_and_weight() -> None:
    """A buy zone 1 below 100 is a sell zone 1 above it, its rungs in the same order from the price."""
    mirrored = mirror(published(BUY, SELL))
    one, two = mirrored.advice.zones
    assert (one.side, one.low_e8, one.high_e8, one.weight) == ("sell", e8(101), e8("101.1"), 0.5)
    assert [(r.price_e8, r.weight) for r in one.ladder] == [(e8(101), 0.3), (e8("101.1"), 0.2)]
    assert (two.side, two.low_e8, two.high_e8) == ("buy", e8("97.9"), e8(98))
    assert mirrored.advice.stance == "two_sided"
    assert mirror(published(BUY)).advice.stance == "ask_only"


def test_mirrored_twice_is_what_it_was() -> None:
    """Prices are exact."""
    for publication in (published(BUY, FAR, SELL), published(), published(SELL, minute=1)):
        assert mirror(mirror(publication)) == publication


def test_nothing_is_mirrored_without_a_price_or_below_none() -> None:
    """No reference: no other side; a zone above twice the price has none to stand at; one that price is in is none."""
    assert mirror(published(a_zone("buy", 99, 101))).advice.zones == ()
    assert mirror(published(BUY, reference_e8=None)).advice.zones == ()
    assert mirror(published(a_zone("sell", 200, 201))).advice.zones == ()


def test_a_symmetric_ladder_alternates_by_distance() -> None:
    """1, 2 and 2.5 away: buy, sell, buy; what is on its side already stays."""
    ladder = alternate(published(FAR, SELL, BUY))
    assert [(z.side, z.low_e8) for z in ladder.advice.zones] == [
        ("buy", e8("98.9")),
        ("sell", e8(102)),
        ("buy", e8(97)),
    ]
    both = alternate(published(BUY, FAR))
    assert [z.side for z in both.advice.zones] == ["buy", "sell"]
    assert sum(z.weight for z in both.advice.zones) == 0.75


def test_the_hour_before() -> None:
    """At 61 minutes the zones of the first minute, without those that price has passed; weights sum to 1."""
    publications = [published(BUY, SELL), published(FAR, minute=59), published(minute=61, reference_e8=e8("98.5"))]
    delay = Delay()
    first, second, third = (delay(publication) for publication in publications)
    assert first.advice.zones == second.advice.zones == ()
    assert [(z.side, z.low_e8, z.weight) for z in third.advice.zones] == [("sell", e8(102), 1.0)]
    assert third.advice.zones[0].ladder[0].weight == 1.0
    assert third.published_ns - first.published_ns == 61 * MINUTE_NS


@pytest.mark.slow
def test_no_baseline_differs_on_a_market_without_edge() -> None:
    """Sixteen days without memory: each comparison leaves out 0 in a fifth of them at most (one in twenty is due)."""
    rules = ScoringRules(2000, 250, 1.0, 0.0, 5, 1, 2.0, 2.0)
    covered: dict[tuple[str, str], list[bool]] = {}
    for seed in range(16):
        path = a_martingale(seed)
        for row in score(advise(path, seed, even), path, rules, baselines_on(path.minutes)).scores.to_pylist():
            if row["unit"] in NAMES and row["low"] is not None:
                covered.setdefault((row["unit"], row["metric"]), []).append(row["low"] <= 0 <= row["high"])
    assert len(covered) == 6 * (len(NAMES) - 2)  # these advisers know no levels
    for name, days in covered.items():
        assert len(days) >= 14, name
        assert np.mean(days) >= 0.8, name
