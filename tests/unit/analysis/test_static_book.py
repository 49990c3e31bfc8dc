"""The static tool says what the newest book shows, with its figures, or that it shows nothing."""

import json
import math
from typing import Any

import pytest

from analysis.parameters import Parameters
from analysis.static_book import EMPTY_SIDE, NO_BOOK, static_book
from analysis.walls import WallFinder
from market.fixed_point import ONE_E8
from projections.snapshot_window import Snapshot
from tests.market_builders import a_snapshot, e8

RULES = Parameters()


def books_with_a_wall(count: int = 3) -> list[Snapshot]:
    bids = [(100_000 - i, 40 if i == 100 else 1) for i in range(1000)]
    asks = [(100_001 + i, 1) for i in range(1000)]
    return [a_snapshot(bids, asks, minute, seq=minute + 1) for minute in range(count)]


def result_of(
    books: list[Snapshot], eaten: float = 0.0, sigma: float | None = 0.001
) -> tuple[dict[str, Any], list[Any], list[str]]:
    volume = {"bid": eaten * ONE_E8, "ask": eaten * ONE_E8}
    return static_book(books, WallFinder(RULES), e8("0.01"), volume, sigma, RULES)


def test_a_wall_with_its_figures() -> None:
    """Share, contrast, distance in bp and σ, age and minutes to eat, as arithmetic gives them."""
    result, evidence, warnings = result_of(books_with_a_wall(), eaten=8)
    assert (result["mid"], result["bin"], result["snapshots"]) == ("100000.5", "1", 3)
    assert result["ask"]["walls"] == []
    assert result["bid"]["walls"] == [
        {
            "id": "Wb0",
            "bin": "99900",
            "quantity": "40",
            "share": round(40 / 939, 4),
            "contrast": 40.0,
            "heavy_price": "99900",
            "heavy_share": 1.0,
            "distance_bp": -10.05,
            "distance_sigma": round(-10.05 / 10, 2),
            "seen": 3,
            "age_min": 2,
            "at_least": True,
            "minutes_to_eat": 5.0,
            "major": True,
        }
    ]
    assert result["bid"]["corridor_depth"] == "939"
    assert result["bid"]["near_depth"] == "100"
    assert warnings == []
    piece = evidence[0]
    assert (piece.id, piece.basis, piece.leg, piece.price_e8) == ("Wb0", "wall", "static", e8(99_900))
    assert piece.low_e8 == e8(99_900) - int(100_000.5 * ONE_E8 * 5e-4)
    assert piece.high_e8 == e8(99_901) + int(100_000.5 * ONE_E8 * 5e-4)
    assert piece.strength == round(round(40 / 939, 4) / 0.06, 4)


def test_unknown_figures_are_null() -> None:
    """Without volatility there is no distance in σ, without volume no time to eat a wall."""
    wall = result_of(books_with_a_wall(), eaten=0, sigma=None)[0]["bid"]["walls"][0]
    assert wall["distance_sigma"] is None
    assert wall["minutes_to_eat"] is None


@pytest.mark.parametrize("books", [[], [a_snapshot([], [])], [a_snapshot([(10, 1)], [])]])
def test_no_book_is_said(books: list[Snapshot]) -> None:
    """No snapshot, or one without a mid, is nothing found, with the reason as a warning."""
    result, evidence, warnings = result_of(books)
    reason = EMPTY_SIDE if books else NO_BOOK
    assert result == {"found": "nothing", "reason": reason}
    assert evidence == []
    assert warnings == [reason]


def test_one_level_a_side() -> None:
    """The thinnest book there is has depth, a reach and no NaN; three of it make its only bins walls by share."""
    for count in (1, 3):
        thin = [a_snapshot([(100, 1)], [("100.02", 2)], minute, seq=minute + 1) for minute in range(count)]
        result, evidence, _ = result_of(thin)
        assert result["bid"]["corridor_depth"] == "1"
        assert result["ask"]["reach_bp"] == 1.0
        assert len(evidence) == (2 if count == 3 else 0)
        assert all(w["contrast"] is None and w["share"] == 1.0 for s in ("bid", "ask") for w in result[s]["walls"])
        assert not any(math.isnan(v) for v in _numbers(json.loads(json.dumps(result))))


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in _numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in _numbers(v)]
    return [value] if isinstance(value, float) else []
