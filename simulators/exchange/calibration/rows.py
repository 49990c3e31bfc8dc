"""
The rows of the calibration page: each statistic, the band that the simulated market must meet, and why that band.
"""

from collections.abc import Callable
from dataclasses import dataclass

from simulators.exchange.calibration import statistics as of
from simulators.exchange.calibration.prints import Prints
from simulators.exchange.calibration.samples import Sample
from simulators.exchange.calibration.walls import measure_wall_life


@dataclass(frozen=True, slots=True)
class Row:
    """
    A statistic and its band.

    Attributes:
        name: as printed, with its unit. measure: the statistic of a sample; NaN where the sample cannot tell.
        low, high: the band, both ends included. reason: for the band.
        mechanism: the field of `Mechanisms` without which the row leaves its band; None where no single one makes it.
    """

    name: str
    measure: Callable[[Sample], float]
    low: float
    high: float
    reason: str
    mechanism: str | None = None

    def passes(self, value: float) -> bool:
        """Whether a value lies within the band."""
        return self.low <= value <= self.high


def _of_prints(measure: Callable[[Prints], float]) -> Callable[[Sample], float]:
    return lambda sample: measure(sample.prints)


def _response(horizon_s: int) -> Row:
    return Row(
        f"response to a trade after {horizon_s} s, bp",
        _of_prints(lambda prints: of.measure_response(prints, horizon_s)),
        0.03,
        1.5,
        "above 0: 0.36 to 0.66 on the real day; the upper end allows for twice its volatility",
        "informed" if horizon_s == 60 else "slow_quotes",
    )


def _flow_share(span_s: int, mechanism: str | None = None) -> Row:
    return Row(
        f"R² of signed volume on the return, {span_s} s",
        _of_prints(lambda prints: of.measure_flow_share(prints, span_s)),
        *{1: (0.12, 0.4), 10: (0.2, 0.45), 60: (0.2, 0.5)}[span_s],
        "around the real day's 0.28, 0.30 and 0.35",
        mechanism,
    )


def _sign_memory(lag: int, low: float, high: float) -> Row:
    return Row(
        f"sign autocorrelation, lag {lag}",
        _of_prints(lambda prints: of.measure_sign_memory(prints, lag)),
        low,
        high,
        "from half the real day's up to the recording's",
    )


def _volatility_memory(lag_min: int, low: float, high: float, mechanism: str | None = None) -> Row:
    return Row(
        f"|return| autocorrelation of minutes, lag {lag_min}",
        _of_prints(lambda prints: of.measure_volatility_memory(prints, lag_min)),
        low,
        high,
        "the real day's; half a day of minutes leaves 0.1 of noise at long lags",
        mechanism,
    )


def _size_ratio(percent: float, low: float, high: float, mechanism: str | None = None) -> Row:
    return Row(
        f"trade size P{percent:g} over the median",
        _of_prints(lambda prints: of.measure_size_ratio(prints, percent)),
        low,
        high,
        "the real day's within half and double",
        mechanism,
    )


ROWS: tuple[Row, ...] = (
    _response(1),
    _response(10),
    _response(60),
    _flow_share(1, "impact"),
    _flow_share(10),
    _flow_share(60, "informed"),
    _sign_memory(1, 0.35, 0.8),
    _sign_memory(10, 0.18, 0.57),
    _sign_memory(50, 0.1, 0.25),
    _sign_memory(200, 0.028, 0.12),
    Row(
        "volume ~ |return| correlation, minutes",
        _of_prints(of.measure_volume_return),
        0.2,
        0.7,
        "around the real day's 0.47; one market of half a day differs from the next by 0.1",
    ),
    Row(
        "variance ratio, 1 s over 60 s",
        _of_prints(of.measure_variance_ratio),
        0.42,
        0.8,
        "below 1: quotes follow with a delay; around the real day's 0.56",
        "impact",
    ),
    Row(
        "mean move from trade to trade, bp",
        _of_prints(of.measure_trade_move),
        0.005,
        0.08,
        "the real day's 0.016 and the recording's 0.031, up to 2.5 times that: levels are further apart",
        "walks",
    ),
    Row(
        "trades at the price of the trade before",
        _of_prints(of.measure_still_share),
        0.18,
        0.65,
        "the real day's 0.43, the recording's 0.62; a finer tick lowers it",
    ),
    Row(
        "gap of a buy from a sell within 1 s, bp",
        _of_prints(of.measure_bounce),
        0.0,
        0.08,
        "a narrow book: the real day's 0.009 and the recording's 0.029, up to 2.5 times that",
        "walks",
    ),
    Row(
        "fills at exactly the order's price",
        _of_prints(lambda prints: of.measure_fills(prints)[0]),
        0.03,
        0.25,
        "the real day's 0.08; none at all in the recording's ten orders",
    ),
    Row(
        "overshoot of fills, median, bp",
        _of_prints(lambda prints: of.measure_fills(prints)[1]),
        0.0,
        0.12,
        "the real day's 0.02; price reaches an order by small steps",
        "walks",
    ),
    _size_ratio(25, 0.2, 0.95, "heavy_sizes"),
    _size_ratio(75, 2.4, 9.7, "heavy_sizes"),
    _size_ratio(99, 200.0, 800.0, "heavy_sizes"),
    Row(
        "volume at multiples of $100",
        _of_prints(of.measure_round_share),
        0.01,
        0.09,
        "the real day's 0.042 and the recording's 0.009, half and double; a hundredth of prices would hold 0.0001",
        "round_orders",
    ),
    _volatility_memory(1, 0.1, 0.6),
    _volatility_memory(60, 0.02, 0.3),
    _volatility_memory(240, -0.25, 0.25),
    Row(
        "spread of log volatility, half hours",
        _of_prints(of.measure_volatility_spread),
        0.28,
        0.7,
        "volatility changes over hours: the real day's 0.35 up to twice that",
        "slow_volatility",
    ),
    Row(
        "natural walls that hold 5 min",
        lambda sample: measure_wall_life(sample.minutes).held,
        0.2,
        0.95,
        "most of them: see the recording",
        "held_walls",
    ),
    Row(
        "natural walls that are pulled within 5 min",
        lambda sample: measure_wall_life(sample.minutes).pulled,
        0.02,
        0.6,
        "some of them: see the recording",
    ),
    Row(
        "natural walls that creep within 5 min",
        lambda sample: measure_wall_life(sample.minutes).moved,
        0.02,
        0.4,
        "some of them: see the recording",
    ),
)
"""The page, in order."""
