"""Exact numbers against another library's arithmetic."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import BadNumber
from market.fixed_point import LARGEST_E8, format_e8, parse_column, parse_e8

LAW = settings(deadline=None, max_examples=200)
COUNTS = st.integers(1, LARGEST_E8)


@LAW
@given(value=COUNTS, decimals=st.integers(0, 8))
def test_writing_and_reading_is_the_same_number(value: int, decimals: int) -> None:
    """And it is the number that decimal.Decimal reads."""
    text = format_e8(value, decimals)
    assert Decimal(text) * 10**decimals == value
    assert "E" not in text
    assert parse_e8(text, decimals=decimals) == value


@LAW
@given(whole=st.integers(0, 10**9), fraction=st.text("0123456789", min_size=1, max_size=8))
def test_a_text_is_what_decimal_says(whole: int, fraction: str) -> None:
    """With leading and trailing zeros as the venue writes them."""
    text = f"{whole:03d}.{fraction}"
    assert parse_e8(text, allow_zero=True) == int(Decimal(text) * 10**8)


@LAW
@given(text=st.text(max_size=24) | st.text("0123456789.-+eE", max_size=24))
def test_any_text_is_exact_or_refused(text: str) -> None:
    """Never rounded, never a crash."""
    try:
        value = parse_e8(text, allow_zero=True)
    except BadNumber:
        return
    assert Decimal(text) * 10**8 == value


@LAW
@given(values=st.lists(COUNTS, max_size=30))
def test_a_column_is_its_texts(values: list[int]) -> None:
    """One by one or all at once."""
    texts = [format_e8(v) for v in values]
    assert parse_column(texts).tolist() == values == [parse_e8(t) for t in texts]
