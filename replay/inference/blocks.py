"""
The difference of two means whose samples are correlated in time, with its error: the delete-one-block jackknife.

Samples of one block of time share its prices; whole blocks are left out in turn, so the error is that of independent
blocks, whatever happens inside them. With Student's t it covers as it says from eight blocks on; a bootstrap of so few
blocks does not (docs/decisions/0020-inference.md has the figures).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.arrays import F64, I64, Bools
from replay.inference.student_t import critical_t, detectable_shift, two_sided_p

MIN_BLOCKS = 8  # with fewer the error of the error is too large for an interval that anyone should believe
ALPHA = 0.05  # significance level: intervals cover 95 %
POWER = 0.8  # a detectable difference is found four times in five


@dataclass(frozen=True, slots=True)
class Difference:
    """
    The mean of advice against that of its controls.

    Attributes:
        advice, control: the means of values, None without samples. samples, control_samples: their numbers.
        effective: the number of independent samples that those of advice are worth; None where that is unknown.
        blocks: the number of blocks that hold both. mean: advice less control, each less what was expected of it; None
            where no block holds both.
        error: standard error of `mean`. low, high: its 95 % interval. p: two-sided; None with fewer than MIN_BLOCKS.
        detectable: the true difference that would be significant four times in five on as many blocks.
    """

    advice: float | None
    control: float | None
    samples: int
    control_samples: int
    effective: int | None = None
    blocks: int = 0
    mean: float | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    detectable: float | None = None

    @property
    def blocks_for_half(self) -> int | None:
        """The number of blocks on which half of `detectable` would be: errors fall with the root of their number."""
        return None if self.detectable is None else 4 * self.blocks


@dataclass(frozen=True, slots=True)
class Samples:
    """
    n values of one side.

    Attributes:
        values: (n,) NaN where there is none. block: (n,) the block of time each belongs to, at least as long as what a
            value looks at; a control belongs to its idea's block. weights: (n,) of each, above 0; None for equal ones.
        expected: (n,) what chance alone gives each, which is taken off before sides are compared; None for the same.
    """

    values: F64
    block: I64
    weights: F64 | None = None
    expected: F64 | None = None

    @property
    def surplus(self) -> F64:
        """(n,) what each value is above what was expected of it."""
        return self.values if self.expected is None else self.values - self.expected

    def where(self, mask: Bools) -> "Samples":
        """The values of a mask."""
        weights, expected = (None if column is None else column[mask] for column in (self.weights, self.expected))
        return Samples(self.values[mask], self.block[mask], weights, expected)


_COUNT, _WEIGHT, _VALUE, _SURPLUS, _PLAIN, _SQUARES = range(6)  # columns of BlockSums.sums


@dataclass(frozen=True, slots=True)
class BlockSums:
    """
    All that comparisons need of samples: sums of each of b blocks. Those of several stretches of time add up.

    Attributes:
        block: (b,) rising.
        sums: (b, 6) the number of values, and the sums of weights, of values times weights, of surpluses times weights,
            of surpluses, and of their squares.
    """

    block: I64
    sums: F64

    @classmethod
    def of(cls, samples: Samples) -> "BlockSums":
        """Of those values that are not NaN."""
        defined = samples.where(~np.isnan(samples.values))
        block, place = np.unique(defined.block, return_inverse=True)
        weights = np.ones(len(place)) if defined.weights is None else defined.weights
        surplus = defined.surplus
        columns = (np.ones(len(place)), weights, defined.values * weights, surplus * weights, surplus, surplus**2)
        sums = [np.bincount(place, column, len(block)) for column in columns]
        return cls(block, np.column_stack(sums).astype(np.float64))

    @classmethod
    def joined(cls, parts: Sequence["BlockSums"]) -> "BlockSums":
        """The sums of all parts, which may have blocks in common."""
        if len(parts) == 1:
            return parts[0]
        block, place = np.unique(np.concatenate([part.block for part in parts]), return_inverse=True)
        sums = np.zeros((len(block), _SQUARES + 1))
        np.add.at(sums, place, np.concatenate([part.sums for part in parts]))
        return cls(block, sums)

    def within(self, blocks: I64) -> "BlockSums":
        """Those of some blocks alone."""
        is_in = np.isin(self.block, blocks)
        return BlockSums(self.block[is_in], self.sums[is_in])

    @property
    def count(self) -> int:
        """The number of values."""
        return round(float(self.sums[:, _COUNT].sum()))

    def mean(self) -> float | None:
        """The weighted mean of all values, to 6 decimals; None without values."""
        total = self.sums.sum(axis=0)
        return _round6(float(total[_VALUE] / total[_WEIGHT])) if total[_WEIGHT] else None

    @property
    def surpluses(self) -> F64:
        """(b, 2) of each block the weighted sum of the surpluses, and that of the weights."""
        return self.sums[:, [_SURPLUS, _WEIGHT]]

    def variance(self) -> float:
        """Of the single surpluses."""
        count, plain, squares = self.sums[:, [_COUNT, _PLAIN, _SQUARES]].sum(axis=0).tolist()
        return max(0.0, squares / count - (plain / count) ** 2)


def difference(advice: Samples, control: Samples) -> Difference:
    """
    Compare samples of advice with those of its controls.

    A value that is NaN is left out, and so is a block that holds only one side; where no block holds both, the means
    are those of all, and nothing is compared.
    """
    return difference_of_sums(BlockSums.of(advice), BlockSums.of(control))


def difference_of_sums(advice: BlockSums, control: BlockSums) -> Difference:
    """Compare samples of advice with those of its controls by their sums; see `difference`."""
    blocks = np.intersect1d(advice.block, control.block)
    if len(blocks) == 0:
        return Difference(advice.mean(), control.mean(), advice.count, control.count)
    advice, control = advice.within(blocks), control.within(blocks)
    mean, error, degrees, used = jackknife(np.column_stack((advice.surpluses, control.surpluses)))
    means = advice.mean(), control.mean(), advice.count, control.count
    effective = _effective(advice)
    if used < MIN_BLOCKS or error == 0:
        return Difference(*means, effective, len(blocks), _round6(mean))
    reach = critical_t(ALPHA, degrees) * error
    return Difference(
        *means, effective, len(blocks), _round6(mean), _round6(error), _round6(mean - reach), _round6(mean + reach),
        _round6(two_sided_p(mean / error, degrees)), _round6(error * detectable_shift(POWER, degrees, ALPHA)),
    )  # fmt: skip


def block_gains(advice: BlockSums, control: BlockSums) -> dict[int, float]:
    """
    What each block that holds both sides adds to their difference: the jackknife's pseudo-values, by block, to 6
    decimals. Their mean is the difference, their deviation over the root of their number its error.
    """
    blocks = np.intersect1d(advice.block, control.block)
    if len(blocks) < 2:
        return {}
    sums = np.column_stack((advice.within(blocks).surpluses, control.within(blocks).surpluses))
    total = sums.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = len(blocks) * _ratio(total[None, :])[0] - (len(blocks) - 1) * _ratio(total - sums)
    return {block: round(v, 6) for block, v in zip(blocks.tolist(), values.tolist(), strict=True) if math.isfinite(v)}


def jackknife(sums: F64) -> tuple[float, float, int, int]:
    """
    The difference of two ratios of sums, its standard error, the degrees of freedom of its t, and the blocks used.

    Equal blocks give one degree less than there are blocks. Where some are larger, fewer decide the error: the degrees
    are those of as many equal blocks as have the same sum of squared shares, by the numbers of the first side.

    Args:
        sums: (b, 4) for each block: sum and number of one side, sum and number of the other; (b, 2) for one side alone.

    >>> sums = np.array([[3, 6, 10, 20], [4, 6, 11, 20], [2, 6, 9, 20], [5, 6, 10, 20]], float)
    >>> mean, error, degrees, blocks = jackknife(sums)
    >>> round(mean, 5), round(error, 5), degrees, blocks
    (0.08333, 0.09598, 3, 4)
    """
    blocks = len(sums)
    total = sums.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = _ratio(total - sums)
    mean = float(_ratio(total[None, :])[0])
    is_defined = np.isfinite(rest)  # a block that holds all samples of a side leaves nothing to compare without it
    used = int(is_defined.sum())
    if used < 2:
        return mean, 0.0, 0, used
    rest = rest[is_defined]
    error = math.sqrt((blocks - 1) / blocks * float(((rest - rest.mean()) ** 2).sum()))
    sizes = sums[is_defined, 1]
    degrees = round(float(sizes.sum() ** 2 / (sizes**2).sum())) - 1
    return mean, error, min(max(degrees, 1), used - 1), used


def holm(values: Sequence[float | None]) -> list[float | None]:
    """
    Holm's correction of all p-values of a table: of many figures some look good by chance.

    >>> holm([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    order = sorted((p, n) for n, p in enumerate(values) if p is not None)
    p_values: list[float | None] = [None] * len(values)
    worst = 0.0
    for rank, (p, n) in enumerate(order):
        worst = max(worst, min(1.0, p * (len(order) - rank)))
        p_values[n] = round(worst, 6)
    return p_values


def _ratio(sums: F64) -> F64:
    ratios = sums[:, 0] / sums[:, 1]
    return ratios if sums.shape[1] == 2 else ratios - sums[:, 2] / sums[:, 3]


def _effective(advice: BlockSums) -> int | None:
    """Variance of one sample over that of their mean: no more than there are samples."""
    if len(advice.block) < MIN_BLOCKS:
        return None
    _, error, _, _ = jackknife(advice.surpluses)
    variance = advice.variance()
    return None if error == 0 or variance == 0 else max(1, min(advice.count, round(variance / error**2)))


def _round6(value: float) -> float:
    return round(value, 6) + 0.0
