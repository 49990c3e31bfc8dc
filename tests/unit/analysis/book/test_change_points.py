"""Change points from marks: what speaks for lying inside, and the stretch that it outlines."""

from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.book.change_points import find_stretch, likelihood_ratios, mark_sixths


def test_evidence_by_hand() -> None:
    """
    Three of four bins inside are marked and one of six outside: with one added to every count a mark speaks by
    log(4/6 : 2/8) for inside, none by log(2/6 : 6/8) against it.
    """
    marks = np.array([[1, 1, 1, 0, 1, 0, 0, 0, 0, 0]])
    values = likelihood_ratios(marks, 2, np.arange(10) < 4)
    assert values[0] == pytest.approx(log((4 / 6) / (2 / 8)), abs=1e-6)
    assert values[3] == pytest.approx(log((2 / 6) / (6 / 8)), abs=1e-6)
    assert values.tolist() == [values[0]] * 3 + [values[3], values[0]] + [values[3]] * 5


def test_rows_add_up() -> None:
    """The same marks in two books speak twice, by ratios of both books' counts."""
    inside = np.arange(6) < 2
    both = likelihood_ratios(np.array([[1, 1, 0, 0, 0, 0]] * 2), 2, inside)
    assert both[0] == pytest.approx(2 * log((5 / 6) / (1 / 10)), abs=1e-5)


def test_sixths_of_distinct_values() -> None:
    """Twelve values give two of each mark, whatever their order; equal values have equal marks."""
    values = np.array([[12.0, 1, 11, 2, 10, 3, 9, 4, 8, 5, 7, 6]])
    assert mark_sixths(values).tolist() == [[5, 0, 5, 0, 4, 1, 4, 1, 3, 2, 3, 2]]
    assert mark_sixths(np.array([[1.0, 1, 1, 5]])).tolist() == [[4, 4, 4, 5]]


def test_a_named_value_is_a_bound() -> None:
    """Where nearly all values are low, no sixth tells the one above from them; a bound between them does."""
    values = np.array([[0.3] * 20 + [1.0]])
    assert mark_sixths(values)[0].tolist() == [5] * 21
    assert mark_sixths(values, 0.5)[0].tolist() == [5] * 20 + [6]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=12), st.data())
def test_outgrown_adds_up_to_most_of_all_stretches_around_a_place(values: list[int], data: st.DataObject) -> None:
    """No other stretch that includes the place has a larger sum."""
    middle = data.draw(st.integers(0, len(values) - 1))
    start, stop = find_stretch(np.array(values, np.float64), middle)
    sums = [sum(values[a:b]) for a, b in combinations(range(len(values) + 1), 2) if a <= middle < b]
    assert start <= middle < stop
    assert sum(values[start:stop]) == max(sums)
