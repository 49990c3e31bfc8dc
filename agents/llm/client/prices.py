"""
The cost of a reply in whole 1e-12 USD: by model, by cached and uncached tokens, by the hour.

Source: DeepSeek, models and pricing (November 2026). A price of n 1e-6 USD per million tokens is n 1e-12 USD per
token, so all sums are exact. Where a multiplier leaves a fraction, it is rounded up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from agents.llm.wire.api import Usage
from market.timestamps import DAY_NS, MINUTE_NS

USD_E12 = 10**12
"""Counts of 1e-12 USD in one dollar."""

_E6 = 10**6  # prices are held in whole millionths, so that sums are exact
_EPOCH = date(1970, 1, 1).toordinal()  # days are counted from here
_THURSDAY = 3  # the weekday of day 0


@dataclass(frozen=True, slots=True)
class Price:
    """
    One model's price, 1e-12 USD per token, and its multiplier in peak hours in 1e-6.
    """

    cache_hit_e12: int
    cache_miss_e12: int
    output_e12: int
    peak_multiplier_e6: int

    @classmethod
    def from_usd_per_million(
        cls, cache_hit: float, cache_miss: float, output: float, peak_multiplier: float
    ) -> "Price":
        """
        A price as providers print it.

        Args:
            cache_hit, cache_miss, output: USD per million tokens: cached and uncached prompt tokens, generated ones.
            peak_multiplier: how many times as much in peak hours, at least 1.
        """
        return cls(_to_e6(cache_hit), _to_e6(cache_miss), _to_e6(output), _to_e6(peak_multiplier))


@dataclass(frozen=True, slots=True)
class PeakHours:
    """
    The hours of higher prices: windows of the UTC day, Monday to Friday, holidays excepted.

    Attributes:
        minutes: from and until, as minutes of the day 0..1440, until not included.
        holidays: days that count as weekend.
    """

    minutes: tuple[tuple[int, int], ...] = ()
    holidays: frozenset[date] = frozenset()

    def contains(self, at_ns: int) -> bool:
        """Whether a time (UTC ns) is in peak hours."""
        day, minute = at_ns // DAY_NS, at_ns % DAY_NS // MINUTE_NS
        if (day + _THURSDAY) % 7 >= 5 or date.fromordinal(day + _EPOCH) in self.holidays:
            return False
        return any(start <= minute < until for start, until in self.minutes)


class PriceList:
    """
    The prices of one provider's models.

    Args:
        prices: by the model's name in a request. peak: the hours of the peak multiplier.
    """

    def __init__(self, prices: Mapping[str, Price], peak: PeakHours) -> None:
        self._prices = dict(prices)
        self._peak = peak

    def has_price(self, model: str) -> bool:
        """Whether a model has a price."""
        return model in self._prices

    def cost_e12(self, model: str, usage: Usage, at_ns: int) -> int:
        """
        The cost of a reply, 1e-12 USD, rounded up.

        Args:
            model: the model's name in the request.
            usage: the tokens that are billed.
            at_ns: UTC ns at which the request was sent.

        Raises:
            KeyError: the model has no price.
        """
        price = self._prices[model]
        prompt = usage.cache_hit * price.cache_hit_e12 + usage.cache_miss * price.cache_miss_e12
        plain = prompt + usage.completion * price.output_e12
        return -(-plain * price.peak_multiplier_e6 // _E6) if self._peak.contains(at_ns) else plain


def usd_e12(usd: float) -> int:
    """US dollars in 1e-12 USD, exact for the decimals that are written."""
    return int(Decimal(str(usd)) * USD_E12)


def _to_e6(value: float) -> int:
    exact = Decimal(str(value)) * _E6
    floor = int(exact)
    return floor if floor == exact else floor + 1
