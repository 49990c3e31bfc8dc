"""What was fitted offline: one coefficient a feature, and priors that know a rate and nothing else."""

from dataclasses import replace
from math import exp, log

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.fitted import (
    CONFIDENCE,
    CONFIDENCE_FEATURES,
    CONFIDENCE_PRIOR,
    PULL_FEATURES,
    PULL_PRIOR,
    Logistic,
    Resolution,
    confidence_features,
    constant_rate,
    parse,
    pull_features,
)
from analysis.parameters import Parameters
from market.timestamps import parse_iso


def test_features_by_hand() -> None:
    """A wall of 4 % at 40 bp after 9 minutes: logs of 2, 2 and 10, their squares and products, in the order named."""
    size, away, age = log(2), log(2), log(10)
    expected = (1, size, away, age, size * size, away * away, age * age, size * away, away * age, size * age)
    assert pull_features(0.04, -40.0, 9) == pytest.approx(expected, abs=1e-12)
    assert pull_features(0.02, 20.0, 0) == (1.0,) + (0.0,) * 9
    assert confidence_features(0.5, 2, -1.0) == (1.0, 0.5, 2.0, log(2))
    assert len(pull_features(0.1, 1, 1)) == len(PULL_FEATURES)
    assert len(confidence_features(0.1, 1, 1)) == len(CONFIDENCE_FEATURES)


def test_features_of_nothing_are_numbers() -> None:
    """A wall at the mid, of no share or not yet a minute old has finite features, on either side the same ones."""
    assert pull_features(0.0, 0.0, -1) == pull_features(1e-4, 0.1, 0)
    assert pull_features(0.03, -12.5, 7) == pull_features(0.03, 12.5, 7)


def test_a_logistic_by_hand() -> None:
    """σ(0.2 + 0.5·2 − 1·0.3) = σ(0.9) = 0.7109; far out it stays inside 0 to 1."""
    model = Logistic("a test", ("one", "a", "b"), (0.2, 0.5, -1.0), 100)
    assert model.probability((1.0, 2.0, 0.3)) == 0.7109 == round(1 / (1 + exp(-0.9)), 4)
    assert model.probability((1.0, 1e6, 0.0)) == 1.0
    assert model.probability((1.0, -1e6, 0.0)) == 0.0


def test_features_and_coefficients_must_agree() -> None:
    """A feature too many is our bug, not a probability."""
    with pytest.raises(ValueError, match="argument"):
        Logistic("a test", ("one",), (0.2,)).probability((1.0, 2.0))


@given(st.floats(0, 1), st.floats(-1e4, 1e4), st.floats(0, 1e5))
def test_priors_know_a_rate_and_nothing_else(share: float, distance: float, age: float) -> None:
    """66 of 100 walls are pulled whatever the wall, and half of all random levels hold, whatever the zone."""
    assert PULL_PRIOR.probability(pull_features(share, distance, age)) == 0.66
    assert CONFIDENCE_PRIOR.probability(confidence_features(share, 3, distance)) == 0.5


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.5, 0.66, 0.99])
def test_a_constant_gives_its_rate(rate: float) -> None:
    """The coefficient of a rate, kept to six decimals, gives the rate back to four."""
    assert constant_rate(rate, ("one", "x"), "a test").probability((1.0, 5.0)) == rate


def test_priors_say_that_they_are_none_of_ours() -> None:
    """A prior names where it comes from and counts no sample; one coefficient for each feature."""
    for prior in (PULL_PRIOR, CONFIDENCE_PRIOR):
        assert prior.fit.startswith("prior: ")
        assert prior.samples == 0
        assert len(prior.names) == len(prior.coefficients)


@pytest.mark.parametrize(
    ("market", "first", "last", "seen"),
    [
        ("binance:TESTUSDT", "2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z", True),
        ("binance:TESTUSDT", "2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z", True),  # its last moment
        ("binance:TESTUSDT", "2026-03-03T00:00:01Z", "2026-03-04T00:00:00Z", False),
        ("binance:TESTUSDT", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", True),  # its first
        ("binance:TESTUSDT", "2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z", False),
        ("binance:TESTUSDT", "2026-03-01T00:00:00Z", "2026-03-09T00:00:00Z", True),
        ("binance:OTHER", "2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z", False),
    ],
)
def test_what_a_fit_has_seen(market: str, first: str, last: str, seen: bool) -> None:
    """A span that shares a moment with what a fit saw of the same market is in sample, and the stretch is named."""
    period = ("binance:TESTUSDT", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z")
    model = Logistic("a test", ("one",), (0.0,), 10, (period,))
    expected = ["binance:TESTUSDT 2026-03-02T00:00:00Z to 2026-03-03T00:00:00Z"] if seen else []
    assert model.periods_within(market, parse_iso(first), parse_iso(last)) == expected
    assert PULL_PRIOR.periods_within(market, parse_iso(first), parse_iso(last)) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{}", "holds no fitted probability"),
        ("[", "not a file of fitted coefficients"),
        ('{"other": {"fit": "", "names": [], "coefficients": []}}', "other is no probability known here"),
        ('{"pull": {"fit": "", "names": ["one"], "coefficients": [0.1]}}', "pull was fitted on other features"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(body: str, reason: str) -> None:
    """Nothing in it, no JSON, a probability or features that are not ours: refused with the reason."""
    with pytest.raises(ValueError, match=reason):
        parse(body.encode())


@pytest.mark.parametrize(
    ("low", "word"), [(0.001, "confidence"), (0.0, "base rate"), (-0.01, "base rate"), (None, "base rate")]
)
def test_the_word_for_a_fitted_probability(low: float | None, word: str) -> None:
    """Confidence only where its resolution is above 0 on days it had not seen; what was never judged is a base rate."""
    resolution = Resolution(0.01, low, 0.02, 100, 12, "2026-03-02", "2026-03-03")
    fit = replace(CONFIDENCE, resolution=resolution)
    assert (fit.word, CONFIDENCE.word, CONFIDENCE_PRIOR.word) == (word, "base rate", "base rate")
    assert parse(msgspec.json.encode({"confidence": fit})) == {"confidence": fit}


def test_a_fit_that_was_not_judged_has_the_digest_it_had() -> None:
    """Advice on record names it; a resolution changes what a probability is called, and so the digest."""
    assert Parameters().digest() == "f511faa850fea668"
    resolution = Resolution(0.01, 0.0, 0.02, 100, 12, "2026-03-02", "2026-03-03")
    judged = replace(Parameters(), confidence=replace(CONFIDENCE, resolution=resolution))
    assert judged.digest() != Parameters().digest()


def test_a_period_without_times_is_refused() -> None:
    """The confidence file as it is written is read back; with a time that is none it is refused."""
    plain = constant_rate(0.4, CONFIDENCE_FEATURES, "a test")
    fit = replace(plain, periods=(("binance:X", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"),))
    assert parse(msgspec.json.encode({"confidence": fit})) == {"confidence": fit}
    wrong = replace(fit, periods=(("binance:X", "2026-03-02T00:00:00Z", "tomorrow"),))
    with pytest.raises(ValueError, match="tomorrow"):
        parse(msgspec.json.encode({"confidence": wrong}))
