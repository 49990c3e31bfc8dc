"""VPIN and Kyle's λ, each by hand."""

import numpy as np

from analysis.flow.flow_measures import LineFit
from analysis.flow.toxicity import Vpin, kyle_lambda, vpin


def test_vpin_of_three_buckets() -> None:
    """Buys of 60, 80 and 40 in buckets of 100: (20 + 60 + 20) / 300."""
    buy = np.array([60, 80, 40])
    assert vpin(buy, 100 - buy, 100) == Vpin(0.3333, 3)


def test_a_row_over_the_end_of_a_bucket_is_shared_out() -> None:
    """150 bought, then 50 sold: one bucket all bought, one half and half; the rest is left out."""
    assert vpin(np.array([150, 0, 30]), np.array([0, 50, 0]), 100) == Vpin(0.5, 2)


def test_silent_rows_count_nothing() -> None:
    """Volume is the clock."""
    assert vpin(np.array([0, 60, 0, 80, 40, 0]), np.array([0, 40, 0, 20, 60, 0]), 100) == Vpin(0.3333, 3)


def test_without_a_full_bucket_there_is_no_vpin() -> None:
    """Nor with a bucket of nothing."""
    none = np.array([], np.int64)
    assert vpin(np.array([60]), np.array([39]), 100) == Vpin(None, 0)
    assert vpin(none, none, 100) == Vpin(None, 0)
    assert vpin(none, none, 0) == Vpin(None, 0)


def test_one_sided_volume_is_all_toxic() -> None:
    """And balanced volume is not at all."""
    assert vpin(np.array([0, 0]), np.array([70, 130]), 100) == Vpin(1.0, 2)
    assert vpin(np.array([50, 50]), np.array([50, 50]), 100) == Vpin(0.0, 2)


def test_lambda_is_the_price_of_one_unit() -> None:
    """Three quote up for each two bought, over intervals of two seconds."""
    signed = np.array([0, 0, 4, 2, -1, -3, 2, 0, 5, 5])
    per_interval = np.array([0, 6, -4, 2, 10])
    mid_x2 = np.repeat(2 * 100 + 3 * np.cumsum(per_interval), 2)
    complete = np.arange(10) > 0
    assert kyle_lambda(signed, mid_x2, complete, 2) == LineFit(1.5, 1.0, 4)
    assert kyle_lambda(signed, np.full(10, 200), complete, 2) == LineFit(None, None, 4)
