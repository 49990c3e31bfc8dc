"""
Models that were fitted offline over longer times than any window: frozen coefficients that name what they were fitted
on.
"""

from dataclasses import dataclass
from math import exp, log, log1p

import msgspec

from market.timestamps import parse_iso

PULL_FEATURES = ("one", "share", "distance", "age", "share²", "distance²", "age²", "share·distance", "distance·age",
                 "share·age")  # fmt: skip
"""Log share over 2 %, log distance over 20 bp, log of age in minutes plus one, their squares and products."""

CONFIDENCE_FEATURES = ("one", "score", "legs", "distance_sigma")
"""A zone's score, the number of legs that it rests on, and the log of its distance from the price in σ plus one."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """
    How well stated probabilities told outcomes apart on days that the fit had not seen.

    Attributes:
        mean: covariance of what was stated with what happened, 1 or 0; of honest probabilities it is Murphy's
            resolution, of one number for all it is 0. low, high: its 95 % interval; None with fewer than eight blocks.
        outcomes, blocks: number of those judged, and of the blocks of time they lie in.
        fitted_on, judged_on: the days of either, as text.
    """

    mean: float
    low: float | None
    high: float | None
    outcomes: int
    blocks: int
    fitted_on: str
    judged_on: str


@dataclass(frozen=True, slots=True)
class Logistic:
    """
    A fitted probability.

    Attributes:
        fit: what it was fitted on: market and period, or where a prior comes from.
        names, coefficients: one coefficient per feature, to 6 decimals.
        samples: number of outcomes; 0 for a prior taken from elsewhere.
        periods: market, first and last tick of each log in the fit: scores of that market in between are in sample.
        resolution: of the same fit on the earlier days, judged on the later ones; None where it was not judged.
    """

    fit: str
    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    samples: int = 0
    periods: tuple[tuple[str, str, str], ...] = ()
    resolution: Resolution | None = None

    @property
    def word(self) -> str:
        """
        What the probability that a zone is rejected is called: confidence only where it tells zones apart on days that
        the fit had not seen.
        """
        low = None if self.resolution is None else self.resolution.low
        return "confidence" if low is not None and low > 0 else "base rate"

    def probability(self, features: tuple[float, ...]) -> float:
        """The probability at k features, to 4 decimals."""
        total = round(sum(c * x for c, x in zip(self.coefficients, features, strict=True)), 9)
        return round(1 / (1 + exp(-max(-30.0, min(30.0, total)))), 4)

    def periods_within(self, market: str, from_ns: int, to_ns: int) -> list[str]:
        """
        Describe the fitted periods of a market that overlap a span of time, as texts.

        Args:
            market: venue:SYMBOL.
            from_ns, to_ns: the span, both inclusive.
        """
        return [
            f"{name} {first} to {last}"
            for name, first, last in self.periods
            if name == market and parse_iso(first) <= to_ns and parse_iso(last) >= from_ns
        ]


def constant_rate(rate: float, names: tuple[str, ...], fit: str) -> Logistic:
    """
    Build a model whose probability is a constant rate, whatever the features.

    Args:
        rate: the probability, between 0 and 1.
        names: of the features that it ignores.
        fit: where the rate comes from.
    """
    return Logistic(fit, names, (round(log(rate / (1 - rate)), 6), *[0.0] * (len(names) - 1)))


def pull_features(share: float, distance_bp: float, age_min: float) -> tuple[float, ...]:
    """
    The features of the probability that a wall is pulled before it is touched.

    Args:
        share: the wall's part of the corridor's depth, 0 to 1.
        distance_bp: from the mid, the sign ignored.
        age_min: minutes.

    Returns:
        In the order of `PULL_FEATURES`.
    """
    size = log(max(share, 1e-4) / 0.02)
    distance = log(max(abs(distance_bp), 0.1) / 20)
    age = log1p(max(age_min, 0.0))
    return (
        1.0,
        size,
        distance,
        age,
        size * size,
        distance * distance,
        age * age,
        size * distance,
        distance * age,
        size * age,
    )


def confidence_features(score: float, legs: int, distance_sigma: float) -> tuple[float, ...]:
    """
    The features of the probability that a touched zone is rejected before it is broken.

    Args:
        score: of the zone, 0 to 1.
        legs: number of legs that it rests on.
        distance_sigma: from the price in σ, the sign ignored.

    Returns:
        In the order of `CONFIDENCE_FEATURES`.
    """
    return 1.0, score, float(legs), log1p(abs(distance_sigma))


# What holds where nothing was fitted: rates that were measured, the same for every wall or zone.
PULL_PRIOR = constant_rate(0.66, PULL_FEATURES, "prior: NEXOUSDT, 60 minutes, whatever the wall")
CONFIDENCE_PRIOR = constant_rate(0.5, CONFIDENCE_FEATURES, "prior: random levels")

CONFIDENCE = Logistic(
    fit="BTCUSDT 2024-01-01 as recorded, trades alone: the rate at which its zones held",
    names=CONFIDENCE_FEATURES,
    coefficients=(-0.161404, 0.0, 0.0, 0.0),
    samples=683,
    periods=(("binance:BTCUSDT", "2024-01-01T00:01:00Z", "2024-01-02T00:00:00Z"),),
)
"""
What the rules state unless a file says otherwise. `liquidity fit` on that day and three simulated markets gave
slopes by score, legs and distance as well; with them the day's Brier score was 0.2502, with the plain rate 0.2484. A
slope that does not beat the rate is not shipped. The rate is the day's alone, so that is its only period; the choice
against slopes has seen the simulated markets too.
"""


def parse(body: bytes) -> dict[str, Logistic]:
    """
    Parse the file that `liquidity fit` wrote: any of `pull` and `confidence`.

    Raises:
        ValueError: it is something else.
    """
    try:
        models = msgspec.json.decode(body, type=dict[str, Logistic])
    except msgspec.DecodeError as error:
        raise ValueError(f"not a file of fitted coefficients: {error}") from error
    names = {"pull": PULL_FEATURES, "confidence": CONFIDENCE_FEATURES}
    if not models:
        raise ValueError(f"it holds no fitted probability; known: {', '.join(names)}")
    for name, fit in models.items():
        if name not in names:
            raise ValueError(f"{name} is no probability known here; known: {', '.join(names)}")
        if fit.names != names[name] or len(fit.coefficients) != len(fit.names):
            raise ValueError(f"{name} was fitted on other features than are used now; fit it again")
        for _, *span in fit.periods:
            for moment in span:
                parse_iso(moment)
    return models
