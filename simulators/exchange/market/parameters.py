"""
The parameters of a simulated market: its symbol, grid, movement and depth.
"""

import re
from dataclasses import dataclass, field

from market.fixed_point import ONE_E8, format_e8
from simulators.exchange.errors import ParameterError
from simulators.exchange.market.flow.mechanisms import Mechanisms

BASIS_POINT = 1e-4  # of a price; distances are given in them
STEP_NS = 100_000_000  # a step is what the exchange publishes the book's changes in: 100 ms
STEPS_PER_DAY = 864_000  # of 100 ms
LEVELS_PER_SIDE = 5_000  # what the exchange answers with at most

_SYMBOL = re.compile(r"[A-Z0-9]{2,20}")
_QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "USD1", "BUSD", "EUR", "TRY", "BTC", "ETH", "BNB")
_MIN_TICKS = 20_000  # the lowest start price, in ticks


@dataclass(frozen=True, slots=True)
class MarketParameters:
    """
    A market to simulate.

    Attributes:
        symbol: base and quote written together, e.g. BTCFDUSD.
        start_price_e8: price at the start, 1e-8 quote; rounded down to the tick.
        tick_size_e8: step of prices, 1e-8 quote.
        step_size_e8: step of quantities, 1e-8 base.
        typical_quantity_e8: 75th percentile of level sizes within 16 bp, 1e-8 base; all sizes follow it.
        daily_volatility: standard deviation of the daily log return.
        trades_per_second: aggTrades per second, on average over days.
        history_trades_per_second: the same for the history before the start.
        activity_spread: standard deviation of the logarithm of the pace of orders, which wanders over half an hour.
        natural_walls: whether the book has walls and round-number stacks of its own.
        longest_run: number of levels that one order takes at most; below ten there are only planted sweeps.
        depth_reach: distance of the 5000th level from the mid, as a fraction of the price.
        first_agg_id: the first aggTrade the engine makes; the history ends one before it.
        first_trade_id: the first trade the engine makes; the history ends one before it.
        first_update_id: the book's last update id at the start.
        mechanisms: how orders and prices are made; all of them by default.
    """

    symbol: str = "BTCFDUSD"
    start_price_e8: int = 100_000 * ONE_E8
    tick_size_e8: int = 1_000_000
    step_size_e8: int = 1_000
    typical_quantity_e8: int = 2_000_000
    daily_volatility: float = 0.025
    trades_per_second: float = 3.0
    history_trades_per_second: float = 1.0
    activity_spread: float = 0.67
    natural_walls: bool = True
    longest_run: int = 100
    depth_reach: float = 0.016
    first_agg_id: int = 100_000_001
    first_trade_id: int = 250_000_001
    first_update_id: int = 30_000_000_000
    mechanisms: Mechanisms = field(default_factory=Mechanisms)

    def __post_init__(self) -> None:
        split_symbol(self.symbol)
        if self.tick_size_e8 <= 0 or self.step_size_e8 <= 0:
            raise ParameterError("tick size and quantity step must be above zero")
        if self.start_price_e8 < _MIN_TICKS * self.tick_size_e8:
            minimum = format_e8(_MIN_TICKS * self.tick_size_e8)
            raise ParameterError(
                f"the start price must be at least {minimum}: below it there is no room for 5000 levels per side"
            )
        if self.typical_quantity_e8 < self.step_size_e8:
            raise ParameterError("the typical quantity must be at least one quantity step")
        if not 0.0 <= self.daily_volatility <= 1.0:
            raise ParameterError(f"daily volatility must be between 0 and 1, not {self.daily_volatility}")
        if not 0.0 < self.trades_per_second <= 300.0 or not 0.0 < self.history_trades_per_second <= 300.0:
            raise ParameterError("trades per second must be above 0 and at most 300")
        if not 0.0 <= self.activity_spread <= 2.0:
            raise ParameterError(f"activity spread must be between 0 and 2, not {self.activity_spread}")
        if not 0.005 <= self.depth_reach <= 0.05:
            raise ParameterError(f"depth reach must be between 0.005 and 0.05 of the price, not {self.depth_reach}")

    @property
    def start_tick(self) -> int:
        """The start price in ticks."""
        return self.start_price_e8 // self.tick_size_e8

    @property
    def density(self) -> float:
        """The fraction of ticks that hold a level, far from the best price."""
        return min(0.9, LEVELS_PER_SIDE / (self.start_tick * self.depth_reach))

    @property
    def reach_ticks(self) -> int:
        """Number of ticks of 5000 levels at that density."""
        return int(LEVELS_PER_SIDE / self.density)


def split_symbol(symbol: str) -> tuple[str, str]:
    """
    Base and quote asset of a symbol.

    >>> split_symbol("BTCFDUSD")
    ('BTC', 'FDUSD')

    Raises:
        ParameterError: it is not an upper-case symbol, or its quote asset is not known.
    """
    if _SYMBOL.fullmatch(symbol):
        for quote in _QUOTES:
            if symbol.endswith(quote) and len(symbol) > len(quote):
                return symbol[: -len(quote)], quote
    raise ParameterError(f"{symbol!r} is no symbol known here; write e.g. BTCFDUSD (quotes: {', '.join(_QUOTES)})")
