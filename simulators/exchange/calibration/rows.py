"""
The rows of the calibration page: each statistic, the band that the simulated market must meet, and why that band.
"""

from collections.abc import Callable
from dataclasses import dataclass

from simulators.exchange.calibration import statistics as of
from simulators.exchange.calibration.prints import Prints
from simulators.exchange.calibration.samples import Sample
from simulators.exchange.calibration.walls import count_creeping, measure_wall_life


@dataclass(frozen=True, slots=True)
class Row:
    """
    A statistic and its band.

    Attributes:
        name: as printed, with its unit. measure: the statistic of a sample; NaN where the sample cannot tell.
        low, high: the band, both ends included. reason: for the band.
    """

    name: str
    measure: Callable[[Sample], float]
    low: float
    high: float
    reason: str

    def passes(self, value: float) -> bool:
        """Whether a value lies within the band."""
        return self.low <= value <= self.high


def _of_prints(measure: Callable[[Prints], float]) -> Callable[[Sample], float]:
    return lambda sample: measure(sample.prints)


def _real(name: str, measure: Callable[[Prints], float], low: float, high: float) -> Row:
    # The band of a statistic of trades: what the real day's parts were, widened by half its own size.
    reason = f"six-hour blocks of the real day: {low:g} to {high:g}; widened by a factor of {WIDENING:g}"
    return Row(name, _of_prints(measure), low / WIDENING, high * WIDENING, reason)


def _flow_share(span_s: int) -> Row:
    return Row(
        f"R² of signed volume on the return, {span_s} s",
        _of_prints(lambda prints: of.measure_flow_share(prints, span_s)),
        0.2,
        0.4,
        "asked for; 0.28, 0.30 and 0.35 on the real day",
    )


WIDENING = 1.5
"""One day of four blocks does not show how far days differ: the 2024 recording differs by about that much from it."""

ROWS: tuple[Row, ...] = (
    _real("response to a trade after 1 s, bp", lambda p: of.measure_response(p, 1), 0.236, 0.46),
    _real("response to a trade after 10 s, bp", lambda p: of.measure_response(p, 10), 0.44, 0.683),
    _real("response to a trade after 60 s, bp", lambda p: of.measure_response(p, 60), 0.484, 0.767),
    _flow_share(1),
    _flow_share(10),
    _flow_share(60),
    _real("sign autocorrelation, lag 1", lambda p: of.measure_sign_memory(p, 1), 0.409, 0.579),
    _real("sign autocorrelation, lag 10", lambda p: of.measure_sign_memory(p, 10), 0.278, 0.405),
    _real("sign autocorrelation, lag 50", lambda p: of.measure_sign_memory(p, 50), 0.142, 0.204),
    _real("sign autocorrelation, lag 200", lambda p: of.measure_sign_memory(p, 200), 0.045, 0.092),
    _real("volume ~ |return| correlation, minutes", of.measure_volume_return, 0.361, 0.576),
    _real("variance ratio, 1 s over 60 s", of.measure_variance_ratio, 0.48, 0.598),
    Row(
        "variance ratio, 10 s over 300 s",
        _of_prints(lambda prints: of.measure_variance_ratio(prints, 10, 300)),
        0.8,
        1.2,
        "asked for: a martingale has 1; half days differ by a fifth. The real day trends",
    ),
    Row(
        "return 2 s after flow of 10 s, over that within",
        _of_prints(of.measure_later_flow),
        -0.1,
        0.1,
        "asked for: a martingale has 0",
    ),
    _real("mean move from trade to trade, bp", of.measure_trade_move, 0.0100, 0.0191),
    _real("trades at the price of the trade before", of.measure_still_share, 0.376, 0.511),
    _real("gap of a buy from a sell within 1 s, bp", of.measure_bounce, 0.0048, 0.0120),
    _real("fills at exactly the order's price", lambda p: of.measure_fills(p)[0], 0.075, 0.1),
    _real("overshoot of fills, median, bp", lambda p: of.measure_fills(p)[1], 0.018, 0.03),
    _real("trade size P25 over the median", lambda p: of.measure_size_ratio(p, 25), 0.422, 0.508),
    _real("trade size P75 over the median", lambda p: of.measure_size_ratio(p, 75), 2.8, 6.56),
    _real("trade size P99 over the median", lambda p: of.measure_size_ratio(p, 99), 340.0, 527.0),
    _real("volume at multiples of $100", of.measure_round_share, 0.0077, 0.076),
    _real("|return| autocorrelation of minutes, lag 1", lambda p: of.measure_volatility_memory(p, 1), 0.056, 0.298),
    Row(
        "spread of log volatility, half hours",
        _of_prints(of.measure_volatility_spread),
        0.258 / WIDENING,
        0.372 * WIDENING,
        "volatility changes over hours: 0.258 and 0.372 in halves of the real day, widened by a factor of 1.5",
    ),
    Row(
        "natural walls that hold 5 min",
        lambda sample: measure_wall_life(sample.minutes).held,
        0.1,
        0.57,
        "3 of 11 in the recording: the 95 % interval of a share (Wilson 1927)",
    ),
    Row(
        "natural walls that creep within 5 min",
        lambda sample: measure_wall_life(sample.minutes).moved,
        0.21,
        0.72,
        "5 of 11 in the recording: the 95 % interval of a share",
    ),
    Row(
        "walls that change their place, per hour",
        lambda sample: count_creeping(sample.minutes),
        28.0,
        252.0,
        "84 in the recording, whose ten minutes allow a factor of three",
    ),
)
"""The page, in order."""
