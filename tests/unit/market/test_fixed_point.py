"""Exact numbers: what is read, what is refused, what is summed."""

import numpy as np
import pyarrow as pa
import pytest

from market.errors import BadNumber
from market.fixed_point import (
    LARGEST_E8,
    common_unit,
    decimals_of,
    format_e8,
    parse_column,
    parse_e8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("110000.25", 11_000_025_000_000),
        ("0.00000001", 1),
        ("1", 100_000_000),
        ("007.50", 750_000_000),
        ("46116860184.27387904", LARGEST_E8),
        ("42283.58000000", 4_228_358_000_000),
    ],
)
def test_a_decimal_text_is_its_exact_count(text: str, value: int) -> None:
    """Nothing is rounded, leading and trailing zeros change nothing."""
    assert parse_e8(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("-1", "no sign"),
        ("+1", "no sign"),
        ("1e5", "no exponent"),
        ("NaN", "plain decimal"),
        ("inf", "plain decimal"),
        (" 1", "plain decimal"),
        ("1 ", "plain decimal"),
        ("1_000", "plain decimal"),
        ("1,5", "plain decimal"),
        ("1.2.3", "plain decimal"),
        (".5", "plain decimal"),
        ("5.", "plain decimal"),
        (".", "plain decimal"),
        ("١", "plain decimal"),
        ("0.000000001", "more decimals than the 8"),
        ("1.000000000", "more decimals than the 8"),
        ("92233720368.54775808", "too large"),
        ("9" * 40, "too large"),
        ("0", "is zero"),
        ("0.00", "is zero"),
    ],
)
def test_a_text_that_is_no_exact_positive_decimal_is_refused(text: str, reason: str) -> None:
    """The reason says what is wrong with it."""
    with pytest.raises(BadNumber, match=reason):
        parse_e8(text)


def test_zero_is_read_where_it_means_something() -> None:
    """A deleted book level has quantity zero."""
    assert parse_e8("0.00000000", allow_zero=True) == 0


def test_a_market_may_keep_fewer_decimals() -> None:
    """Coins counted in trillions are counted whole; the venue writes them with zero decimals, which lose nothing."""
    assert parse_e8("46116860414", decimals=0) == 46_116_860_414
    assert parse_e8("12.5", decimals=2) == 1250
    assert parse_e8("123456.00000000", decimals=0) == 123_456
    assert parse_column(["123456.00000000", "7.50", "7.5000"], decimals=2).tolist() == [12_345_600, 750, 750]
    for text in ("1.5", "1.01", "1.000000000"):
        with pytest.raises(BadNumber, match="more decimals than the 0"):
            parse_e8(text, decimals=0)
        with pytest.raises(BadNumber, match="more decimals than the 0"):
            parse_column([text], decimals=0)


def test_a_column_names_the_row_it_refuses() -> None:
    """The first bad row counts, over all chunks of a column."""
    with pytest.raises(BadNumber, match="row 2") as caught:
        parse_column(["1", "2", "x", "y"])
    assert (caught.value.row, caught.value.text) == (2, "x")
    chunks = pa.chunked_array([["1", "2"], ["3", "-4"]])
    with pytest.raises(BadNumber) as caught:
        parse_column(chunks)
    assert caught.value.row == 3
    with pytest.raises(BadNumber, match="missing") as caught:
        parse_column(pa.array(["1", None]))
    assert caught.value.row == 1


def test_a_long_bad_text_is_cut_in_the_message() -> None:
    """A message stays one short line."""
    with pytest.raises(BadNumber) as caught:
        parse_e8("z" * 10_000)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_slices_of_a_column_are_read_from_where_they_start(kind: pa.DataType) -> None:
    """An Arrow slice shares memory with its whole."""
    texts = pa.array(["1", "22", "333", "4444"], kind)
    assert parse_column(texts[1:3]).tolist() == [2_200_000_000, 33_300_000_000]
    assert parse_column(pa.chunked_array([texts[3:], texts[:1]])).tolist() == [444_400_000_000, 100_000_000]


def test_no_texts_are_no_numbers() -> None:
    """An empty column is an empty array of the same type."""
    for empty in ([], pa.chunked_array([], pa.string()), pa.array([], pa.string())):
        values = parse_column(empty)
        assert values.dtype == np.int64
        assert len(values) == 0


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (11_000_025_000_000, 8, "110000.25"),
        (0, 8, "0"),
        (1, 8, "0.00000001"),
        (-150_000_000, 8, "-1.5"),
        (-1, 8, "-0.00000001"),
        (42, 0, "42"),
        (-42, 0, "-42"),
        (1250, 2, "12.5"),
    ],
)
def test_a_count_is_written_as_its_shortest_text(value: int, decimals: int, text: str) -> None:
    """No exponent, no trailing zeros, a sign only below zero."""
    assert format_e8(value, decimals) == text


def test_common_unit_is_the_grid_values_lie_on() -> None:
    """It is their greatest common divisor, and 1 where there is nothing to tell it from."""
    assert common_unit(np.array([4_228_358_000_000, 4_228_359_000_000])) == 1_000_000
    assert common_unit(np.array([0, 0])) == 1
    assert common_unit(np.array([], np.int64)) == 1


@pytest.mark.parametrize(
    ("step", "decimals"), [(100_000_000, 0), (1_000_000, 2), (1, 8), (50_000_000, 1), (25_000_000, 2), (10**9, 0)]
)
def test_the_decimals_a_step_needs(step: int, decimals: int) -> None:
    """A step of 0.01 needs 2, one of 0.25 too, one of 10 none."""
    assert decimals_of(step) == decimals
