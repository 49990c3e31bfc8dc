"""
Calibration: is a zone with a stated confidence of 60 % rejected 60 % of the time? Brier score and calibration error.
"""

import numpy as np

from market.arrays import F64, I64

BINS = 10  # of stated probability: their edges are the tenths
NOTE = (
    "brier and ece are over episodes that were decided; beside brier stands that of the rate at which these episodes"
    " held, the best constant in hindsight"
)
"""The note that goes with every report of calibration."""


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


def constant_brier(outcome: F64) -> F64:
    """The squared errors of a forecaster who always states the mean outcome; NaN where nothing was decided."""
    outcomes = outcome[~np.isnan(outcome)]
    return brier(np.full(len(outcome), outcomes.mean() if len(outcomes) else np.nan), outcome)


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
