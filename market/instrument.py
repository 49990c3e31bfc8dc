"""
A market, and the grid that it trades on.
"""

import re
from dataclasses import dataclass

from market.errors import BadMarket
from market.fixed_point import DECIMALS

_MARKET = re.compile(r"([a-z][a-z0-9_]{0,30}):([A-Z0-9]{2,30})")

# A market whose largest order passes this many coins keeps fewer quantity decimals, so that sums over days fit 2^62.
_MANY_COINS = 10**8


@dataclass(frozen=True, slots=True)
class Market:
    """One symbol at one venue, written `binance:BTCFDUSD`."""

    venue: str
    symbol: str

    @classmethod
    def parse(cls, text: str) -> "Market":
        """
        Read `venue:SYMBOL`.

        Raises:
            BadMarket: any other text.
        """
        match = _MARKET.fullmatch(text)
        if match is None:
            raise BadMarket(f"{text!r} is no market; write venue:SYMBOL, the symbol in capitals, e.g. binance:BTCFDUSD")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}"


@dataclass(frozen=True, slots=True)
class Instrument:
    """
    The grid and the state of a symbol.

    Attributes:
        status: as the venue gives it: TRADING, HALT, BREAK, CANCEL_ONLY; "unknown" where only trades were imported.
        tick_size_e8: step of prices, 1e-8 quote.
        step_size_e8: step of quantities, 1e-8 base.
        quantity_decimals: decimals of quantity counts; 8 but for coins counted in trillions.
        source: "venue" as read from exchangeInfo, "inferred" from the numbers of an import.
    """

    symbol: str
    status: str
    tick_size_e8: int
    step_size_e8: int
    min_notional_e8: int = 0
    quantity_decimals: int = DECIMALS
    source: str = "venue"


def quantity_decimals_for(largest_order_coins: int, step_decimals: int) -> int:
    """The number of quantity decimals of a market where one order may hold that many coins."""
    return DECIMALS if largest_order_coins < _MANY_COINS else min(DECIMALS, step_decimals)
