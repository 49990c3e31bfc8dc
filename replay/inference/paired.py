"""
Two decision makers scored on the same minutes: how far apart their means are, and whether chance explains it.

The estimator is that of runs (`replay.inference.blocks`). Its blocks are longer: decisions last for tens of minutes and
scores look an hour or two ahead, so neighbouring blocks of two hours still lean the same way. How often that is wrong:
docs/decisions/0009-comparing-analysts.md.
"""

import math
from dataclasses import dataclass

import numpy as np

from market.arrays import F64, I64
from replay.inference.blocks import MIN_BLOCKS, Samples, difference

_LONG_BLOCK_MIN = 24 * 60  # every block has all hours of a day; trials of less than eight days have MIN_BLOCKS
_SHORT_BLOCK_MIN = 2 * 60  # the blocks of a run: decisions with a half-life of ten minutes are forgotten in it
_HORIZONS = 4  # that a block lasts at least: scores of two blocks share prices at their common edge, and nowhere else
_FOR_HALF = 4  # times as long: errors fall with the root of the time
_HOUR_MIN = 60
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """
    The scores of side A against those of side B, on the minutes in which both were scored.

    Attributes:
        a, b: the means, None without minutes. minutes: the number of common minutes. mean: of a − b.
        spread_a, spread_b: standard deviation between repeats of one minute, None where no minute has two.
        effective: the number of independent minutes that the common ones are worth; None where there are too few.
        blocks: the number of blocks that are left out in turn. block_min: how long each lasts, minutes.
        error: standard error of the mean. low, high: its 95 % interval. p: two-sided.
        detectable: the true difference that would be significant four times in five.
        days_for_half: the recorded days on which half of that would be.
        too_few: why there are no error, interval and p; None where there are.
    """

    a: float | None
    b: float | None
    spread_a: float | None
    spread_b: float | None
    minutes: int
    mean: float | None
    effective: int | None = None
    blocks: int = 0
    block_min: int = 0
    error: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    detectable: float | None = None
    days_for_half: float | None = None
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
    means = (_round9(one.mean()), _round9(two.mean()), spread_a, spread_b, len(minutes))
    elapsed_min = _elapsed(minutes, horizon_min)
    covered_min, least_min = int(elapsed_min[-1]) + 1, max(_SHORT_BLOCK_MIN, _HORIZONS * horizon_min)
    if covered_min < MIN_BLOCKS * least_min:
        reason = _too_short(covered_min, least_min)
        return PairedDifference(
            *means, _round9((one - two).mean()), None, covered_min // least_min, least_min, too_few=reason
        )
    count = max(MIN_BLOCKS, covered_min // max(_LONG_BLOCK_MIN, least_min))
    block = elapsed_min * count // covered_min
    result = difference(Samples(one - two, block), Samples(np.zeros(len(block)), block))
    block_min = covered_min // count
    differing = len(np.unique(block[one != two]))
    if differing < MIN_BLOCKS or not result.error:
        reason = _too_equal(differing, count, block_min)
        return PairedDifference(*means, result.mean, None, count, block_min, too_few=reason)
    return PairedDifference(
        *means, result.mean, result.effective, count, block_min, result.error, result.low, result.high, result.p,
        result.detectable, round(_FOR_HALF * covered_min / _DAY_MIN, 1),
    )  # fmt: skip


def _elapsed(minutes: I64, horizon_min: int) -> I64:
    """
    Of n rising minutes, the time scored before each: a gap counts as one horizon, beyond which no prices are shared.
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.minimum(np.diff(minutes), horizon_min))])


def _too_short(covered_min: int, least_min: int) -> str:
    missing_h = math.ceil((MIN_BLOCKS * least_min - covered_min) / _HOUR_MIN)
    return (
        f"{covered_min:,} minutes are {covered_min // least_min} blocks of {least_min / _HOUR_MIN:.1f} h, and "
        f"{MIN_BLOCKS} are needed: compare at least {missing_h:,} h more"
    )


def _too_equal(differing: int, blocks: int, block_min: int) -> str:
    if differing == blocks:
        return "the difference is the same in every block: chance has no part in it"
    return (
        f"the sides differ in {differing} of {blocks} blocks of {block_min / _HOUR_MIN:.1f} h, and must in "
        f"{MIN_BLOCKS}: compare more days"
    )


def _average_repeats(scores: F64) -> tuple[F64, float | None]:
    if scores.ndim == 1:
        return scores, None
    is_scored = ~np.isnan(scores)
    count = is_scored.sum(axis=1)
    mean = np.where(is_scored, scores, 0.0).sum(axis=1) / np.where(count, count, np.nan)
    squares = float((np.where(is_scored, scores - mean[:, None], 0.0) ** 2).sum())
    freedom = int((count - 1)[count > 0].sum())
    return mean, _round9(math.sqrt(squares / freedom)) if freedom else None


def _round9(value: float) -> float:
    return round(float(value), 9)
