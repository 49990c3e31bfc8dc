"""
Calibration: is a zone of which 60 % was said rejected 60 % of the time? Brier score and expected calibration error.
"""

import numpy as np

from market.arrays import F64, I64

BINS = 10
NOTE = (
    "brier and ece are over episodes that were decided; beside brier stands that of the rate at which these episodes"
    " held, the best constant in hindsight"
)
"""Said wherever calibration is reported."""


def brier(probability: F64, outcome: F64) -> F64:
    """
    Squared errors of n stated probabilities; their mean is the Brier score.

    Args:
        held: 1 or 0, NaN where nothing was decided; the error is NaN there.
    """
    return np.round((probability - outcome) ** 2, 8)


def constant_brier(outcome: F64) -> F64:
    """The squared errors of the rate itself, stated everywhere."""
    rated = outcome[~np.isnan(outcome)]
    return brier(np.full(len(outcome), rated.mean() if len(rated) else np.nan), outcome)


def calibration_error(probability: F64, outcome: F64) -> float | None:
    """
    Expected calibration error: over ten bins of stated probability, how far the mean stated lies from the rate held,
    each bin weighed by its episodes; None where nothing was decided.
    """
    rated = ~np.isnan(outcome)
    if not rated.any():
        return None
    probability, outcome = probability[rated], outcome[rated]
    bins = bins_of(probability)
    gaps = np.bincount(bins, probability, BINS) - np.bincount(bins, outcome, BINS)
    return round(float(np.abs(gaps).sum()) / len(outcome), 6)


def bins_of(probability: F64) -> I64:
    """Which of ten equal bins each probability falls into; an edge belongs to the bin above it, 1 to the last."""
    return np.minimum(np.floor(np.round(probability * BINS, 6)), BINS - 1).astype(np.int64)
