"""A band holds more than its distance from the mid explains: wide, spread over many bins, away from both ends."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import log, log2

import numpy as np
import pytest

from analysis.book.bands import Band, find_bands
from analysis.book.book_side import SIDES, BookSide, Side, build_book_side
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from projections.book.snapshot_window import Snapshot
from tests.market_builders import a_snapshot, e8

RULES = Parameters()
"""At 100000 in bins of 1: 10 bins are 1 bp, the kernel's half-width is 20 bins, a band at least 90 wide."""


def find_in(asks: Mapping[int, float], bins: int = 1000, usual: float = 1.0, rules: Parameters = RULES) -> list[Band]:
    """The asks' bands of a book of one quantity a bin around 100000, but for some bins of the asks."""
    prices = range(bins)
    book = a_snapshot([(99_999.5 - i, usual) for i in prices], [(100_000.5 + i, asks.get(i, usual)) for i in prices])
    full_bands = find_bands(both(book, rules), rules)
    assert full_bands["bid"] == []
    return full_bands["ask"]


def both(book: Snapshot, rules: Parameters = RULES) -> dict[Side, BookSide]:
    """Both sides in bins of 1."""
    sides = {side: build_book_side(book, side, ONE_E8, rules) for side in SIDES}
    return {side: seen for side, seen in sides.items() if seen is not None}


def block(start: int, stop: int, quantity: float) -> dict[int, float]:
    """Bins of one quantity."""
    return dict.fromkeys(range(start, stop), quantity)


def test_a_band_by_its_figures() -> None:
    """
    A hundred bins of six among ones: its own edges, what it holds, over how many bins it spreads.

    Left out of the baseline it is compared with ones. A bin at d bins outside has (20 − d)(21 − d)/800 of its kernel
    inside, a fifth up to d = 7, so the run has seven ones more at each end. Inside, the part of the kernel that hangs
    out adds up to 1330/400 at each edge: the mean ratio is 6 − 5·2·3.325/100 = 5.6675.
    """
    (band,) = find_in(block(300, 400, 6))
    low, high = (band.low_e8 - e8(100_000)) // ONE_E8, (band.high_e8 - e8(100_000)) // ONE_E8
    assert (low, high) == (300, 400)
    assert band.quantity_e8 == 600 * ONE_E8
    assert band.effective == 100.0
    assert band.ratio == 5.67
    assert (band.near_bp, band.far_bp) == (30.05, 39.95)
    assert band.heavy_bin_e8 == e8(100_300)
    assert band.side == "ask"


def runs(ratio: list[float], least: float) -> list[tuple[int, int]]:
    """Where a ratio is at least so much: stretches [start, stop)."""
    dense_bins = [i for i, r in enumerate(ratio) if r >= least]
    starts = [i for i in dense_bins if i == 0 or ratio[i - 1] < least]
    return [(i, next((j for j in range(i, len(ratio)) if ratio[j] < least), len(ratio))) for i in starts]


def plainly(asks: Mapping[int, float], bins: int = 1000) -> tuple[list[float], list[float]]:
    """
    docs/measures.md §2 written out: capped, smoothed inside the reach, over the mean of both sides by octaves; again
    without the asks' runs of 1.5 times that which are 90 bins wide, away from the touch and inside the corridor.

    Returns:
        For each bin the smoothed ratio, and its capped size.
    """
    line = [asks.get(i, 1.0) for i in range(bins)]
    cap = 0.01 * sum(line[:900])
    cap_sizes = [min(q, cap) for q in line]
    away = [(i + 0.5) / 10 for i in range(bins)]
    smooth = []
    for i in range(bins):
        near = [(20 - abs(i - j), cap_sizes[j]) for j in range(max(0, i - 19), min(bins, i + 20))]
        smooth.append(sum(w * q for w, q in near) / sum(w for w, _ in near))
    left_out: set[int] = set()
    for _ in range(2):
        octaves: dict[int, list[tuple[float, float]]] = {}
        points = [(bp, cap_sizes[i]) for i, bp in enumerate(away) if i not in left_out]
        for bp, q in [*points, *((bp, 1.0) for bp in away)]:
            octaves.setdefault(int(np.floor(log2(bp))), []).append((log2(bp), q))
        centres = [sum(x for x, _ in octaves[o]) / len(octaves[o]) for o in sorted(octaves)]
        density = [sum(q for _, q in octaves[o]) / len(octaves[o]) for o in sorted(octaves)]
        usual = [float(np.interp(log2(bp), centres, density)) for bp in away]
        ratio = [s / u for s, u in zip(smooth, usual, strict=True)]
        wide = [(i, j) for i, j in runs(ratio, 1.5) if j - i >= 90 and away[i] > 2 and j <= 900]
        left_out = {k for i, j in wide for k in range(i, j)}
    return ratio, cap_sizes


def likeliest(sizes: list[float], start: int, stop: int) -> tuple[int, int]:
    """
    The stretch near a run that its bins' sizes, by sixths of all that are near, make likeliest: the sum of log ratios
    of how often each sixth occurs inside the run and outside, one added to each count; again from there until it stays.
    """
    lowest, highest = start - 40, stop + 40
    for _ in range(8):
        first, last = start - 40, stop + 40
        bounds = np.quantile(sizes[first:last], [k / 6 for k in range(1, 6)])
        sixth = {i: sum(b <= sizes[i] for b in bounds) for i in range(first, last)}
        inside = Counter(sixth[i] for i in range(start, stop))
        outside = Counter(sixth[i] for i in range(first, last) if not start <= i < stop)
        speaks = {k: log((inside[k] + 1) / (stop - start + 6) * (80 + 6) / (outside[k] + 1)) for k in range(6)}
        total = np.concatenate(([0.0], np.cumsum([round(speaks[sixth[i]], 6) for i in range(first, last)])))
        sums = {(i, j): total[j - first] - total[i - first] for i in range(first, last) for j in range(i + 1, last + 1)}
        find_in = max(sums, key=lambda run: sums[run])
        start, stop = max(find_in[0], lowest), min(find_in[1], highest)
    return start, stop


@pytest.mark.parametrize(
    "asks",
    [
        block(300, 400, 6) | block(340, 345, 30),
        block(320, 640, 8) | block(400, 403, 40),
        {i: 2.5 + i % 7 for i in range(450, 600)},
    ],
)
def test_a_band_as_plain_python_finds_it(asks: dict[int, float]) -> None:
    """Where the smoothed ratio is two, then the likeliest stretch within two kernels of that."""
    ratio, cap_sizes = plainly(asks)
    ((first, last),) = runs(ratio, 2)
    start, stop = likeliest(cap_sizes, first, last)
    (band,) = find_in(asks)
    assert (band.low_e8, band.high_e8) == (e8(100_000 + start), e8(100_000 + stop))
    assert band.ratio == pytest.approx(np.mean(ratio[start:stop]), abs=0.0051)


def test_a_band_does_not_hide_itself() -> None:
    """
    The octave from 32 to 64 bp on one side, eight times as dense: with it in the mean of both sides nothing there is
    above 8 / 4.5, and only its ends are found, by the octaves beside it. Left out, the whole of it is one band.
    """
    dense = block(320, 640, 8)
    (full_bands,) = find_in(dense)
    assert (full_bands.low_e8, full_bands.high_e8) == (e8(100_320), e8(100_640))
    ends = find_in(dense, rules=replace(RULES, band_hint=1e9))
    assert (len(ends), ends[0].low_e8, ends[1].high_e8) == (2, e8(100_320), e8(100_640))
    assert ends[0].high_e8 < ends[1].low_e8
    assert all(b.ratio < 8 / 3 < full_bands.ratio for b in ends)


def test_only_what_is_as_wide_as_a_band_is_left_out_of_the_mean() -> None:
    """
    A heap of 60 bins in the same octave stays in the mean that a band is compared with, and takes a fifth of its
    figure or more.
    """
    alone, beside = find_in(block(330, 450, 6))[0], find_in(block(330, 450, 6) | block(520, 580, 6))[0]
    assert (alone.low_e8, alone.high_e8) == (beside.low_e8, beside.high_e8)
    assert beside.ratio < 0.8 * alone.ratio


def test_a_wall_is_no_band() -> None:
    """A single bin is capped at 1 % of the corridor and spread over the kernel: nothing twice the usual for 9 bp."""
    assert find_in({300: 500}) == []
    assert find_in(block(300, 304, 500)) == []


def test_a_band_is_nine_basis_points_wide() -> None:
    """
    What stands there must be 90 bins wide at 9 bp, though smoothing shows seven more at each end; at 8 bp, 80 are
    enough.
    """
    assert find_in(block(300, 389, 6)) == []
    assert len(find_in(block(300, 390, 6))) == 1
    assert find_in(block(300, 379, 6), rules=replace(RULES, band_bp=8.0)) == []
    assert len(find_in(block(300, 380, 6), rules=replace(RULES, band_bp=8.0))) == 1


def test_few_heavy_bins_spread_wide_are_no_band() -> None:
    """Four walls 30 bins apart reach twice the usual for 9 bp, but spread like fewer than five bins of one size."""
    few = {300 + 30 * i: 1000.0 for i in range(4)}
    many = {300 + 12 * i: 1000.0 for i in range(9)}
    loose = replace(RULES, band_cap=0.05)
    assert find_in(few, rules=loose) == []
    (wide,) = find_in(few, rules=replace(loose, band_effective=1.0))
    assert wide.effective < 5
    (band,) = find_in(many, rules=loose)
    assert band.effective > 5


def test_the_plateau_at_the_touch_is_no_band() -> None:
    """At 1.3 times the usual a stretch that is dense from the touch on is near depth, one from 4.5 bp on is a band."""
    low = replace(RULES, band_ratio=1.3)
    assert find_in(block(0, 110, 12), rules=low) == []
    (band,) = find_in(block(45, 155, 12), rules=low)
    assert band.near_bp > 2


def test_next_to_the_touch_nothing_is_left_out_of_the_mean() -> None:
    """
    A stretch that fills an octave of distance is at most twice the mean of it and of what lies opposite. From 2 bp on
    smoothing spreads it to the touch, so it stays in that mean and is near depth alone, however dense; from 4.5 bp on
    it is left out, and is a band that was none with it in the mean.
    """
    assert find_in(block(20, 160, 1000)) == []
    (band,) = find_in(block(45, 175, 12))
    assert (band.low_e8, band.high_e8) == (e8(100_045), e8(100_175))
    assert find_in(block(45, 175, 12), rules=replace(RULES, band_hint=1e9)) == []


def test_a_band_ends_a_half_width_inside_the_reach() -> None:
    """A stretch that runs to the last bin seen is none; with 60 usual bins behind it, it is one."""
    assert find_in(block(500, 600, 8), bins=600) == []
    assert len(find_in(block(500, 600, 8), bins=660)) == 1


def test_a_band_lies_inside_the_corridor() -> None:
    """The corridor ends at bin 900, 90 bp: what ends 10 bins before it is a band, what goes on beyond it is none."""
    (band,) = find_in(block(790, 890, 8))
    assert (band.low_e8, band.high_e8) == (e8(100_790), e8(100_890))
    assert find_in(block(790, 920, 8)) == []
    assert find_in(block(910, 1010, 8), bins=1200) == []
    assert len(find_in(block(910, 1010, 8), bins=1200, rules=replace(RULES, corridor_bp=110.0))) == 1


def test_what_is_dense_beyond_the_corridor_stays_in_the_mean() -> None:
    """A stretch across the corridor's end takes from the figure of a band before it, one inside it does not."""
    both_of = block(680, 790, 6) | block(850, 990, 6)
    (band,) = find_in(both_of, bins=1200)
    first, second = find_in(both_of, bins=1200, rules=replace(RULES, corridor_bp=110.0))
    assert [(b.low_e8, b.high_e8) for b in (band, first, second)] == [
        (e8(100_000 + low), e8(100_000 + high)) for low, high in ((680, 790), (680, 790), (850, 990))
    ]
    assert band.ratio < 0.8 * first.ratio


def test_density_that_distance_explains_is_no_band() -> None:
    """Both sides dense at one distance alike are the usual there; on one side alone it is a band."""
    bins = range(1000)
    quantity = [8 if 320 <= i < 640 else 1 for i in bins]
    book = a_snapshot([(99_999.5 - i, quantity[i]) for i in bins], [(100_000.5 + i, quantity[i]) for i in bins])
    assert find_bands(both(book), RULES) == {"bid": [], "ask": []}
    assert len(find_in(block(320, 440, 8))) == 1


def test_both_kinds_of_nothing() -> None:
    """An even book has no band, and neither has one of a single level a side."""
    assert find_in({}) == []
    assert find_in({}, bins=1) == []
