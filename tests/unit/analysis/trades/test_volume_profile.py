"""Point of control, value area and nodes, against the published vector and plain searches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis.trades.volume_profile import (
    Rows,
    build_rows,
    find_control_point,
    find_nodes,
    find_value_area,
    smooth_totals,
)
from market.arrays import I64

VECTOR = {100: 5, 101: 12, 102: 30, 103: 20, 104: 15, 105: 10, 106: 5, 107: 3}
"""docs/measures.md §3."""

profiles = hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 12))
traded = profiles.filter(lambda totals: totals.sum() > 0)


def rows(totals: list[int] | I64, low: int = 0, width: int = 1) -> Rows:
    return Rows(low, width, np.asarray(totals, np.int64))


def test_the_published_vector_by_two_rows() -> None:
    """POC 102, value area [100, 104], 82 % of volume."""
    result = build_rows(np.array(list(VECTOR)), np.array(list(VECTOR.values())), 1)
    control = find_control_point(result, 10)
    area = find_value_area(result.total_e8, control.row, 0.70)
    assert result.price_e8(control.row) == 102
    assert (result.price_e8(area.low), result.price_e8(area.high), area.share) == (100, 104, 0.82)


def test_the_published_vector_by_one_row() -> None:
    """The one-row rule gives [101, 104] and 77 %."""
    area = find_value_area(np.array(list(VECTOR.values())), 2, 0.70, step=1)
    assert (100 + area.low, 100 + area.high, area.share) == (101, 104, 0.77)


def test_levels_gather_into_rows_with_the_gaps() -> None:
    """A row holds its levels' sum; a row nobody traded in is there and holds nothing."""
    result = build_rows(np.array([17, 19, 21, 48]), np.array([1, 2, 4, 8]), 10)
    assert (result.low_e8, result.total_e8.tolist()) == (10, [3, 4, 0, 8])
    assert [result.price_e8(i) for i in range(4)] == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        ([9, 1, 9, 1, 1], 2),  # the centre itself
        ([9, 1, 1, 9, 1], 3),  # row 3 is one off the centre, row 0 two
        ([1, 9, 1, 9, 1], 1),  # equally near: the lower
        ([9, 9], 0),
        ([4], 0),
        ([0, 0, 0], 1),
    ],
)
def test_ties_go_to_the_centre_then_down(totals: list[int], expected: int) -> None:
    """Of equal rows the nearest to the profile's centre is the POC, and of those the lower."""
    assert find_control_point(rows(totals), 10).row == expected


def test_a_rival_lies_beyond_the_exclusion() -> None:
    """Rows as near as the exclusion are no rivals; the best further one is, with its part of the POC's volume."""
    result = find_control_point(rows([1, 19, 2, 20, 18, 3, 17], width=5), 10)
    assert (result.row, result.rival_row, result.rival) == (3, 6, 0.85)
    assert find_control_point(rows([19, 20, 18], width=5), 10).rival_row is None
    assert find_control_point(rows([19, 20, 18], width=5), 10).rival == 0.0


def test_upper_pair_wins_a_tie() -> None:
    """With equal pairs on both sides the area grows upwards."""
    area = find_value_area(np.array([5, 5, 20, 5, 5]), 2, 0.70)
    assert (area.low, area.high, area.share) == (2, 4, 0.75)


def test_growth_at_the_edges() -> None:
    """At the top of the profile the area grows downwards only, at the bottom upwards only."""
    top = find_value_area(np.array([1, 1, 1, 1, 6]), 4, 0.9)
    assert (top.low, top.high) == (0, 4)
    bottom = find_value_area(np.array([6, 1, 1, 1, 1]), 0, 0.7)
    assert (bottom.low, bottom.high, bottom.share) == (0, 2, 0.8)


@settings(max_examples=200, deadline=None)
@given(traded, st.sampled_from([1, 2]), st.floats(0.05, 1.0))
def test_a_value_area_holds_its_share(totals: I64, step: int, share: float) -> None:
    """It contains its start, holds at least its share, and says how much."""
    start = find_control_point(rows(totals), 3).row
    area = find_value_area(totals, start, share, step)
    volume = int(totals[area.low : area.high + 1].sum())
    assert 0 <= area.low <= start <= area.high < len(totals)
    assert volume >= share * int(totals.sum())
    assert area.share == round(volume / int(totals.sum()), 4)


def triangle(half_width: int) -> I64:
    return np.concatenate((np.arange(1, half_width + 1), np.arange(half_width - 1, 0, -1)))


@settings(max_examples=200, deadline=None)
@given(profiles, st.integers(1, 12))
def test_smooth_is_a_convolution_with_the_triangle(totals: I64, half_width: int) -> None:
    """Two running boxes give exactly numpy's convolution, cut to the profile."""
    full = np.convolve(totals, triangle(half_width))
    assert smooth_totals(totals, half_width).tolist() == full[half_width - 1 : half_width - 1 + len(totals)].tolist()


def test_smooth_scales_down_what_would_not_fit() -> None:
    """Quantities near 2^62 keep their shape instead of wrapping."""
    result = smooth_totals(np.array([0, 2**61, 2**62 - 1, 2**61, 0], np.int64), 50)
    assert (result > 0).all()
    assert result[2] == result.max()
    assert result.tolist() == result[::-1].tolist()


def naive_peaks(values: list[int]) -> dict[int, int]:
    """Topographic prominence by its definition: the drop to the higher of the two lowest saddles."""
    result = {}
    for start in range(1, len(values) - 1):
        right = start
        while right + 1 < len(values) and values[right + 1] == values[start]:
            right += 1
        if values[start - 1] >= values[start] or right == len(values) - 1 or values[right + 1] >= values[start]:
            continue
        lows = []
        for side in (values[:start][::-1], values[right + 1 :]):
            basin = [values[start]]
            for value in side:
                if value > values[start]:
                    break
                basin.append(value)
            lows.append(min(basin))
        result[(start + right) // 2] = values[start] - max(lows)
    return result


@settings(max_examples=300, deadline=None)
@given(profiles, st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.4]))
def test_nodes_are_the_prominent_extrema(totals: I64, half_width: int, least: float) -> None:
    """HVNs and LVNs are the peaks and dips that a plain search finds, with the same prominence."""
    smooth = np.convolve(totals, triangle(half_width))[half_width - 1 : half_width - 1 + len(totals)]
    top = int(smooth.max())
    high, low = find_nodes(totals, half_width, least)
    for result, values in ((high, smooth), (low, -smooth)):
        expected = {b: p for b, p in naive_peaks(values.tolist()).items() if p >= least * top and p > 0}
        assert result.bins.tolist() == sorted(expected)
        assert result.prominence.tolist() == [float(np.round(expected[b] / top, 4)) for b in sorted(expected)]


def test_an_empty_profile_has_no_nodes() -> None:
    """Nothing, one bin or equal bins give neither peaks nor dips."""
    for totals in ([], [7], [7, 7, 7], [0, 0]):
        high, low = find_nodes(np.array(totals, np.int64), 1, 0.1)
        assert len(high.bins) == len(low.bins) == 0
