"""
The trades that the statistics are computed from: the same columns for simulated and recorded markets.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.arrays import F64, I64

SECOND_MS = 1_000  # times are in milliseconds


@dataclass(frozen=True, slots=True)
class Prints:
    """
    n trades in order.

    Attributes:
        time_ms: (n,) trade times, ms, never falling.
        price_e8: (n,) prices, 1e-8 quote.
        quantity: (n,) in base coins.
        seller: (n,) whether the seller was the aggressor.
    """

    time_ms: I64
    price_e8: I64
    quantity: F64
    seller: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time_ms)

    @property
    def log_price(self) -> F64:
        """(n,) natural logarithms of the prices."""
        logs: F64 = np.log(self.price_e8.astype(np.float64))
        return logs

    @property
    def sign(self) -> F64:
        """(n,) +1 where the buyer was the aggressor, −1 where the seller was."""
        signs: F64 = np.where(self.seller, -1.0, 1.0)
        return signs

    @property
    def start_ms(self) -> int:
        """The whole second in which the first trade lies, ms."""
        return int(self.time_ms[0]) // SECOND_MS * SECOND_MS

    @property
    def seconds(self) -> int:
        """Whole seconds from the start to the last trade."""
        return (int(self.time_ms[-1]) - self.start_ms) // SECOND_MS

    def last_at(self, time_ms: I64) -> I64:
        """The index of the last trade before each time (ms), 0 where there is none."""
        index: I64 = np.maximum(np.searchsorted(self.time_ms, time_ms, "left") - 1, 0)
        return index

    def returns(self, span_s: int) -> F64:
        """The log returns of whole spans of so many seconds, of the last trade at each boundary."""
        count = self.seconds // span_s
        ends = self.start_ms + SECOND_MS * span_s * np.arange(count + 1)
        result: F64 = np.diff(self.log_price[self.last_at(ends)])
        return result

    def sum_by_span(self, values: F64, span_s: int) -> F64:
        """The sums of a value per trade over the same spans as those of `returns`."""
        count = self.seconds // span_s
        span = (self.time_ms - self.start_ms) // (SECOND_MS * span_s)
        inside = span < count
        return np.bincount(span[inside], values[inside], minlength=count).astype(np.float64)
