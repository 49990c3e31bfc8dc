"""
Volume profile: point of control, value area, and the nodes where much or little was traded (docs/measures.md §3).
"""

import msgspec
import numpy as np

from market.arrays import I64
from market.compiled import compiled

_MAX_ROWS = 500_000  # bounds memory, see `row_width`


class Rows(msgspec.Struct, frozen=True):
    """k neighbouring rows of one width: price of the lowest, and the quantity traded in each (zeros included)."""

    low_e8: int
    width_e8: int
    total_e8: I64

    def price_e8(self, row: int) -> int:
        """The lower edge of a row."""
        return self.low_e8 + row * self.width_e8


class ControlPoint(msgspec.Struct, frozen=True):
    """
    The row with most volume.

    Attributes:
        rival_row: the best row further away than the exclusion, None where there is none.
        rival: its volume over the control row's; above 0.9 the control point is ambiguous.
    """

    row: int
    rival_row: int | None
    rival: float


class ValueArea(msgspec.Struct, frozen=True):
    """Rows low to high, both inclusive, and the share of volume they hold."""

    low: int
    high: int
    share: float


class Nodes(msgspec.Struct, frozen=True):
    """Bins of the smoothed profile's peaks (high volume) or dips (low volume), with their prominence in 0..1."""

    bins: I64
    prominence: "np.ndarray[tuple[int], np.dtype[np.float64]]"


def build_rows(level_e8: I64, total_e8: I64, width_e8: int) -> Rows:
    """
    Sum levels into neighbouring rows.

    Args:
        level_e8: (k,) rising levels, k ≥ 1.
        total_e8: (k,) quantity traded at each.
        width_e8: of a row; a row begins at a multiple of it.
    """
    low = int(level_e8[0]) // width_e8
    return Rows(low * width_e8, width_e8, _sum_rows(level_e8, total_e8, low, width_e8))


def row_width(level_e8: I64, width_e8: int) -> int:
    """
    A width in which the rows of all levels fit into memory: one trade at a million times the price must not make a
    billion rows.

    Args:
        level_e8: (k,) rising levels, k ≥ 1.
        width_e8: the preferred width; a wider one is a multiple of it.
    """
    return width_e8 * (-(-int(level_e8[-1] - level_e8[0]) // width_e8 // _MAX_ROWS) or 1)


def find_control_point(rows: Rows, exclusion_e8: float) -> ControlPoint:
    """
    Find the point of control: ties go to the row nearest the profile's centre, then to the lower.

    Args:
        rows: of a profile.
        exclusion_e8: a rival lies further away than this.
    """
    totals = rows.total_e8
    best, rival = (int(row) for row in _find_control(totals, rows.width_e8, float(exclusion_e8)))
    if rival < 0 or totals[best] == 0:
        return ControlPoint(best, None, 0.0)
    return ControlPoint(best, rival, round(float(totals[rival] / totals[best]), 4))


def find_value_area(totals: I64, start: int, share: float, step: int = 2) -> ValueArea:
    """
    Find the rows around a start that hold a share of the volume.

    The sum of the next `step` rows above is compared with that of the next below; the larger is added, the upper on a
    tie, until the share is reached.

    Args:
        totals: (n,) volume of rows, lowest first.
        start: index of the point of control.
        share: 0 to 1.
        step: 2 is the two-row rule, 1 the one-row rule.

    >>> find_value_area(np.array([5, 12, 30, 20, 15, 10, 5, 3]), 2, 0.7)
    ValueArea(low=0, high=4, share=0.82)
    """
    low, high, volume, total = _find_area(totals, start, share, step)
    return ValueArea(int(low), int(high), round(volume / total, 4) if total else 0.0)


def find_nodes(totals: I64, half_width: int, prominence: float) -> tuple[Nodes, Nodes]:
    """
    Find the high- and low-volume nodes of a profile of one-level bins.

    Args:
        totals: n bins, zeros included.
        half_width: of the triangular kernel, in bins.
        prominence: the least prominence, as a part of the smoothed maximum.

    Returns:
        Peaks and dips, lowest price first.
    """
    smooth = smooth_totals(totals, half_width)
    top = int(smooth.max(initial=0))
    min_prominence = prominence * float(top)
    (peaks, heights), (dips, depths) = _peaks(smooth, 1, min_prominence), _peaks(smooth, -1, min_prominence)
    unit = float(max(top, 1))
    return Nodes(peaks, np.round(heights / unit, 4)), Nodes(dips, np.round(depths / unit, 4))


def smooth_totals(totals: I64, half_width: int) -> I64:
    """
    Smooth bins by a triangular kernel of 2·half_width − 1 whole weights, as an exact integer sum (not divided by
    half_width²); quantities so large that it would not fit are scaled down first.
    """
    peak = int(totals.max(initial=0))
    scale = max(1, -(-peak * half_width**2 * 4 // 2**62))
    return _smooth(totals if scale == 1 else totals // scale, half_width)


@compiled
def _sum_rows(levels, quantities, low, width):  # type: ignore[no-untyped-def]
    totals = np.zeros(levels[-1] // width - low + 1, np.int64)
    for i in range(len(levels)):
        totals[levels[i] // width - low] += quantities[i]
    return totals


@compiled
def _find_control(totals, width, exclusion):  # type: ignore[no-untyped-def]
    """The heaviest row, of equal ones that nearest the centre, then the lowest; its rival, -1 for none."""
    n = len(totals)
    best = 0
    for i in range(1, n):
        nearer = abs(2 * i - (n - 1)) < abs(2 * best - (n - 1))
        if totals[i] > totals[best] or (totals[i] == totals[best] and nearer):
            best = i
    rival = -1
    for i in range(n):
        if abs(i - best) * width > exclusion and (rival < 0 or totals[i] > totals[rival]):
            rival = i
    return best, rival


@compiled
def _find_area(totals, start, share, step):  # type: ignore[no-untyped-def]
    total = totals.sum()
    low, high = start, start
    volume = totals[start]
    while volume < share * total:
        above = totals[high + 1 : high + 1 + step].sum()
        below = totals[max(0, low - step) : low].sum()
        if high + 1 >= len(totals) or (below > above and low > 0):
            low = max(0, low - step)
            volume += below
        else:
            high = min(len(totals) - 1, high + step)
            volume += above
    return low, high, volume, total


@compiled
def _smooth(totals, half_width):  # type: ignore[no-untyped-def]
    """Two running box sums make the triangle."""
    n = len(totals)
    pad = half_width - 1
    box_sums = np.empty(n + pad, np.int64)
    running = np.int64(0)
    for i in range(n + pad):
        if i < n:
            running += totals[i]
        if i - half_width >= 0:
            running -= totals[i - half_width]
        box_sums[i] = running
    out = np.empty(n, np.int64)
    running = np.int64(0)
    for i in range(n + pad):
        running += box_sums[i]
        if i - half_width >= 0:
            running -= box_sums[i - half_width]
        if i >= pad:
            out[i - pad] = running
    return out


@compiled
def _peaks(profile, sign, min_prominence):  # type: ignore[no-untyped-def]
    """
    Inner maxima (the middle of a plateau) of a profile, minima for a sign of −1, with their topographic prominence;
    one sweep each way for the bases.
    """
    values = sign * profile
    n = len(values)
    bins = np.empty(n, np.int64)
    count = 0
    i = 1
    while i < n - 1:
        if values[i] > values[i - 1]:
            end = i
            while end + 1 < n and values[end + 1] == values[i]:
                end += 1
            if end < n - 1 and values[end + 1] < values[i]:
                bins[count] = (i + end) // 2
                count += 1
            i = end + 1
        else:
            i += 1
    heights = np.empty(count, np.float64)
    prominent = 0
    for k in range(count):
        top = values[bins[k]]
        left_base, right_base = top, top
        j = bins[k]
        while j >= 0 and values[j] <= top:
            left_base = min(left_base, values[j])
            j -= 1
        j = bins[k]
        while j < n and values[j] <= top:
            right_base = min(right_base, values[j])
            j += 1
        height = float(top - max(left_base, right_base))
        if height >= min_prominence and height > 0:
            bins[prominent], heights[prominent] = bins[k], height
            prominent += 1
    return bins[:prominent], heights[:prominent]
