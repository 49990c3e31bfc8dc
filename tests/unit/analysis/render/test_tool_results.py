"""What the static tool says: every figure by name, at most ten thousand bytes, what does not fit counted."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from analysis.book.static_book import NO_BOOK, StaticBook, StaticLayer
from analysis.parameters import Parameters
from analysis.render.tool_results import MAX_BYTES, render_static
from market.fixed_point import ONE_E8
from projections.book.snapshot_window import Snapshot
from projections.trades.trade_columns import Trades
from tests.market_builders import a_snapshot, e8
from tests.trade_builders import some_trades

RULES = Parameters()


def a_book(minute: int, bids: Mapping[int, float], asks: Mapping[int, float], bins: int = 1000) -> Snapshot:
    """A thousand bins of one a side around 100000, other quantities at some distances."""
    return a_snapshot(
        [(99_999.5 - i, bids.get(i, 1)) for i in range(bins)], [(100_000.5 + i, asks.get(i, 1)) for i in range(bins)],
        minute, seq=minute + 1,
    )  # fmt: skip


def render(books: Sequence[Snapshot], sigma: float | None = 0.001, current: Snapshot | None = None,
          trades: Trades | None = None) -> dict[str, Any]:  # fmt: skip
    """The result for some books, where eight a minute are sold and none bought."""
    between = (trades or Trades.empty()).between
    static = StaticLayer(RULES).analyze(books, between, e8("0.01"), {"bid": 8.0 * ONE_E8, "ask": 0.0}, current)
    return render_static(static, sigma, "a prior", 8)


def test_a_wall_in_full() -> None:
    """Every figure of a wall of 40 a hundred bins below the touch, two minutes old; four sold into it, two below it."""
    books = [a_book(m, {100: 40}, {}) for m in range(3)]
    result = render(books, trades=some_trades(["99899.5", "99899.5", "99898.9"], [65, 80, 90], [3, 1, 2], -1))
    assert result["bid"]["walls"] == [
        {
            "id": "Wb0", "bin": "99899", "quantity": "40", "share": round(40 / 939, 4), "major": True,
            "contrast": 40.0, "heavy_price": "99899.5", "heavy_share": 1.0, "distance_bp": -10.05,
            "distance_sigma": round(-10.05 / 1e4 / 0.001, 2), "seen": 3, "age_min": 2, "age_censored": True,
            "life": "absorbing", "absorbed": "4", "refilled": 1.0, "minutes_to_consume": 5.0, "pull_probability": 0.66,
            "strength": round(round(40 / 939, 4) / 0.06 * 0.34, 4),
        }
    ]  # fmt: skip
    head = {k: result[k] for k in ("id", "mid", "bin", "snapshots", "pull_probability_from")}
    assert head == {"id": "D", "mid": "100000", "bin": "1", "snapshots": 3, "pull_probability_from": "a prior"}
    assert {k: result["bid"][k] for k in ("id", "corridor_depth", "near_depth", "reach_bp")} == {
        "id": "D.bid", "corridor_depth": "939", "near_depth": "100", "reach_bp": 99.95,
    }  # fmt: skip
    assert result["bid"]["this_book_alone"] == {"walls": 1, "bands": 0, "vacuums": None}
    assert result["bid"]["in_shuffled_books"] == {"walls": 1.0, "bands": 0.0, "vacuums": None}


def test_what_is_not_known_is_null() -> None:
    """No σ, no trades against a side, too few books, no book now: null, never zero or a missing key."""
    result = render([a_book(m, {}, {100: 40}) for m in range(3)], sigma=None)
    (wall,) = result["ask"]["walls"]
    assert (wall["distance_sigma"], wall["minutes_to_consume"], wall["refilled"]) == (None, None, None)
    for which in ("this_book_alone", "in_shuffled_books"):
        assert (result["ask"]["vacuums"], result["ask"][which]["vacuums"]) == (None, None)
    assert result["ask"]["more_vacuums"] == 0
    assert result["book_now"] is None


def test_no_book_is_said() -> None:
    """Nothing found, and why."""
    assert render_static(StaticBook(NO_BOOK), 0.001, "a prior", 8) == {"found": "nothing", "reason": NO_BOOK}


def test_a_vacuum_and_a_band_in_full() -> None:
    """Edges as prices and basis points, what is there and what was usual, what crossing costs in quote."""
    thin = dict.fromkeys(range(240, 339), 0.25)
    dense = dict.fromkeys(range(430, 570), 6.0)
    result = render([a_book(m, dense, thin if m >= 10 else {}) for m in range(13)])
    cost = sum(0.25 * (100_000.5 + i) for i in range(240, 339))
    assert result["ask"]["vacuums"] == [
        {"id": "Va0", "low": "100240", "high": "100339", "distance_bp": [24.05, 33.85], "quantity": "24.75",
         "usual": "99", "cost_to_cross": f"{cost}", "far_edge_unknown": False}
    ]  # fmt: skip
    (band,) = result["bid"]["bands"]
    assert {k: band[k] for k in ("id", "low", "high", "distance_bp", "quantity", "heavy_bin")} == {
        "id": "Bb0", "low": "99430", "high": "99570", "distance_bp": [43.05, 56.95], "quantity": "840",
        "heavy_bin": "99569",
    }  # fmt: skip
    assert band["ratio_to_usual"] > 5
    assert result["bid"]["vacuums"] == []
    assert (result["ask"]["this_book_alone"]["vacuums"], result["bid"]["this_book_alone"]["bands"]) == (1, 1)


def test_what_this_book_alone_shows_is_no_finding_yet() -> None:
    """A wall and a band that came with the last book, and a cell thin by a wall that went: counted, not listed."""
    dense = dict.fromkeys(range(430, 570), 6.0)
    books = [a_book(m, {100: 40} | dense if m == 12 else {}, {300: 1000} if m < 10 else {}) for m in range(13)]
    result = render(books)
    assert result["bid"]["this_book_alone"] == {"walls": 1, "bands": 1, "vacuums": 0}
    assert result["ask"]["this_book_alone"] == {"walls": 0, "bands": 0, "vacuums": 1}
    assert [result[s][kind] for s in ("bid", "ask") for kind in ("walls", "bands", "vacuums")] == [[]] * 6


def test_four_vacuums_a_side_are_listed() -> None:
    """Of five voids of the asks four are shown, nearest first, and one is counted."""
    voids = [range(30, 45), range(70, 95), range(135, 185), range(260, 360), range(500, 700)]
    thin = dict.fromkeys((i for void in voids for i in void), 0.05)
    result = render([a_book(m, {}, thin if m >= 10 else {}) for m in range(13)])["ask"]
    assert [v["low"] for v in result["vacuums"]] == ["100030", "100070", "100135", "100260"]
    assert (result["more_vacuums"], result["more_bands"]) == (1, 0)


def test_endings_are_counted_and_the_last_listed() -> None:
    """Eight walls that go are eight pulled, six of them listed, the last first."""
    books = [a_book(m, {100 + 20 * k: 40 for k in range(8) if m < 6 + k}, {}) for m in range(14)]
    output = render(books)["ended"]
    assert [output[kind] for kind in ("filled", "breached", "moved", "pulled")] == [0, 0, 0, 8]
    assert [e["bin"] for e in output["last"]] == [str(99_899 - 20 * k) for k in range(7, 1, -1)]
    assert output["last"][0] == {
        "id": "E0", "side": "bid", "bin": "99759", "share": round(40 / 939, 4), "ending": "pulled",
        "at": "2026-03-02T00:13:00Z", "moved_to": None,
    }  # fmt: skip


def test_the_book_now_has_the_walls_of_the_last_snapshot() -> None:
    """What each wall's bin holds in the book rebuilt up to the tick, and how far it now is."""
    books = [a_book(m, {100: 40}, {}) for m in range(3)]
    now = render(books, current=a_book(3, {100: 25, 200: 30}, {}))["book_now"]
    assert now["walls"] == {"Wb0": {"quantity": "25", "distance_bp": -10.1}}
    assert [row[:3] for row in now["new_outliers"]] == [["bid", "99799", "30"]]
    assert (now["id"], now["mid"], now["bands"]) == ("D.now", "100000", {"bid": 0, "ask": 0})


def test_the_fullest_result_fits() -> None:
    """Thirteen walls a side, long figures, thin stretches, eight endings: counted, and under ten thousand bytes."""
    chance = np.random.default_rng(3)

    def a_full_book(minute: int) -> Snapshot:
        sides = []
        for away in (-1, 1):
            levels = {i: round(float(chance.uniform(0.9, 1.1)), 8) for i in range(1000)}
            if minute >= 27:
                levels |= dict.fromkeys((*range(60, 85), *range(171, 239), *range(340, 479)), 0.01234567)
            levels |= {50 * k: 25.12345678 + k for k in range(1, 18) if k < 14 or minute < 20}
            sides.append([(round(100_000 + away * (i + 0.53), 2), levels[i]) for i in range(1000)])
        return a_snapshot(sides[0], sides[1], minute, seq=minute + 1)

    result = render([a_full_book(m) for m in range(30)], 0.000123456, a_full_book(30))
    assert [len(result[s]["walls"]) for s in ("bid", "ask")] == [9, 9]
    assert [result[s]["more_walls"] for s in ("bid", "ask")] == [4, 4]
    assert result["ended"]["pulled"] == 8
    assert len(msgspec.json.encode(result)) <= MAX_BYTES
