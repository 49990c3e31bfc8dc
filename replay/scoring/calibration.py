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


def brier(stated: F64, held: F64) -> F64:
    """
    Squared errors of n stated probabilities; their mean is the Brier score.

    Args:
        held: 1 or 0, NaN where nothing was decided; the error is NaN there.
    """
    return np.round((stated - held) ** 2, 8)


def constant_brier(held: F64) -> F64:
    """The squared errors of the rate itself, stated everywhere."""
    known = held[~np.isnan(held)]
    return brier(np.full(len(held), known.mean() if len(known) else np.nan), held)


def calibration_error(stated: F64, held: F64) -> float | None:
    """
    Expected calibration error: over ten bins of stated probability, how far the mean stated lies from the rate held,
    each bin weighed by its episodes; None where nothing was decided.
    """
    known = ~np.isnan(held)
    if not known.any():
        return None
    stated, held = stated[known], held[known]
    at = bins_of(stated)
    gaps = np.bincount(at, stated, BINS) - np.bincount(at, held, BINS)
    return round(float(np.abs(gaps).sum()) / len(held), 6)


def bins_of(stated: F64) -> I64:
    """Which of ten equal bins each probability falls into; an edge belongs to the bin above it, 1 to the last."""
    return np.minimum(np.floor(np.round(stated * BINS, 6)), BINS - 1).astype(np.int64)
