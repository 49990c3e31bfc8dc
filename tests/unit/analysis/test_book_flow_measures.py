"""Scores, fusion, divergence and lines, each by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.flow.flow_grid import build_grid
from analysis.flow.flow_measures import (
    Divergence,
    FlowR2,
    FusedScore,
    Label,
    LineFit,
    compare_position,
    divergence,
    divergence_strength,
    fit_line,
    fuse_scores,
    measure_r2,
    moving_average,
    sum_by_interval,
    to_sigma,
    z_of_sum,
    z_score,
    z_scores,
)
from market.errors import SumOverflow
from market.timestamps import SECOND_NS
from projections.flow.book_flow import FlowSeconds


def some_seconds(n: int, rows: dict[int, dict[str, int]]) -> FlowSeconds:
    """A window of n seconds from 0 on, with rows at some of them; a row with updates has a quote."""
    at = sorted(rows)
    columns = ("updates", "unread", "resets", "buy_e8", "sell_e8", "trades", "size_change_x20")
    arrays = {c: np.array([rows[i].get(c, 0) for i in at], np.int64) for c in columns}
    quotes = {c: np.array([rows[i].get(c, 0) for i in at], np.int64) for c in ("bid_e8", "ask_e8")}
    sizes = {c: np.array([rows[i].get(c, 1) for i in at], np.int64) for c in ("bid_quantity_e8", "ask_quantity_e8")}
    ofi = np.zeros((len(at), 5), np.int64)
    ofi[:, 0] = [rows[i].get("ofi", 0) for i in at]
    return FlowSeconds(
        start_ns=0,
        end_ns=n * SECOND_NS,
        second_ns=np.array(at, np.int64) * SECOND_NS,
        ofi_e8=ofi,
        last_update_id=np.array([i if rows[i].get("updates") else -1 for i in at], np.int64),
        **arrays,
        **quotes,
        **sizes,
    )


def test_a_z_score_is_in_standard_deviations_of_the_whole() -> None:
    """1 to 5 have mean 3 and variance 2."""
    values = np.array([1, 2, 3, 4, 5])
    assert z_score(values, 5, 5, 10.0) == 1.4142
    assert z_score(values, 3, 5, 10.0) == 0.0
    assert z_score(values, 100, 5, 10.0) == 10.0
    assert z_score(values, -100, 5, 10.0) == -10.0


def test_too_few_or_equal_values_have_no_z_score() -> None:
    """None, never a division by zero."""
    assert z_score(np.array([1, 2, 3]), 3, 4, 10.0) is None
    assert z_score(np.array([7, 7, 7, 7]), 7, 4, 10.0) is None
    assert z_score(np.array([], np.int64), 7, 0, 10.0) is None


@settings(deadline=None)
@given(st.lists(st.integers(-(2**55), 2**55) | st.integers(0, 2), min_size=1, max_size=400), st.data())
def test_scores_of_many_are_the_scores_of_each(values: list[int], data: st.DataObject) -> None:
    """To the bit, whatever the span: those with too few or equal values before them have none."""
    column = np.array(values, np.int64)
    span, least = data.draw(st.integers(1, len(values))), data.draw(st.integers(0, 12))
    spans = [column[end - span : end] for end in range(span, len(values) + 1)]
    assert z_scores(column, span, least, 10.0) == [z_score(item, int(item[-1]), least, 10.0) for item in spans]


def test_a_sum_is_held_against_the_sum_of_as_many_independent_intervals() -> None:
    """Mean 1 and deviation 1: four of them make 4, give or take 2."""
    values = np.array([0, 2] * 5)
    assert z_of_sum(values, 8, 4, 10, 10.0) == 2.0
    assert z_of_sum(values, 4, 4, 10, 10.0) == 0.0
    assert z_of_sum(values, -1000, 4, 10, 10.0) == -10.0


@pytest.mark.parametrize(
    ("ofi_z", "cvd_z", "expected"),
    [
        (3.0, 2.5, FusedScore(2.8, 0.8333, True)),
        (-3.0, -2.5, FusedScore(-2.8, 0.8333, True)),
        (4.0, 2.0, FusedScore(3.2, 0.5, False)),  # far apart
        (2.5, 2.5, FusedScore(2.5, 1.0, False)),  # not above
        (10.0, -1.0, FusedScore(5.6, 0.0, False)),  # against each other
        (5.0, 0.0, FusedScore(3.0, 0.0, False)),
        (0.0, 0.0, FusedScore(0.0, 0.0, False)),
    ],
)
def test_fusion(ofi_z: float, cvd_z: float, expected: FusedScore) -> None:
    """0.6 and 0.4, strong beyond 2.5 and 0.7."""
    assert fuse_scores(ofi_z, cvd_z, (0.6, 0.4), 2.5, 0.7) == expected


@pytest.mark.parametrize(
    ("trend", "ofi_z", "cvd_z", "expected"),
    [
        (-1.0, 1.1, 0.6, "bullish"),
        (-1.0, 1.0, 0.6, "none"),
        (-1.0, 1.1, 0.5, "none"),
        (0.0, 1.1, 0.6, "none"),
        (1.0, -1.1, -0.6, "bearish"),
        (1.0, 1.1, 0.6, "none"),
        (1.0, 2.1, -1.1, "inconsistent"),
        (-1.0, -2.1, 1.1, "inconsistent"),
        (0.0, 2.0, -1.1, "none"),
        (0.0, 2.1, -1.0, "none"),
        (0.0, 2.1, 1.1, "none"),
    ],
)
def test_divergence(trend: float, ofi_z: float, cvd_z: float, expected: str) -> None:
    """Flow against price, or OFI against CVD; all thresholds must be passed."""
    assert divergence(trend, ofi_z, cvd_z, (1.0, 0.5), (2.0, 1.0)) == expected


@pytest.mark.parametrize(
    ("ofi_z", "cvd_z", "expected"),
    [
        (3.0, 2.5, "strong_buy"),
        (-3.0, -2.5, "strong_sell"),
        (4.0, 2.0, "neutral"),  # consistency 0.5
        (2.5, 2.5, "neutral"),  # 2.5 is not above 2.5
        (10.0, -1.0, "neutral"),
        (0.0, 0.0, "neutral"),
    ],
)
def test_a_fusion_has_one_of_three_labels(ofi_z: float, cvd_z: float, expected: Label) -> None:
    """Strong and positive, strong and negative, or neither."""
    assert fuse_scores(ofi_z, cvd_z, (0.6, 0.4), 2.5, 0.7).label == expected


WEIGHTS, FULL = (0.6, 0.4), (2.0, 2.5)


@pytest.mark.parametrize(
    ("kind", "trend", "ofi_z", "cvd_z", "expected"),
    [
        ("bullish", -1.5, 1.5, 0.75, 0.6),  # √(0.75 · 0.48)
        ("bearish", 1.5, -1.5, -0.75, 0.6),
        ("bullish", -2.0, 2.5, 2.5, 1.0),
        ("bullish", -9.0, 9.0, 9.0, 1.0),
        ("bullish", 0.0, 9.0, 9.0, 0.0),  # a trend too small to be seen in four decimals
        ("inconsistent", 1.0, 2.5, -1.25, 0.8),  # (1.5 + 0.5) / 2.5; the trend has no part in it
        ("inconsistent", 0.0, -2.5, 1.25, 0.8),
        ("inconsistent", 0.0, 4.0, -1.5, 1.0),
        ("none", -2.0, 0.9, 0.9, None),
    ],
)
def test_how_far_price_and_flow_disagree(
    kind: Divergence, trend: float, ofi_z: float, cvd_z: float, expected: float | None
) -> None:
    """By hand; nothing where they do not."""
    assert divergence_strength(kind, trend, ofi_z, cvd_z, WEIGHTS, FULL) == expected


@given(
    st.sampled_from(["bullish", "bearish", "inconsistent"]),
    st.tuples(*[st.floats(0, 10)] * 3),
    st.tuples(*[st.floats(0, 10)] * 3),
)
def test_a_strength_never_falls_as_an_input_grows(
    kind: Divergence, sizes: tuple[float, float, float], more: tuple[float, float, float]
) -> None:
    """From 0 to 1, in trend and both flows, whatever their signs."""
    one = divergence_strength(kind, *sizes, WEIGHTS, FULL)
    other = divergence_strength(kind, *(-a - b for a, b in zip(sizes, more, strict=True)), WEIGHTS, FULL)
    assert one is not None
    assert other is not None
    assert 0 <= one <= other <= 1


def test_a_change_in_the_deviation_of_as_many_small_ones() -> None:
    """Steps of ±2 and σ √4 times 2; not below the least; no mean is taken off; bounded."""
    steps = np.array([2, -2, 2, -2, 2])
    assert to_sigma(6, steps, 4, 1, 10.0) == 1.5
    assert to_sigma(-6, steps, 4, 8, 10.0) == -0.75
    assert to_sigma(-8, np.full(5, -2), 4, 1, 10.0) == -2.0
    assert to_sigma(1000, steps, 4, 1, 10.0) == 10.0
    assert to_sigma(0, np.zeros(5, np.int64), 4, 1, 10.0) == 0.0
    assert to_sigma(2**62, np.array([2**62, -(2**62)]), 4, 1, 10.0) == 0.5


def test_a_moving_average_as_published() -> None:
    """The first values of an example in the pandas guide to `ewm` (alpha 2/3, adjust=False); and weights of 0.2."""
    assert [round(v, 6) for v in moving_average(np.array([0, 1, 2]), 2)] == [0.0, 0.666667, 1.555556]
    assert moving_average(np.array([10, 20, 20]), 9).tolist() == pytest.approx([10.0, 12.0, 13.6])
    assert moving_average(np.array([], np.int64), 9).tolist() == []


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=50), st.integers(1, 400))
def test_a_moving_average_stays_among_its_values_and_mirrors(values: list[int], span: int) -> None:
    """Never outside what was seen, exactly the other way round for the opposite values, itself where all are equal."""
    column = np.array(values, np.int64)
    means = moving_average(column, span).tolist()
    slack = 1e-9 * max(map(abs, values))
    assert all(min(values) - slack <= item <= max(values) + slack for item in means)
    assert moving_average(-column, span).tolist() == [-item for item in means]
    assert moving_average(np.full(9, values[0]), span).tolist() == [float(values[0])] * 9


def test_where_a_quantity_lies_from_another() -> None:
    """Half a count apart is no difference."""
    assert [compare_position(3.0, other) for other in (2.4, 2.6, 3.0, 3.4, 3.6)] == ["above", "at", "at", "at", "below"]


def test_a_line_through_points() -> None:
    """Slope 3/5 and R² 9/25, by hand."""
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 1.0, 4.0, 3.0])
    assert fit_line(x, y) == LineFit(0.6, 0.36, 4)
    assert fit_line(x, 7.0 - 2 * x) == LineFit(-2.0, 1.0, 4)
    assert fit_line(x, np.ones(4)) == LineFit(None, None, 4)
    assert fit_line(np.ones(4), y) == LineFit(None, None, 4)
    assert fit_line(x[:2], y[:2]) == LineFit(None, None, 2)


def test_flow_and_mid_by_interval() -> None:
    """Sums of three seconds; the mid from the end of one interval to the end of the next; gaps are marked."""
    flow, mid_x2 = np.arange(10), np.array([2, 4, 6, 8, 8, 20, 20, 20, 26, 99])
    complete = np.ones(10, np.bool_)
    complete[[0, 7]] = False
    sums, changes, is_complete = sum_by_interval(flow, mid_x2, complete, 3)
    assert sums.tolist() == [3.0, 12.0, 21.0]
    assert changes[1:].tolist() == [7.0, 3.0]
    assert is_complete.tolist() == [False, True, False]


def test_what_a_flow_explains_now_and_next() -> None:
    """A mid that follows its flow in the same second; and one that follows it a second later."""
    flow = np.array([0, 3, -1, 4, -1, -5, 9, 2, -6])
    complete = np.arange(9) > 0
    at_once = measure_r2(flow, 2 * np.cumsum(flow), complete, 1)
    assert (at_once.r2_same, at_once.intervals) == (1.0, 8)
    later = measure_r2(flow, 2 * np.cumsum(np.concatenate(([0], flow[:-1]))), complete, 1)
    assert later.r2_next == 1.0
    assert later.r2_same is not None
    assert later.r2_same < 0.5
    assert measure_r2(flow, np.full(9, 7), complete, 1) == FlowR2(None, None, 8)
    assert measure_r2(flow, np.full(9, 7), complete, 20) == FlowR2(None, None, 0)


def test_a_quote_lasts_until_the_next_one() -> None:
    """Silence keeps it; what stands in the window's first second was not seen to change."""
    quote = {"updates": 1, "bid_e8": 99, "ask_e8": 101}
    grid = build_grid(some_seconds(6, {1: quote, 4: {**quote, "bid_e8": 100}, 5: {"buy_e8": 3, "trades": 1}}))
    assert grid.quoted.tolist() == [False, True, True, True, True, True]
    assert grid.complete.tolist() == [False, False, True, True, True, True]
    assert grid.mid_x2[1:].tolist() == [200, 200, 200, 201, 201]
    assert (grid.first, grid.signed_e8.tolist()) == (1, [0, 0, 0, 0, 0, 3])


def test_nothing_is_known_in_a_hole_and_in_the_silence_before_it() -> None:
    """The stream was down from the last update heard to the one that did not follow."""
    quote = {"updates": 1, "bid_e8": 99, "ask_e8": 101}
    rows = {0: quote, 1: quote, 4: {"unread": 1, "resets": 1}, 6: {"unread": 2}, 7: quote, 8: quote}
    grid = build_grid(some_seconds(9, rows))
    assert grid.quoted.tolist() == [True, True, False, False, False, False, False, True, True]
    assert grid.complete.tolist() == [False, True, False, False, False, False, False, False, True]


def test_a_window_whose_sums_do_not_fit_is_an_error() -> None:
    """Each second fits, all together do not."""
    row = {"buy_e8": 2**61, "sell_e8": 2**61}
    assert build_grid(some_seconds(9, {1: row})).volume_e8[1] == 2**62
    with pytest.raises(SumOverflow):
        build_grid(some_seconds(9, {1: row, 2: row}))
    with pytest.raises(SumOverflow):
        build_grid(some_seconds(9, {1: {"updates": 1, "ofi": -(2**62)}, 2: {"updates": 1, "ofi": 2**62}}))


def test_how_long_the_book_was_silent() -> None:
    """Whole seconds after the last update."""
    quote = {"updates": 1, "bid_e8": 99, "ask_e8": 101}
    assert build_grid(some_seconds(9, {3: quote})).silent_s == 5
    assert build_grid(some_seconds(9, {8: quote})).silent_s == 0
    assert build_grid(some_seconds(9, {8: {"buy_e8": 1}})).silent_s == 9
