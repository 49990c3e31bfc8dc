"""
Two decision makers scored on the same minutes: how far apart their means are, and whether chance explains it.

Decisions last for tens of minutes, so the differences of neighbouring minutes are no independent evidence. The error of
their mean is taken from the slowest cosines of the series (the equally weighted cosine estimator: Müller 2007, Lazarus,
Lewis, Stock, Watson 2018); docs/decisions/0009-comparing-analysts.md says why, and how often it is wrong.
"""

import math
from dataclasses import dataclass

import numpy as np

from market.arrays import F64, I64
from replay.inference.persistence import flatness
from replay.inference.student_t import critical_t, detectable_shift, power_of_t, two_sided_p

_ALPHA = 0.05  # significance level of intervals and of power
_MIN_COSINES = 20  # fewer leave too little to test whether the spectrum is flat over them
_POWER = 0.8  # a detectable difference is one found four times in five
_MAX_FALL = 0.1  # of the spectrum over the cosines used, where there are more than _MIN_COSINES of them
_MAX_FALL_OF_LEAST = 0.25  # of the spectrum over the fewest allowed: beyond, the error would be a guess


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """
    The scores of side A against those of side B, on the minutes in which both were scored.

    Attributes:
        a, b: the means, None without minutes. minutes: the number of common minutes. mean: of a − b.
        spread_a, spread_b: standard deviation between repeats of one minute, None where no minute has two.
        blocks: the number of independent stretches that the minutes are worth: the degrees of freedom of t.
        error: standard error of the mean, persistence included. low, high: its 95 % interval. p: two-sided.
        too_few: why there are no error, interval and p; None where there are.
    """

    a: float | None
    b: float | None
    spread_a: float | None
    spread_b: float | None
    minutes: int
    mean: float | None
    blocks: int = 0
    error: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    too_few: str | None = None


def compare(a: F64, b: F64, minute: I64, horizon_min: int) -> PairedDifference:
    """
    Compare the scores of two sides, minute by minute.

    Args:
        a, b: n scores, or n rows of a minute's repeats, which are averaged first; NaN where a side has none.
        minute: the n minutes they belong to, counted from anywhere, in any order, none twice.
        horizon_min: minutes of the future that a score looks at, at least 1; scores closer than that share prices.

    Raises:
        ValueError: the columns do not fit, or a minute comes twice.
    """
    if not len(a) == len(b) == len(minute) or len(np.unique(minute)) != len(minute) or horizon_min < 1:
        raise ValueError(f"{len(a)} and {len(b)} scores for {len(np.unique(minute))} different minutes")
    order = np.argsort(minute)
    one, spread_a = _average_repeats(a[order])
    two, spread_b = _average_repeats(b[order])
    is_scored = ~(np.isnan(one) | np.isnan(two))
    one, two, minutes = one[is_scored], two[is_scored], minute[order][is_scored]
    if not len(minutes):
        return PairedDifference(None, None, spread_a, spread_b, 0, None, too_few="no minute is scored on both sides")
    means = (_round9(one.mean()), _round9(two.mean()), spread_a, spread_b, len(minutes), _round9((one - two).mean()))
    blocks, spectrum_ratio, reason = _evidence(one - two, minutes, horizon_min)
    if reason is not None:
        return PairedDifference(*means, blocks, too_few=reason)
    error = _error(one - two, blocks, spectrum_ratio)
    if _round9(error) == 0:
        return PairedDifference(
            *means, blocks, too_few="the difference is the same in every minute: chance has no part in it"
        )
    mean, reach = float((one - two).mean()), critical_t(_ALPHA, blocks) * error
    p = round(two_sided_p(mean / error, blocks), 6)
    return PairedDifference(*means, blocks, _round9(error), _round9(mean - reach), _round9(mean + reach), p)


def power(effect: float, difference: PairedDifference) -> float | None:
    """
    The probability that a true difference of a given size is found (p < 0.05) on as many minutes as these.

    Args:
        effect: the true difference, in the unit of the scores; its sign does not matter.
        difference: what the minutes gave.

    Returns:
        0 to 1; None where there were too few minutes.
    """
    if difference.error is None:
        return None
    return round(power_of_t(abs(effect) / difference.error, difference.blocks, _ALPHA), 6)


def detectable_difference(difference: PairedDifference) -> float | None:
    """The true difference that would be found four times in five; None where there were too few minutes."""
    if difference.error is None:
        return None
    return _round9(difference.error * detectable_shift(_POWER, difference.blocks, _ALPHA))


def _average_repeats(scores: F64) -> tuple[F64, float | None]:
    if scores.ndim == 1:
        return scores, None
    is_scored = ~np.isnan(scores)
    count = is_scored.sum(axis=1)
    mean = np.where(is_scored, scores, 0.0).sum(axis=1) / np.where(count, count, np.nan)
    squares = float((np.where(is_scored, scores - mean[:, None], 0.0) ** 2).sum())
    freedom = int((count - 1)[count > 0].sum())
    return mean, _round9(math.sqrt(squares / freedom)) if freedom else None


def _evidence(difference: F64, minute: I64, horizon_min: int) -> tuple[int, float, str | None]:
    """The number of cosines to use, the flatness of the spectrum over them, and why they are too few, or None."""
    n = len(difference)
    most = _max_cosines(minute, horizon_min)
    if most < _MIN_COSINES:
        return most, 1.0, f"{n} minutes are too few for a horizon of {horizon_min} min: record for longer"
    differing = len(np.unique(np.flatnonzero(difference) * most // n))
    if differing < _MIN_COSINES:
        return differing, 1.0, f"the sides differ in {differing} of {most} stretches of time only: record for longer"
    spectrum_ratio = flatness(difference, most)
    blocks = min(int(np.argmax(np.append(spectrum_ratio, 0.0) < 1 - _MAX_FALL)), differing)
    if blocks < _MIN_COSINES and spectrum_ratio[_MIN_COSINES - 1] < 1 - _MAX_FALL_OF_LEAST:
        return (
            blocks,
            1.0,
            f"decisions persist: {n} minutes are worth about {blocks} independent ones: record for longer",
        )
    blocks = max(blocks, _MIN_COSINES)
    return blocks, float(spectrum_ratio[blocks - 1]), None


def _max_cosines(minute: I64, horizon_min: int) -> int:
    """The number that the source advises, none quicker than 2π horizons: overlap bends the spectrum beyond that."""
    covered_min = 1 + int(np.minimum(np.diff(minute), horizon_min).sum())
    return min(int(0.4 * len(minute) ** (2 / 3)), int(covered_min / (math.pi * horizon_min)))


def _error(difference: F64, blocks: int, spectrum_ratio: float) -> float:
    """Standard error of the mean; minutes without scores are closed up, which keeps the cosines orthogonal."""
    n = len(difference)
    j = np.arange(1, blocks + 1)
    transform = np.exp(-0.5j * np.pi * j / n) * np.fft.rfft(difference - difference.mean(), 2 * n)[j]
    long_run = 2 / n * float((transform.real**2).mean()) / spectrum_ratio
    return math.sqrt(long_run / n)


def _round9(value: float) -> float:
    return round(float(value), 9)
