"""Scores of days on which thresholds were chosen, or probabilities fitted, are called in sample."""

from dataclasses import replace

import pytest

from analysis.fitted import CONFIDENCE_FEATURES, Logistic
from analysis.parameters import CHOSEN_ON
from market.timestamps import HOUR_NS, parse_iso
from replay.notes.in_sample import days_between, in_sample_notes
from tests.market_builders import MARKET, SIGHT

DAY = "2026-03-02"
FIRST_NS, LAST_NS = parse_iso(f"{DAY}T00:01:00Z"), parse_iso(f"{DAY}T01:30:00Z")
NAMED = replace(SIGHT, chosen_on=("2026-03-05", DAY))
SAID = [f"in sample: thresholds were chosen on {DAY}"]


@pytest.mark.parametrize(
    ("shift_h", "said"), [(0, SAID), (23, [f"in sample: thresholds were chosen on {DAY}"]), (24, []), (-2, [])]
)
def test_days_that_settings_name(shift_h: int, said: list[str]) -> None:
    """Named where a tick of the day is scored; the tick at midnight is the last of the day before."""
    shift_ns = shift_h * HOUR_NS
    assert in_sample_notes(NAMED, str(MARKET), FIRST_NS + shift_ns, LAST_NS + shift_ns) == said


def test_days_of_the_shipped_thresholds() -> None:
    """What the project itself looked at is in sample on any market; zones of a file do not depend on it."""
    start_ns = parse_iso(CHOSEN_ON[0])
    said = in_sample_notes(SIGHT, "binance:ETHUSDT", start_ns + HOUR_NS, start_ns + 2 * HOUR_NS)
    assert said == [f"in sample: thresholds were chosen on {CHOSEN_ON[0]}"]
    assert in_sample_notes(SIGHT, "binance:ETHUSDT", start_ns + HOUR_NS, start_ns + 2 * HOUR_NS, True) == []
    assert in_sample_notes(NAMED, str(MARKET), FIRST_NS, LAST_NS, True) == SAID


def test_a_fit_is_named_beside_them() -> None:
    """Both notes; the fit's only where a zone's probability is its."""
    period = (str(MARKET), f"{DAY}T00:00:00Z", f"{DAY}T09:00:00Z")
    fit = Logistic("a test", CONFIDENCE_FEATURES, (0.1, 0.0, 0.0, 0.0), 50, (period,))
    config = replace(NAMED, parameters=replace(NAMED.parameters, confidence=fit))
    assert in_sample_notes(config, str(MARKET), FIRST_NS, LAST_NS) == [
        *SAID,
        f"in sample: base rate was fitted on {MARKET} {DAY}T00:00:00Z to {DAY}T09:00:00Z",
    ]
    assert in_sample_notes(config, str(MARKET), FIRST_NS, LAST_NS, own_zones=True) == SAID


def test_days() -> None:
    """From the first tick's day to the last one's."""
    assert days_between(parse_iso("2024-02-29"), parse_iso("2024-03-02")) == {"2024-02-28", "2024-02-29", "2024-03-01"}
