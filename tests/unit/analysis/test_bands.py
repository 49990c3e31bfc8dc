"""A band holds more than its distance from the mid explains: wide, spread over many bins, away from both ends."""

from collections.abc import Mapping
from dataclasses import replace
from math import log2

import numpy as np
import pytest

from analysis.bands import Band, bands
from analysis.book_side import SIDES, BookSide, Side, book_side
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from projections.snapshot_window import Snapshot
from tests.market_builders import a_snapshot, e8

RULES = Parameters()
"""At 100000 in bins of 1: 10 bins are 1 bp, the kernel's half-width is 20 bins, a band at least 90 wide."""


def found(asks: Mapping[int, float], bins: int = 1000, usual: float = 1.0, rules: Parameters = RULES) -> list[Band]:
    """The asks' bands of a book of one quantity a bin around 100000, but for some bins of the asks."""
    prices = range(bins)
    book = a_snapshot([(99_999.5 - i, usual) for i in prices], [(100_000.5 + i, asks.get(i, usual)) for i in prices])
    whole = bands(both(book, rules), rules)
    assert whole["bid"] == []
    return whole["ask"]


def both(book: Snapshot, rules: Parameters = RULES) -> dict[Side, BookSide]:
    """Both sides in bins of 1."""
    sides = {side: book_side(book, side, ONE_E8, rules) for side in SIDES}
    return {side: seen for side, seen in sides.items() if seen is not None}


def block(start: int, stop: int, quantity: float) -> dict[int, float]:
    """Bins of one quantity."""
    return dict.fromkeys(range(start, stop), quantity)


def test_a_band_by_its_figures() -> None:
    """A hundred bins of six among ones: its own edges, what it holds, over how many bins the dense run spreads."""
    (band,) = found(block(300, 400, 6))
    low, high = (band.low_e8 - e8(100_000)) // ONE_E8, (band.high_e8 - e8(100_000)) // ONE_E8
    assert (low, high) == (300, 400)
    assert band.quantity_e8 == 600 * ONE_E8
    assert band.effective == round(605**2 / (100 * 36 + 5), 2)
    assert (band.near_bp, band.far_bp) == (30.05, 39.95)
    assert band.heavy_bin_e8 == e8(100_300)
    assert band.side == "ask"


def plainly(asks: Mapping[int, float], bins: int = 1000) -> tuple[list[float], list[float]]:
    """
    ANALYSIS §2 written out: capped, smoothed inside the reach, over the mean of both sides by octaves.

    Returns:
        For each bin the smoothed ratio, and how far the capped size itself lies above twice the usual.
    """
    line = [asks.get(i, 1.0) for i in range(bins)]
    cap = 0.01 * sum(line[:900])
    capped = [min(q, cap) for q in line]
    away = [(i + 0.5) / 10 for i in range(bins)]
    octaves: dict[int, list[tuple[float, float]]] = {}
    for held in (capped, [1.0] * bins):
        for bp, q in zip(away, held, strict=True):
            octaves.setdefault(int(np.floor(log2(bp))), []).append((log2(bp), q))
    centres = [sum(x for x, _ in octaves[o]) / len(octaves[o]) for o in sorted(octaves)]
    density = [sum(q for _, q in octaves[o]) / len(octaves[o]) for o in sorted(octaves)]
    usual = [float(np.interp(log2(bp), centres, density)) for bp in away]
    ratio = []
    for i in range(bins):
        near = [(20 - abs(i - j), capped[j]) for j in range(max(0, i - 19), min(bins, i + 20))]
        ratio.append(sum(w * q for w, q in near) / sum(w for w, _ in near) / usual[i])
    return ratio, [c - 2 * u for c, u in zip(capped, usual, strict=True)]


def test_a_band_as_plain_python_finds_it() -> None:
    """Where the smoothed ratio is two, then, within the kernel of that, the stretch that holds most above the usual."""
    asks = block(300, 400, 6) | block(340, 345, 30)
    ratio, above = plainly(asks)
    dense = [i for i in range(1000) if ratio[i] >= 2]
    assert dense == list(range(dense[0], dense[-1] + 1))
    low, high = dense[0] - 20, dense[-1] + 1 + 20
    sums = {(i, j): sum(above[i:j]) for i in range(low, high) for j in range(i + 1, high + 1)}
    start, stop = max(sums, key=lambda run: sums[run])
    (band,) = found(asks)
    assert (band.low_e8, band.high_e8) == (e8(100_000 + start), e8(100_000 + stop))
    assert band.ratio == pytest.approx(np.mean(ratio[start:stop]), abs=0.0051)


def test_a_wall_is_no_band() -> None:
    """A single bin is capped at 1 % of the corridor and spread over the kernel: nothing twice the usual for 9 bp."""
    assert found({300: 500}) == []
    assert found(block(300, 304, 500)) == []


def test_a_band_is_nine_basis_points_wide() -> None:
    """Eighty bins are too few at 9 bp and enough at 8 bp."""
    narrow = block(300, 380, 6)
    assert found(narrow) == []
    assert len(found(narrow, rules=replace(RULES, band_bp=8.0))) == 1


def test_few_heavy_bins_spread_wide_are_no_band() -> None:
    """Four walls 25 bins apart reach twice the usual for 9 bp, but spread like fewer than five bins of one size."""
    few = {300 + 25 * i: 1000.0 for i in range(4)}
    many = {300 + 12 * i: 1000.0 for i in range(9)}
    loose = replace(RULES, band_cap=0.05)
    assert found(few, rules=loose) == []
    (wide,) = found(few, rules=replace(loose, band_effective=1.0))
    assert wide.effective < 5
    (band,) = found(many, rules=loose)
    assert band.effective > 5


def test_the_plateau_at_the_touch_is_no_band() -> None:
    """At 1.3 times the usual a stretch that is dense from the touch on is near depth, one from 4.5 bp on is a band."""
    low = replace(RULES, band_ratio=1.3)
    assert found(block(0, 110, 12), rules=low) == []
    (band,) = found(block(45, 155, 12), rules=low)
    assert band.near_bp > 2


def test_near_the_mid_a_side_of_its_own_cannot_be_twice_the_mean_of_both() -> None:
    """
    A stretch that fills an octave of distance is at most twice the mean of it and of what lies opposite, so the rule
    of two finds no band in the narrow octaves at the mid: however dense, it is reported as near depth alone.
    """
    assert found(block(20, 160, 1000)) == []


def test_a_band_ends_a_half_width_inside_the_reach() -> None:
    """A stretch that runs to the last bin seen is none; with 60 usual bins behind it, it is one."""
    assert found(block(500, 600, 8), bins=600) == []
    assert len(found(block(500, 600, 8), bins=660)) == 1


def test_density_that_distance_explains_is_no_band() -> None:
    """Both sides dense at one distance alike are the usual there; on one side alone it is a band."""
    bins = range(1000)
    quantity = [8 if 320 <= i < 640 else 1 for i in bins]
    book = a_snapshot([(99_999.5 - i, quantity[i]) for i in bins], [(100_000.5 + i, quantity[i]) for i in bins])
    assert bands(both(book), RULES) == {"bid": [], "ask": []}
    assert len(found(block(320, 440, 8))) == 1


def test_both_kinds_of_nothing() -> None:
    """An even book has no band, and neither has one of a single level a side."""
    assert found({}) == []
    assert found({}, bins=1) == []
