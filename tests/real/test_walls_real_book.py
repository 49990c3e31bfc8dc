"""Walls of a real 5000-level book, counted again in the plainest way."""

import gzip
import json
import os
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from math import floor, log2
from pathlib import Path

import numpy as np
import pytest

from analysis.book.book_side import SIDES, Side, build_book_side
from analysis.book.static_book import StaticBook, StaticLayer, build_book_evidence
from analysis.book.walls import find_wall_bins
from analysis.grid import bin_width_e8
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from projections.book.snapshot_window import Snapshot
from projections.trades.trade_columns import Trades
from tests.market_builders import T0, a_snapshot, e8


def no_trades(_: int, __: int) -> Trades:
    """Nothing traded, whenever."""
    return Trades.empty()


DATA = Path(os.environ.get("REAL_DATA_DIR") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
BODY = DATA / "snapshots" / "btcusdt-spot-2025-04-14-0000.json.gz"
RULES = Parameters()


@pytest.fixture(scope="module")
def body() -> dict[str, list[tuple[str, str]]]:
    """The REST depth body as the venue sent it."""
    if not BODY.exists():
        pytest.skip(f"no recorded book at {BODY}; set REAL_DATA_DIR to the folder that holds snapshots/")
    with gzip.open(BODY) as file:
        return json.load(file)


def as_snapshot(body: dict[str, list[tuple[str, str]]], minute: int = 0) -> Snapshot:
    return a_snapshot(body["bids"], body["asks"], minute, seq=minute + 1)


def counted(levels: list[tuple[str, str]], mid: Decimal) -> dict[int, tuple[Decimal, Decimal]]:
    """
    docs/measures.md §2 in a few lines of its own: $1 bins, 5 × P80 of 6 bp each way, 1 % of the depth within 90 bp.

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
        book = build_book_side(snapshot, side, ONE_E8, RULES)
        assert book is not None
        bins = find_wall_bins(book, snapshot.mid_e8, RULES)
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
        book = build_book_side(snapshot, side, ONE_E8, RULES)
        assert book is not None
        reaches.append(book.reach_bp)
    assert all(90 <= r <= 250 for r in reaches)
    assert reaches[0] != reaches[1]


def look(books: Sequence[Snapshot]) -> StaticBook:
    """What the static layer sees, without trades between the books."""
    volume: dict[Side, float] = dict.fromkeys(SIDES, 0.0)
    return StaticLayer(RULES).analyze(books, no_trades, e8("0.01"), volume)


def test_a_book_that_stands_for_three_minutes(body: dict[str, list[tuple[str, str]]]) -> None:
    """Seen once it shows no wall; seen three times all 22, ten of them major, each with evidence inside its side."""
    one = look([as_snapshot(body)])
    assert one.sides is not None
    assert [one.sides[side].walls for side in SIDES] == [[], []]
    assert [one.sides[side].outliers for side in SIDES] == [11, 11]
    books = [as_snapshot(body, minute) for minute in range(3)]
    found = look(books)
    assert found.sides is not None
    walls = [w for side in SIDES for w in found.sides[side].walls]
    assert [len(found.sides[side].walls) for side in SIDES] == [11, 11]
    assert sum(w.wall.major for w in walls) == 10
    assert {(w.wall.age_min, w.wall.censored, w.life.state) for w in walls} == {(2, True, "held")}
    evidence = build_book_evidence(found, books[-1], RULES)
    assert sum(e.basis == "wall" for e in evidence) == 22
    assert all((e.price_e8 < found.mid_e8) == (e.id[1] == "b") for e in evidence)
    assert (found.reason, list(found.ended_walls)) == (None, [])
    assert books[2].minute_ns == T0 + 2 * MINUTE_NS


def banded(body: dict[str, list[tuple[str, str]]], mid: Decimal) -> dict[str, list[tuple[int, int]]]:
    """
    docs/measures.md §2 again in plain Python: capped at 1 %, smoothed over 2 bp, over the octaves' mean of both sides.

    Returns:
        For each side the first and last dollar of every run of twice the usual that is long and spread enough.
    """
    capped: dict[str, list[float]] = {}
    lines: dict[str, list[float]] = {}
    away: dict[str, list[float]] = {}
    first: dict[str, int] = {}
    for side, step in (("bid", -1), ("ask", 1)):
        levels = body[f"{side}s"]
        first[side] = int(Decimal(levels[0][0]))
        line = [0.0] * (abs(int(Decimal(levels[-1][0])) - first[side]) + 1)
        for price, quantity in levels:
            line[abs(int(Decimal(price)) - first[side])] += float(quantity)
        cap = 0.01 * sum(line[: round(mid * 90 / 10_000)])
        lines[side], capped[side] = line, [min(q, cap) for q in line]
        away[side] = [abs(first[side] + step * i + 0.5 - float(mid)) / float(mid) * 1e4 for i in range(len(line))]
    octaves: dict[int, list[tuple[float, float]]] = {}
    for side in capped:
        for bp, q in zip(away[side], capped[side], strict=True):
            octaves.setdefault(floor(log2(max(bp, 1e-3))), []).append((log2(max(bp, 1e-3)), q))
    centres = [sum(x for x, _ in octaves[o]) / len(octaves[o]) for o in sorted(octaves)]
    density = [sum(q for _, q in octaves[o]) / len(octaves[o]) for o in sorted(octaves)]
    half, least = round(mid * 2 / 10_000), round(mid * 9 / 10_000)
    found: dict[str, list[tuple[int, int]]] = {}
    for side, line in capped.items():
        dense = []
        for i in range(len(line)):
            beside = range(max(0, i - half + 1), min(len(line), i + half))
            weights = [half - abs(i - j) for j in beside]
            smooth = sum(w * line[j] for w, j in zip(weights, beside, strict=True)) / sum(weights)
            dense.append(smooth >= 2 * float(np.interp(log2(max(away[side][i], 1e-3)), centres, density)))
        runs = [list(run) for held, run in groupby(range(len(line)), key=lambda i: dense[i]) if held]
        found[side] = [
            (run[0], run[-1]) for run in runs
            if len(run) >= least and away[side][run[0]] > 2 and run[-1] < len(line) - half
            and sum(lines[side][i] for i in run) ** 2 / sum(lines[side][i] ** 2 for i in run) >= 5
        ]  # fmt: skip
    return found


def test_bands_of_a_real_book(body: dict[str, list[tuple[str, str]]]) -> None:
    """About one side in six has a band: this book has one at most, and as many as the plain count finds."""
    snapshot = as_snapshot(body)
    assert snapshot.mid_e8 is not None
    found = look([snapshot])
    assert found.sides is not None
    counts = {side: len(found.sides[side].bands) for side in SIDES}
    plain = banded(body, Decimal(int(snapshot.mid_e8 * 2)) / 2 / ONE_E8)
    assert counts == {side: len(runs) for side, runs in plain.items()}
    assert sum(counts.values()) <= 1
    for side in SIDES:
        for band, (start, stop) in zip(found.sides[side].bands, plain[side], strict=True):
            bins = sorted((found.sides[side].book.index(band.low_e8), found.sides[side].book.index(band.high_e8 - 1)))
            assert start - 20 <= bins[0] <= bins[1] <= stop + 20


def test_shuffled_bins_stand_out_more_often(body: dict[str, list[tuple[str, str]]]) -> None:
    """
    What the null book says of a real one: with its bins in random order within octaves as many stand out or more, so
    standing out in one book is no evidence yet, and the count beside every count is needed.
    """
    found = look([as_snapshot(body)])
    assert found.sides is not None
    assert [found.sides[side].outliers for side in SIDES] == [11, 11]
    assert [found.sides[side].null.walls for side in SIDES] == [15.4, 12.2]
    assert [found.sides[side].null.bands for side in SIDES] == [0.0, 0.0]
    assert [found.sides[side].null.voids for side in SIDES] == [None, None]
