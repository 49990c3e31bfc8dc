"""
The statistics of trades on the calibration page; each takes the trades alone, recorded or simulated.
"""

import numpy as np

from market.arrays import F64
from market.fixed_point import ONE_E8
from simulators.exchange.calibration.prints import SECOND_MS, Prints

_BASIS_POINTS = 1e4  # of a log return of 1
_MINUTE_S = 60
_HALF_HOUR_MIN = 30  # minutes whose volatility is taken as one
_MIN_MINUTES = 50  # beyond a lag: fewer pairs of minutes say nothing of a correlation
_ROUND_E8 = 100 * ONE_E8  # a round price: a multiple of 100 of the quote
_ORDER_BP = 5.0  # how far from the last price the orders of `measure_fills` rest
_ORDER_LIFE_MS = 3_600 * SECOND_MS  # how long they rest
_CENT_E8 = ONE_E8 // 100  # the tick of the recordings


def measure_response(prints: Prints, horizon_s: int) -> float:
    """The mean move of the trade price in the aggressor's direction within a horizon after each trade, bp."""
    later = np.searchsorted(prints.time_ms, prints.time_ms + horizon_s * SECOND_MS, "right") - 1
    inside = prints.time_ms + horizon_s * SECOND_MS <= prints.time_ms[-1]
    log_price = prints.log_price
    move = prints.sign * (log_price[later] - log_price)
    return float(move[inside].mean()) * _BASIS_POINTS


def measure_flow_share(prints: Prints, span_s: int) -> float:
    """R² of the signed volume of a span on the return of the same span; NaN where either never varies."""
    signed = prints.sum_by_span(prints.sign * prints.quantity, span_s)
    return _correlation(signed, prints.returns(span_s)) ** 2


def measure_sign_memory(prints: Prints, lag: int) -> float:
    """The autocorrelation of the aggressors' signs at a lag in trades."""
    sign = prints.sign
    return _correlation(sign[:-lag], sign[lag:])


def measure_volume_return(prints: Prints) -> float:
    """The correlation of the volume of a minute with the absolute return of the same minute."""
    volume = prints.sum_by_span(prints.quantity, _MINUTE_S)
    return _correlation(volume, np.abs(prints.returns(_MINUTE_S)))


def measure_variance_ratio(prints: Prints, short_s: int = 1, long_s: int = _MINUTE_S) -> float:
    """The mean square return of short spans, scaled up to the long span, over that of long ones; 1 for a martingale."""
    short, long = prints.returns(short_s), prints.returns(long_s)
    covered = len(long) * long_s // short_s
    return float((short[:covered] ** 2).mean() * long_s / short_s / (long**2).mean())


def measure_later_flow(prints: Prints, span_s: int = 10, lag_s: int = 2) -> float:
    """
    The return of a span that begins a lag after another span, per sign summed over that one, over the return within it:
    0 for a martingale, above 0 for prices that go on as flow went. NaN where either never varies.
    """
    sign, move = prints.sum_by_span(prints.sign, 1), prints.returns(1)
    count = (len(move) - lag_s) // span_s - 1
    if count < 2:
        return float("nan")
    flow, within, later = (
        values[start : start + count * span_s].reshape(count, span_s).sum(axis=1)
        for values, start in ((sign, 0), (move, 0), (move, span_s + lag_s))
    )
    scale = float((flow * within).sum())
    return float((flow * later).sum()) / scale if scale != 0.0 else float("nan")


def measure_trade_move(prints: Prints) -> float:
    """The mean absolute move from one trade to the next, bp."""
    return float(np.abs(np.diff(prints.log_price)).mean()) * _BASIS_POINTS


def measure_still_share(prints: Prints) -> float:
    """The share of trades at exactly the price of the trade before."""
    return float((np.diff(prints.price_e8) == 0).mean())


def measure_bounce(prints: Prints) -> float:
    """The mean absolute distance of a buy from the sell just before it, where that lies within a second, bp."""
    pairs = prints.seller[:-1] & ~prints.seller[1:] & (np.diff(prints.time_ms) <= SECOND_MS)
    return float(np.abs(np.diff(prints.log_price)[pairs]).mean()) * _BASIS_POINTS


def measure_fills(prints: Prints) -> tuple[float, float]:
    """
    The fills of orders that are placed every minute 5 bp below and above the last trade, each for an hour.

    Returns:
        The share of fills by a trade at exactly the order's price, and the median distance of the first trade at the
        price or beyond it from the price, bp. NaN without a fill.
    """
    starts = prints.last_at(prints.start_ms + SECOND_MS * _MINUTE_S * np.arange(1, prints.seconds // _MINUTE_S))
    overshoots = []
    for start in np.unique(starts):
        stop = int(np.searchsorted(prints.time_ms, prints.time_ms[start] + _ORDER_LIFE_MS))
        later = prints.price_e8[start + 1 : stop]
        for side in (-1, 1):
            asked = prints.price_e8[start] * (1.0 + side * _ORDER_BP / _BASIS_POINTS)
            price_e8 = round(asked / _CENT_E8) * _CENT_E8
            beyond = side * (later - price_e8)
            first = int(np.argmax(beyond >= 0)) if len(later) else 0
            if len(later) and beyond[first] >= 0:
                overshoots.append(beyond[first] / price_e8 * _BASIS_POINTS)
    if not overshoots:
        return float("nan"), float("nan")
    distance = np.array(overshoots)
    return float((distance == 0).mean()), float(np.median(distance))


def measure_size_ratio(prints: Prints, percent: float) -> float:
    """A percentile of trade sizes over their median."""
    return float(np.percentile(prints.quantity, percent) / np.median(prints.quantity))


def measure_round_share(prints: Prints) -> float:
    """The share of volume at prices that are multiples of 100."""
    at_round = prints.price_e8 % _ROUND_E8 == 0
    return float(prints.quantity[at_round].sum() / prints.quantity.sum())


def measure_volatility_memory(prints: Prints, lag_min: int) -> float:
    """The autocorrelation of the absolute returns of minutes at a lag in minutes; NaN where the record is too short."""
    size = np.abs(prints.returns(_MINUTE_S))
    if len(size) < lag_min + _MIN_MINUTES:
        return float("nan")
    deviation = size - size.mean()
    return float((deviation[:-lag_min] * deviation[lag_min:]).mean() / deviation.var())


def measure_volatility_spread(prints: Prints) -> float:
    """
    The standard deviation of the logarithm of volatility from half hour to half hour: the root mean square of the
    returns of its minutes. NaN below four half hours; one without any return does not count.
    """
    returns = prints.returns(_MINUTE_S)
    half_hours = len(returns) // _HALF_HOUR_MIN
    if half_hours < 4:
        return float("nan")
    squares = (returns[: half_hours * _HALF_HOUR_MIN].reshape(half_hours, -1) ** 2).mean(axis=1)
    return float(np.log(squares[squares > 0.0]).std() / 2.0)


def _correlation(first: F64, second: F64) -> float:
    if len(first) < 2 or first.std() == 0.0 or second.std() == 0.0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
