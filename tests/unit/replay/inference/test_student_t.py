"""Student's t against printed tables and other programs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.inference.student_t import critical_t, detectable_shift, power_of_t, two_sided_p


@pytest.mark.parametrize(
    ("p", "degrees", "printed"),
    [
        (0.05, 1, 12.706), (0.05, 2, 4.303), (0.05, 5, 2.571), (0.05, 10, 2.228), (0.05, 20, 2.086),
        (0.05, 30, 2.042), (0.05, 60, 2.000), (0.05, 120, 1.980), (0.01, 1, 63.657), (0.01, 20, 2.845),
        (0.01, 120, 2.617), (0.2, 10, 1.372), (0.001, 30, 3.646),
    ],
)  # fmt: skip
def test_the_printed_table(p: float, degrees: int, printed: float) -> None:
    """Critical values as every textbook has them, to three decimals."""
    assert round(critical_t(p, degrees), 3) == printed


@pytest.mark.parametrize(("t", "p"), [(0.0, 1.0), (1.0, 0.5), (-1.0, 0.5), (3**0.5, 1 / 3)])
def test_one_degree_is_cauchy(t: float, p: float) -> None:
    """P(|T| ≥ t) = 1 − 2·atan(t)/π."""
    assert two_sided_p(t, 1) == pytest.approx(p, abs=1e-12)


@given(t=st.floats(0, 50))
def test_two_degrees_have_a_closed_form(t: float) -> None:
    """P(|T| ≥ t) = 1 − t/√(2 + t²)."""
    assert two_sided_p(t, 2) == pytest.approx(1 - t / (2 + t * t) ** 0.5, abs=1e-12)


@given(p=st.floats(1e-6, 0.999), degrees=st.integers(1, 400))
def test_the_critical_value_has_its_p(p: float, degrees: int) -> None:
    """One undoes the other."""
    assert two_sided_p(critical_t(p, degrees), degrees) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize(
    ("shift", "degrees", "printed"),
    [
        (10**0.5, 38, 0.8689528),  # R, power.t.test(n = 20, delta = 1), which leaves out the other tail
        (0.5 * 34**0.5, 33, 0.8077775),  # G*Power, one sample, d = 0.5, n = 34
        (0.0, 20, 0.05),
    ],
)
def test_power_as_other_programs_print_it(shift: float, degrees: int, printed: float) -> None:
    """The noncentral t at 5 %, to six decimals, for an effect either way."""
    assert power_of_t(shift, degrees, 0.05) == pytest.approx(printed, abs=3e-7)
    assert power_of_t(-shift, degrees, 0.05) == pytest.approx(printed, abs=3e-7)


@pytest.mark.parametrize("degrees", [20, 60, 200])
def test_what_is_found_with_a_given_power(degrees: int) -> None:
    """One undoes the other; more degrees need less."""
    shift = detectable_shift(0.8, degrees, 0.05)
    assert power_of_t(shift, degrees, 0.05) == pytest.approx(0.8, abs=1e-9)
    assert 2.80 < shift < 2.95
    assert shift > detectable_shift(0.8, 2 * degrees, 0.05)
