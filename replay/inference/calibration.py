"""
Calibration: is a zone with a stated confidence of 60 % rejected 60 % of the time? The Brier score and its parts.
"""

from dataclasses import dataclass

import numpy as np

from market.arrays import F64, I64

BINS = 10  # of stated probability: their edges are the tenths


@dataclass(frozen=True, slots=True)
class BrierParts:
    """
    The Brier score and what it consists of: reliability − resolution + uncertainty (Murphy 1973), by stated value.

    Attributes:
        reliability: how far outcomes lie from what was stated, 0 is best.
        resolution: how far they differ between stated values, 0 for a forecaster who always says the same.
        uncertainty: of the outcomes alone.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float


def brier(probability: F64, outcome: F64) -> F64:
    """
    Squared errors of n stated probabilities, to 8 decimals; their mean is the Brier score.

    Args:
        probability: what was stated, 0 to 1.
        outcome: 1 or 0, NaN where nothing was decided; the error is NaN there.

    >>> brier(np.array([0.6, 0.6]), np.array([1.0, np.nan])).tolist()
    [0.16, nan]
    """
    return np.round((probability - outcome) ** 2, 8)


def brier_parts(probability: F64, outcome: F64) -> BrierParts | None:
    """
    Split the Brier score.

    Args:
        probability: n stated probabilities, 0 to 1; equal ones are one class.
        outcome: n outcomes, 1 or 0, NaN where nothing was decided.

    Returns:
        To 6 decimals; None where nothing was decided.

    >>> brier_parts(np.array([0.2, 0.2, 0.6, 0.6, 0.6, 0.8]), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0]))
    BrierParts(brier=0.233333, reliability=0.038889, resolution=0.027778, uncertainty=0.222222)
    """
    is_decided = ~np.isnan(outcome)
    if not is_decided.any():
        return None
    probability, outcome = probability[is_decided], outcome[is_decided]
    stated, place = np.unique(probability, return_inverse=True)
    count = np.bincount(place)
    rate, base = np.bincount(place, outcome) / count, float(outcome.mean())
    n = len(outcome)
    return BrierParts(
        brier=round(float(((probability - outcome) ** 2).mean()), 6),
        reliability=round(float((count * (stated - rate) ** 2).sum()) / n, 6),
        resolution=round(float((count * (rate - base) ** 2).sum()) / n, 6),
        uncertainty=round(base * (1 - base), 6),
    )


def rate_before(outcome: F64, day: I64, first_rate: float) -> F64:
    """
    The rate of the days before, for each outcome: what a forecaster knew who looks at nothing else.

    Args:
        outcome: n outcomes, 1 or 0, NaN where nothing was decided.
        day: (n,) the day on which each was stated.
        first_rate: what is stated before any outcome is known.
    """
    rates = np.full(len(outcome), first_rate)
    is_decided = ~np.isnan(outcome)
    for today in np.unique(day).tolist():
        before = outcome[is_decided & (day < today)]
        if len(before):
            rates[day == today] = before.mean()
    return rates


def calibration_error(probability: F64, outcome: F64) -> float | None:
    """
    Expected calibration error: the mean distance, over ten bins of stated probability, between the mean probability
    and the mean outcome, each bin weighted by its episodes.

    Args:
        probability: n stated probabilities, 0 to 1.
        outcome: n outcomes, 1 or 0, NaN where nothing was decided.

    Returns:
        0 to 1, to 6 decimals; None where nothing was decided.
    """
    is_decided = ~np.isnan(outcome)
    if not is_decided.any():
        return None
    probability, outcome = probability[is_decided], outcome[is_decided]
    bins = bins_of(probability)
    gaps = np.bincount(bins, probability, BINS) - np.bincount(bins, outcome, BINS)
    return round(float(np.abs(gaps).sum()) / len(outcome), 6)


def bins_of(probability: F64) -> I64:
    """
    The bin, 0 to 9, that each probability falls into; an edge belongs to the bin above it, 1 to the last.

    >>> bins_of(np.array([0.0, 0.1, 0.55, 1.0])).tolist()
    [0, 1, 5, 9]
    """
    return np.minimum(np.floor(np.round(probability * BINS, 6)), BINS - 1).astype(np.int64)
