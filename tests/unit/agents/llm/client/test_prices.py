"""What a reply costs: figures of the provider's page, by hand, to the last 1e-12 dollar."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.client.prices import PeakHours, Price, PriceList, usd_e12
from agents.llm.wire.api import Usage
from market.timestamps import MINUTE_NS

PEAK = PeakHours(((60, 240), (360, 600)), frozenset({date(2026, 10, 1)}))
PRICES = PriceList(
    {
        "deepseek-flash": Price.from_usd_per_million(0.003, 0.15, 0.60, 2),
        "deepseek-v4-pro": Price.from_usd_per_million(0.022, 0.66, 1.98, 2),
        "odd": Price.from_usd_per_million(0.0000005, 1, 1, 1.5),
    },
    PEAK,
)
COUNTS = st.integers(0, 10**7)


def at(text: str) -> int:
    """Nanoseconds of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def test_a_million_tokens_of_each_kind_cost_what_the_page_says() -> None:
    """Flash 0.003, 0.15, 0.60; pro 0.022, 0.66, 1.98 dollars, off-peak."""
    night = at("2026-11-20 12:00")
    kinds = [
        Usage(10**6, 10**6, 0, 0),
        Usage(10**6, 0, 10**6, 0),
        Usage(0, 0, 0, 10**6),
    ]
    flash = [PRICES.cost_e12("deepseek-flash", usage, night) for usage in kinds]
    pro = [PRICES.cost_e12("deepseek-v4-pro", usage, night) for usage in kinds]
    assert flash == [3 * 10**9, 150 * 10**9, 600 * 10**9]
    assert pro == [22 * 10**9, 660 * 10**9, 1980 * 10**9]


def test_a_request_of_a_minute_costs_a_seventh_of_a_cent_by_hand() -> None:
    """8,000 cached, 4,000 not, 500 out: 24 + 600 + 300 millionths of a dollar, twice that at peak."""
    usage = Usage(12_000, 8_000, 4_000, 500)
    assert PRICES.cost_e12("deepseek-flash", usage, at("2026-11-20 12:00")) == 924 * 10**6
    assert PRICES.cost_e12("deepseek-flash", usage, at("2026-11-20 03:59")) == 1848 * 10**6


@pytest.mark.parametrize(
    ("moment", "peak"),
    [
        ("2026-11-20 00:59:59", False),  # a Friday
        ("2026-11-20 01:00:00", True),
        ("2026-11-20 03:59:59", True),
        ("2026-11-20 04:00:00", False),
        ("2026-11-20 06:00:00", True),
        ("2026-11-20 10:00:00", False),
        ("2026-11-21 02:00:00", False),  # Saturday
        ("2026-11-22 02:00:00", False),  # Sunday
        ("2026-11-23 02:00:00", True),  # Monday
        ("2026-10-01 02:00:00", False),  # a Thursday, China's national day
        ("2026-10-02 02:00:00", True),  # not in the list
        ("1970-01-01 02:00:00", True),  # a Thursday
    ],
)
def test_peak_hours(moment: str, peak: bool) -> None:
    """Windows from and until, weekdays, holidays."""
    assert PEAK.contains(at(moment)) == peak


def test_fractions_are_rounded_up_never_down() -> None:
    """A price below the smallest count, and a multiplier that leaves a half."""
    assert PRICES.cost_e12("odd", Usage(1, 1, 0, 0), at("2026-11-20 12:00")) == 1
    assert PRICES.cost_e12("odd", Usage(1, 1, 0, 0), at("2026-11-20 02:00")) == 2
    assert usd_e12(0.2) == 200_000_000_000
    assert usd_e12(25) == 25 * 10**12


def test_a_model_without_a_price_has_none() -> None:
    """Not zero."""
    assert not PRICES.has_price("other")
    with pytest.raises(KeyError):
        PRICES.cost_e12("other", Usage(), 0)


@given(COUNTS, COUNTS, COUNTS, st.integers(0, 20_000 * 1440))
def test_cost_is_additive_off_peak_and_never_less_at_peak(hit: int, miss: int, out: int, minute: int) -> None:
    """The parts cost what the whole costs; peak hours double it exactly."""
    total = PRICES.cost_e12("deepseek-flash", Usage(hit + miss, hit, miss, out), minute * MINUTE_NS)
    parts = [Usage(hit, hit, 0, 0), Usage(miss, 0, miss, 0), Usage(0, 0, 0, out)]
    assert total == sum(PRICES.cost_e12("deepseek-flash", part, minute * MINUTE_NS) for part in parts)
    assert total == (hit * 3000 + miss * 150_000 + out * 600_000) * (2 if PEAK.contains(minute * MINUTE_NS) else 1)
