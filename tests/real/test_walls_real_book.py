"""Walls of a real 5000-level book, counted again in the plainest way."""

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from analysis.grid import bin_width_e8
from analysis.parameters import Parameters
from analysis.static_book import static_book
from analysis.walls import Side, WallFinder, book_side, wall_bins
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.snapshot_window import Snapshot
from tests.market_builders import T0, a_snapshot, e8

DATA = Path(os.environ.get("REAL_DATA_DIR") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
BODY = DATA / "snapshots" / "btcusdt-spot-2025-04-14-0000.json.gz"
RULES = Parameters()
SIDES: tuple[Side, Side] = ("bid", "ask")


@pytest.fixture(scope="module")
def body() -> dict[str, list[tuple[str, str]]]:
    """The REST depth body as the venue sent it."""
    if not BODY.exists():
        pytest.skip(f"no recorded book at {BODY}; set REAL_DATA_DIR to the folder that holds snapshots/")
    with gzip.open(BODY) as file:
        return json.load(file)  # type: ignore[no-any-return]


def as_snapshot(body: dict[str, list[tuple[str, str]]], minute: int = 0) -> Snapshot:
    return a_snapshot(body["bids"], body["asks"], minute, seq=minute + 1)


def counted(levels: list[tuple[str, str]], mid: Decimal) -> dict[int, tuple[Decimal, Decimal]]:
    """
    ANALYSIS §2 in a few lines of its own: $1 bins, 5 × P80 of 6 bp each way, 1 % of the depth within 90 bp.

    Returns:
        Quantity and share of each wall bin, by its price.
    """
    bins: dict[int, Decimal] = {}
    for price, quantity in levels:
        bins[int(Decimal(price))] = bins.get(int(Decimal(price)), Decimal(0)) + Decimal(quantity)
    first, last = int(Decimal(levels[0][0])), int(Decimal(levels[-1][0]))
    step = 1 if last > first else -1
    line = [bins.get(first + step * i, Decimal(0)) for i in range(abs(last - first) + 1)]
    corridor, reach = min(round(mid * 90 / 10_000), len(line)), round(mid * 6 / 10_000)
    depth = sum(line[:corridor])
    walls = {}
    for i, held in enumerate(line[:corridor]):
        around = sorted(line[max(0, i - reach) : i] + line[i + 1 : i + reach + 1])
        place = Decimal(len(around) - 1) * 8 / 10
        low = around[int(place)]
        p80 = low + (around[min(int(place) + 1, len(around) - 1)] - low) * (place - int(place))
        if held >= 5 * p80 and held >= depth / 100:
            walls[first + step * i] = (held, held / depth)
    return walls


def test_the_count_that_was_published(body: dict[str, list[tuple[str, str]]]) -> None:
    """Eleven wall bins a side, ten of them major, the same as the plain count to the last digit."""
    snapshot = as_snapshot(body)
    assert snapshot.mid_e8 is not None
    assert bin_width_e8(snapshot.mid_e8, RULES.bin_per_price, e8("0.01")) == ONE_E8
    mid = Decimal(int(snapshot.mid_e8 * 2)) / 2 / ONE_E8
    found = {}
    for side in SIDES:
        book = book_side(snapshot, side, ONE_E8, RULES)
        assert book is not None
        bins = wall_bins(book, snapshot.mid_e8, RULES)
        expected = counted(body[f"{side}s"], mid)
        assert {b.price_e8 // ONE_E8: b.quantity_e8 for b in bins} == {
            price: int(held * ONE_E8) for price, (held, _) in expected.items()
        }
        assert [b.share for b in bins] == [pytest.approx(float(s), abs=5.1e-5) for _, s in expected.values()]
        found[side] = bins
    assert {side: len(bins) for side, bins in found.items()} == {"bid": 11, "ask": 11}
    assert sum(b.share >= RULES.major_share for bins in found.values() for b in bins) == 10


def test_reach_is_what_the_recording_says(body: dict[str, list[tuple[str, str]]]) -> None:
    """5000 levels reach 0.9 to 2.5 % from the mid, different on each side."""
    snapshot = as_snapshot(body)
    reaches = []
    for side in SIDES:
        book = book_side(snapshot, side, ONE_E8, RULES)
        assert book is not None
        reaches.append(book.reach_bp)
    assert all(90 <= r <= 250 for r in reaches)
    assert reaches[0] != reaches[1]


def test_a_book_that_stands_for_three_minutes(body: dict[str, list[tuple[str, str]]]) -> None:
    """Seen once it shows no wall; seen three times all 22, each with evidence inside its side."""
    finder, volume = WallFinder(RULES), dict.fromkeys(SIDES, 0.0)
    one = static_book([as_snapshot(body)], finder, e8("0.01"), volume, None, RULES)
    assert one[0]["bid"]["walls"] == one[0]["ask"]["walls"] == []
    books = [as_snapshot(body, minute) for minute in range(3)]
    result, evidence, warnings = static_book(books, finder, e8("0.01"), volume, None, RULES)
    assert [len(result[side]["walls"]) for side in SIDES] == [11, 11]
    assert sum(w["major"] for side in SIDES for w in result[side]["walls"]) == 10
    assert {w["age_min"] for side in SIDES for w in result[side]["walls"]} == {2}
    mid = books[0].mid_e8
    assert mid is not None
    assert all((e.price_e8 < mid) == e.id.startswith("Wb") for e in evidence)
    assert warnings == []
    assert books[2].minute_ns == T0 + 2 * MINUTE_NS
