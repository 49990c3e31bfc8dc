"""Numbers of a text are found as a reader finds them, and weighed against what was shown, exactly."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.firewall.grounding import Grounding, ground, numbers_in
from market.fixed_point import format_e8

SHOWN = json.dumps(
    {
        "mid": "83412.505", "reference": "83412.5", "as_of": "2026-03-02T14:05:00Z", "id": "P1440", "share": 0.0426,
        "walls": [{"id": "Wb0", "bin": "83000", "quantity": "12.34567", "distance_bp": -49.46}],
        "value_area": ["82900", "83650"], "counts": [15, 250], "sigma": 4.1e-04, "half": 0.25,
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("the wall at 83412.50", ["83412.50"]),
        ("83,412.50 and 1,234,567", ["83,412.50", "1,234,567"]),
        ("支撑位于83450附近，阻力83650。", ["83450", "83650"]),
        ("８３４５０．５", ["83450.5"]),
        ("٨٣٤٥٠", ["83450"]),
        ("约8.34万，或83k", ["8.34万", "83k"]),
        ("share 4.26% of 250", ["4.26%", "250"]),
        ("15 bp, 2.5σ, 20x, 30次", ["15 bp", "2.5σ", "20x", "30次"]),
        ("8.3e4 and 1E+5", ["8.3e4", "1E+5"]),
        ("-49.46 and .5", ["49.46", ".5"]),
        ("83000-83010 or 83000~83010", ["83000", "83010", "83000", "83010"]),
        ("BTC83450, $83450", ["83450", "83450"]),
        ("13 but 12", ["13"]),
        ("3次, 5 of 12, 0", []),
        ("5.0 and 5% and 12k", ["5.0", "5%", "12k"]),
        ("Wb0, P60.poc, P1440.hvn12, T1/Z0, E5.", []),
        ("W83450 is no id", ["83450"]),
        ("P83450 neither", ["83450"]),
        ("at 14:05, 08:11:13 and 2026-03-02T14:05:00Z or 2026-03-02", []),
        ("60 min, 60分钟, 24小时, 90s, 1440 minutes, 30天", []),
        ("83450min is no time", ["83450min"]),
        ("25:61", ["25", "61"]),
        ("", []),
    ],
)
def test_numbers_are_found(text: str, numbers: list[str]) -> None:
    """As written; ids, times, spans of time and whole numbers up to twelve do not count."""
    assert [n.text for n in numbers_in(text)] == numbers


@pytest.mark.parametrize(
    ("text", "ungrounded"),
    [
        ("83412.5 83412.50 83,412.505", ()),
        ("83412.51", ()),  # the mid 83412.505, rounded up
        ("83412.52", ("83412.52",)),
        ("83413 and 83412", ()),
        ("83414", ("83414",)),
        ("8.34万 and 83.4k", ()),
        ("8.35万", ("8.35万",)),
        ("4.26% 4.3% 4%", ()),
        ("4.2%", ("4.2%",)),
        ("49.46 bp, 49.5 bp, 49 bp", ()),
        ("50 bp", ("50 bp",)),
        ("12.35 base, 12.3457", ()),
        ("12.346 then 12.345", ("12.345",)),
        ("1440", ("1440",)),
        ("82,900", ()),
        ("83000,83650", ()),
        ("250,15", ()),
        ("250,150", ("250,150",)),
        ("0.00041", ()),
        ("0.3 and 0.2", ()),  # a quarter rounds to either
        ("2026-03-02 14:05", ()),
    ],
)
def test_a_number_is_grounded_exactly_or_rounded(text: str, ungrounded: tuple[str, ...]) -> None:
    """Against figures as they are shown: exact, or rounded to the decimals written, thousands and percent undone."""
    assert ground(text, SHOWN).ungrounded == ungrounded


def test_what_is_found_is_counted() -> None:
    """Three numbers, one of them nobody's."""
    assert ground("buy 83000 to 83650, stop 82,111.5, 3 tests at 14:05", SHOWN) == Grounding(3, ("82,111.5",))
    assert ground("nothing to count", "") == Grounding(0, ())
    assert ground("83000", "") == Grounding(1, ("83000",))


def test_a_long_text_is_read_to_a_limit() -> None:
    """Of ten million characters only the first 16,384 are read: a number after them is not seen."""
    assert ground("99 " * 3_000_000 + "77", "99") == Grounding(5_461, ())


@given(st.integers(13 * 10**8, 10**15), st.integers(0, 8))
def test_a_shown_price_is_grounded_however_it_is_cut(price_e8: int, decimals: int) -> None:
    """Written to any number of decimals, with and without thousands separators."""
    material = Decimal(price_e8) / 10**8
    for text in (f"{material:.{decimals}f}", f"{material:,.{decimals}f}"):
        assert ground(f"at {text} twice", json.dumps([format_e8(price_e8)])).ungrounded == ()


@given(st.integers(13 * 10**8, 10**15), st.integers(1, 10**9))
def test_another_price_is_not(price_e8: int, away: int) -> None:
    """In full, a price that differs in any digit is not the one shown."""
    other = format_e8(price_e8 + away)
    decimal_text = other if "." in other else f"{other}.00000000"
    integer = f"{decimal_text:0<{decimal_text.index('.') + 9}}"
    assert ground(f"at {integer}", json.dumps([format_e8(price_e8)])).ungrounded == (integer,)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_can_be_weighed(text: str, material: str) -> None:
    """Nothing raises, no more is missing than was found, and a text is grounded in itself."""
    numbers = ground(text, material)
    assert len(numbers.ungrounded) <= numbers.count
    assert ground(text, text).ungrounded == ()
