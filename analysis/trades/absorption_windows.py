"""
The sliding windows of absorption: what each band took, and the baseline of the hour before.
"""

import msgspec
import numpy as np

from analysis.parameters import OrderFlowParameters
from analysis.trades.level_tests import Reach
from market.arrays import F64, I64
from market.compiled import compiled
from market.timestamps import SECOND_NS
from projections.trades.trade_columns import Trades

ENDS = 60
"""Number of windows that end in the last minute: one a second."""

_ABOVE_PRICES = 2**62  # `LARGEST_E8`: no price passes it
_MAX_CELLS = 4096  # bounds memory: a very wide window beside a very small ε is measured in wider bands


class Frame(msgspec.Struct, frozen=True):
    """
    The last minutes of trades, cut for windows; window i ends ENDS − 1 − i seconds before the tick.

    Attributes:
        trades: of the ENDS − 1 seconds and one window before the tick.
        offsets: where each second of them begins, and the end.
        near_e8: ε.
        mean, sd: of the heaviest band of each window of the hour before those: of sellers, and of buyers.
        baseline_windows: number of windows in that hour.
    """

    trades: Trades
    end_ns: int
    window_s: int
    offsets: I64
    near_e8: int
    mean: tuple[float, float]
    sd: tuple[float, float]
    baseline_windows: int

    def stop_ns(self, end: int) -> int:
        """The time at which a window ends."""
        return self.end_ns - (ENDS - 1 - end) * SECOND_NS

    def trades_in(self, end: int) -> Trades:
        """The trades of a window."""
        return self.trades.part(int(self.offsets[end]), int(self.offsets[end + self.window_s]))

    def trades_since(self, end: int) -> Trades:
        """The trades from a window's end to the tick."""
        return self.trades.part(int(self.offsets[end + self.window_s]), len(self.trades))


class BandVolume(msgspec.Struct, frozen=True):
    """
    The volume of a band of prices.

    Attributes:
        volume_e8: all of it. price_e8: where in the heaviest bin most was traded; of equal ones the lowest.
        inside_e8: volume of that bin.
    """

    volume_e8: int
    price_e8: int
    inside_e8: int


def build_frame(trades: Trades, reach: Reach | None, end_ns: int, parameters: OrderFlowParameters) -> Frame | None:
    """
    Cut the trades before a tick into windows.

    Args:
        trades: of the hour before the last minutes at least.
        reach: `near_e8` is ε, `cell_e8` the width of half a band; None without σ.
        end_ns: the tick.
        parameters: length of a window and of the baseline.

    Returns:
        None without σ, or where the hour before is shorter than `absorption_least_min` windows.
    """
    window_ns = parameters.absorption_window_s * SECOND_NS
    first_ns = end_ns - (ENDS - 1) * SECOND_NS - window_ns
    if reach is None or len(trades) == 0:
        return None
    count = min(parameters.absorption_baseline_min, (first_ns - int(trades.time_ns[0])) // window_ns)
    if count < max(2, parameters.absorption_least_min):
        return None
    hour = trades.between(first_ns - count * window_ns, first_ns)
    edges = first_ns - np.arange(count, -1, -1, dtype=np.int64) * window_ns
    hour_offsets = np.searchsorted(hour.time_ns, edges).astype(np.int64)
    volumes = _measure_heaviest_bands(hour.price_e8, hour.quantity_e8, hour.sign, hour_offsets, reach.cell_e8).astype(
        np.float64
    )
    mean, sd = volumes.mean(axis=1).tolist(), volumes.std(axis=1, ddof=1).tolist()
    last = trades.between(first_ns, end_ns)
    seconds = first_ns + np.arange(ENDS + parameters.absorption_window_s, dtype=np.int64) * SECOND_NS
    offsets = np.searchsorted(last.time_ns, seconds).astype(np.int64)
    return Frame(
        trades=last,
        end_ns=end_ns,
        window_s=parameters.absorption_window_s,
        offsets=offsets,
        near_e8=reach.near_e8,
        mean=(round(mean[0], 1), round(mean[1], 1)),
        sd=(round(sd[0], 1), round(sd[1], 1)),
        baseline_windows=count,
    )


def excess_deviations(frame: Frame, side: int, volume: I64) -> F64:
    """
    How many standard deviations above the hour's mean each volume lies.

    Args:
        frame: with the hour's mean and deviation.
        side: 0 for sellers, 1 for buyers.
        volume: (n,) volumes.

    Returns:
        (n,) to 4 decimals; −1 where the hour has no spread.
    """
    mean, sd = frame.mean[side], frame.sd[side]
    if sd <= 0:
        return np.full(len(volume), -1.0)
    z: F64 = np.round((volume.astype(np.float64) - mean) / sd, 4)
    return z


def measure_band(frame: Frame, side: int, end: int, low_e8: int, high_e8: int, bin_e8: int) -> BandVolume | None:
    """
    Measure what sellers or buyers took in a band of prices within a window.

    Args:
        frame: the last minutes.
        side: 0 for sellers, 1 for buyers.
        end: index of the window.
        low_e8, high_e8: the band, both inclusive.
        bin_e8: width of the bins among which the heaviest is found.

    Returns:
        None where nothing was traded.
    """
    trades = frame.trades_in(end)
    inside = (trades.sign == 2 * side - 1) & (trades.price_e8 >= low_e8) & (trades.price_e8 <= high_e8)
    price, quantity = trades.price_e8[inside], trades.quantity_e8[inside]
    if len(price) == 0:
        return None
    order = np.argsort(price)
    return BandVolume(*(int(v) for v in _find_heaviest(price[order], quantity[order], bin_e8)))


def find_best_windows(frame: Frame, level_e8: I64) -> I64:
    """
    Find for each of k levels, bid and ask, the window in which it held and absorbed most.

    Returns:
        (k, 2) indices of windows; −1 where it absorbed nothing.
    """
    t = frame.trades
    return _find_best_windows(t.price_e8, t.quantity_e8, t.sign, frame.offsets, frame.window_s, level_e8, frame.near_e8)


def measure_extremes(frame: Frame) -> tuple[I64, I64]:
    """
    Measure for each window what sellers took within 2ε of its low and buyers within 2ε of its high.

    Returns:
        (2, ENDS) volumes, and (2, ENDS) lows and highs; −1 where a window has no trade.
    """
    t = frame.trades
    return _measure_extremes(t.price_e8, t.quantity_e8, t.sign, frame.offsets, frame.window_s, frame.near_e8)


@compiled
def _find_heaviest(prices, quantities, width):  # type: ignore[no-untyped-def]
    """Of rising prices the total quantity, the heaviest price of the heaviest bin, and that bin's quantity."""
    total, heavy, max_volume = np.int64(0), np.int64(0), np.int64(-1)
    i, n = 0, len(prices)
    while i < n:
        bin_index, bin_volume, best, best_price = prices[i] // width, np.int64(0), np.int64(-1), np.int64(0)
        while i < n and prices[i] // width == bin_index:
            price, price_volume = prices[i], np.int64(0)
            while i < n and prices[i] == price:
                price_volume += quantities[i]
                i += 1
            bin_volume += price_volume
            if price_volume > best:
                best, best_price = price_volume, price
        total += bin_volume
        if bin_volume > max_volume:
            max_volume, heavy = bin_volume, best_price
    return total, heavy, max_volume


@compiled
def _find_best_windows(prices, quantities, signs, offsets, window_s, levels, near_e8):  # type: ignore[no-untyped-def]
    seconds = len(offsets) - 1
    best = np.full((len(levels), 2), -1, np.int64)
    volumes = np.empty((2, seconds + 1), np.int64)
    breaks = np.empty((2, seconds + 1), np.int64)  # seconds in which price went beyond
    for k in range(len(levels)):
        low, high = levels[k] - near_e8, levels[k] + near_e8
        volumes[:, 0] = 0
        breaks[:, 0] = 0
        for second in range(seconds):
            sold, bought, is_below, is_above = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
            for i in range(offsets[second], offsets[second + 1]):
                if prices[i] < low:
                    is_below = np.int64(1)
                elif prices[i] > high:
                    is_above = np.int64(1)
                elif signs[i] < 0:
                    sold += quantities[i]
                else:
                    bought += quantities[i]
            volumes[0, second + 1], volumes[1, second + 1] = volumes[0, second] + sold, volumes[1, second] + bought
            breaks[0, second + 1], breaks[1, second + 1] = breaks[0, second] + is_below, breaks[1, second] + is_above
        for side in range(2):
            max_volume = np.int64(0)
            for end in range(ENDS):
                volume = volumes[side, end + window_s] - volumes[side, end]
                if volume > max_volume and breaks[side, end + window_s] == breaks[side, end]:
                    max_volume, best[k, side] = volume, end
    return best


@compiled
def _measure_extremes(prices, quantities, signs, offsets, window_s, near_e8):  # type: ignore[no-untyped-def]
    """A trade lies in many windows: only seconds that an edge of a window's band cuts are read trade by trade."""
    seconds = _sum_seconds(prices, quantities, signs, offsets)
    volumes = np.full((2, ENDS), -1, np.int64)
    extreme = np.full((2, ENDS), -1, np.int64)
    for end in range(ENDS):
        if offsets[end] >= offsets[end + window_s]:
            continue
        low, high = seconds[end : end + window_s, 0].min(), seconds[end : end + window_s, 1].max()
        sold_to, bought_from = low + 2 * near_e8, high - 2 * near_e8
        sold, bought = np.int64(0), np.int64(0)
        for s in range(end, end + window_s):
            if seconds[s, 1] <= sold_to:
                sold += seconds[s, 2]
            elif seconds[s, 0] <= sold_to:
                for i in range(offsets[s], offsets[s + 1]):
                    sold += quantities[i] * np.int64(signs[i] < 0 and prices[i] <= sold_to)
            if seconds[s, 0] >= bought_from:
                bought += seconds[s, 3]
            elif seconds[s, 1] >= bought_from:
                for i in range(offsets[s], offsets[s + 1]):
                    bought += quantities[i] * np.int64(signs[i] >= 0 and prices[i] >= bought_from)
        volumes[0, end], volumes[1, end] = sold, bought
        extreme[0, end], extreme[1, end] = low, high
    return volumes, extreme


@compiled
def _sum_seconds(prices, quantities, signs, offsets):  # type: ignore[no-untyped-def]
    """Low, high, sold and bought of each second; of a silent one a low above every price and a high below."""
    seconds = np.zeros((len(offsets) - 1, 4), np.int64)
    for s in range(len(seconds)):
        seconds[s, 0], seconds[s, 1] = _ABOVE_PRICES, -1
        for i in range(offsets[s], offsets[s + 1]):
            seconds[s, 0], seconds[s, 1] = min(seconds[s, 0], prices[i]), max(seconds[s, 1], prices[i])
            seconds[s, 3 if signs[i] >= 0 else 2] += quantities[i]
    return seconds


@compiled
def _measure_heaviest_bands(prices, quantities, signs, offsets, cell_e8):  # type: ignore[no-untyped-def]
    count = len(offsets) - 1
    max_volumes = np.zeros((2, count), np.int64)
    for k in range(count):
        start, stop = offsets[k], offsets[k + 1]
        if start >= stop:
            continue
        low, high = prices[start], prices[start]
        for i in range(start, stop):
            low, high = min(low, prices[i]), max(high, prices[i])
        width = cell_e8 * max(1, -(-(high - low) // (cell_e8 * _MAX_CELLS)))
        cells = np.zeros((2, (high - low) // width + 2), np.int64)
        i = start
        while i < stop:  # trades come in runs of one cell: a division a run, and its sums in registers
            cell = (prices[i] - low) // width
            from_price = low + cell * width
            volume, bought = np.int64(0), np.int64(0)
            while i < stop and from_price <= prices[i] < from_price + width:
                volume += quantities[i]
                bought += quantities[i] * np.int64(signs[i] >= 0)
                i += 1
            cells[0, cell] += volume - bought
            cells[1, cell] += bought
        for side in range(2):
            for lower in range(cells.shape[1] - 1):
                max_volumes[side, k] = max(max_volumes[side, k], cells[side, lower] + cells[side, lower + 1])
    return max_volumes
