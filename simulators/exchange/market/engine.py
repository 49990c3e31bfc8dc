"""
The simulated market: from a seed and a start it makes trades, book changes and snapshots, step by step.
"""

from dataclasses import dataclass, replace
from math import exp

import numpy as np

from market.arrays import I64
from market.timestamps import MILLISECOND_NS
from simulators.exchange.errors import ParameterError
from simulators.exchange.market import kernel, layout
from simulators.exchange.market.book_levels import nearest_levels
from simulators.exchange.market.layout import Book, Rates
from simulators.exchange.market.parameters import STEP_NS, MarketParameters
from simulators.exchange.market.pulls import Volatility
from simulators.exchange.market.rates import rates_of, usual_volatility
from simulators.exchange.market.trades import FIELDS, Trades, no_trades

_STEPS_OF_ROOM = 4  # of the largest size; a batch ends where the room does


@dataclass(frozen=True, slots=True)
class DepthDiff:
    """
    The levels that changed, with their new quantities; quantity 0 means the level is removed.

    Attributes:
        first_update_id: U, one above the last diff's u.
        last_update_id: u; one below U where nothing changed.
        bids: prices and quantities (1e-8), highest price first.
        asks: the same, lowest price first.
    """

    first_update_id: int
    last_update_id: int
    bids: tuple[I64, I64]
    asks: tuple[I64, I64]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of 100 ms: its end (ns UTC), its aggTrades, and the levels that changed."""

    time_ns: int
    trades: Trades
    depth: DepthDiff


class MarketEngine:
    """
    A market on virtual time.

    Prices, sizes, ids and books follow from parameters and generator alone; the times passed in only stamp trades.

    Args:
        parameters: the market.
        rng: a seeded generator that nothing else uses.
        start_ns: when the first step begins, ns UTC.
    """

    def __init__(self, parameters: MarketParameters, rng: np.random.Generator, start_ns: int) -> None:
        self.parameters = parameters
        self._rng = rng
        self._rates = rates_of(parameters)
        self._book = _empty_book(parameters)
        self._out = layout.empty_output(_STEPS_OF_ROOM)
        self._now_ns = start_ns
        kernel.seed_book(self._book, self._out, self._rates, rng)

    @property
    def book(self) -> Book:
        """The arrays of the hot loop, for planted structures."""
        return self._book

    @property
    def rates(self) -> Rates:
        """The constants of the hot loop."""
        return self._rates

    @property
    def now_ns(self) -> int:
        """The end of the last step, or the start."""
        return self._now_ns

    @property
    def last_update_id(self) -> int:
        """The book's last update id."""
        return int(self._book.state[layout.UPDATE])

    @property
    def next_agg_id(self) -> int:
        """The id of the next aggTrade."""
        return int(self._book.state[layout.NEXT_AGG])

    @property
    def fair_price_e8(self) -> int:
        """The quoted price as a tick: no bid lies above it and no ask at or below it."""
        return int(self._book.state[layout.FAIR]) * self.parameters.tick_size_e8

    @property
    def volatility(self) -> Volatility:
        """The volatility of the fair price per minute, now and on average."""
        usual = usual_volatility(self.parameters)
        flow = self._book.flow
        log_sigma = flow[layout.LOG_VOLATILITY] + self._rates.activity_pull * flow[layout.LOG_ACTIVITY]
        sigma_bp = usual.usual_bp * exp(float(log_sigma))
        return replace(usual, sigma_bp=sigma_bp)

    @property
    def level_counts(self) -> tuple[int, int]:
        """Number of bid and of ask levels in the book."""
        return int(self._book.state[layout.BIDS]), int(self._book.state[layout.ASKS])

    def step(self, now_ns: int) -> Step:
        """
        Make 100 ms of market; its trades are stamped from the last step's end up to `now_ns`.

        Raises:
            ValueError: the time is before the end of the last step.
        """
        return self._run([now_ns])[0]

    def run(self, count: int, step_ns: int = STEP_NS) -> list[Step]:
        """Make `count` steps that end `step_ns` apart; the same as that many calls of `step`, but faster."""
        return self._run([self._now_ns + (i + 1) * step_ns for i in range(count)])

    def snapshot(self, limit: int | None = None) -> tuple[int, tuple[I64, I64], tuple[I64, I64]]:
        """
        The book now.

        Args:
            limit: number of levels per side, at most; None for all.

        Returns:
            Last update id, then prices and quantities (1e-8) of bids, highest first, and of asks, lowest first.
        """
        count = layout.MAX_LEVELS if limit is None else limit
        return self.last_update_id, self._nearest(0, count), self._nearest(1, count)

    def _nearest(self, side: int, limit: int) -> tuple[I64, I64]:
        ticks, quantity_e8 = nearest_levels(self._book, side, limit)
        return ticks * self.parameters.tick_size_e8, quantity_e8

    def _run(self, ends_ns: list[int]) -> list[Step]:
        steps: list[Step] = []
        while len(steps) < len(ends_ns):
            previous_id = self.last_update_id
            count = kernel.advance(self._book, self._out, self._rates, self._rng, len(ends_ns) - len(steps))
            trade_start = level_start = 0
            for trade_stop, level_stop, update_id in self._out.ends[:, :count].T.tolist():
                now_ns = ends_ns[len(steps)]
                trades = self._trades(trade_start, trade_stop, now_ns)
                depth = self._diff(level_start, level_stop, previous_id + 1, update_id)
                steps.append(Step(now_ns, trades, depth))
                trade_start, level_start, previous_id = trade_stop, level_stop, update_id
                self._now_ns = now_ns
        return steps

    def _trades(self, start: int, stop: int, now_ns: int) -> Trades:
        span_ns = now_ns - self._now_ns
        if span_ns < 0:
            raise ValueError(f"a step cannot end {-span_ns} ns before the one it follows")
        if start == stop:
            return no_trades()
        rows = self._out.trades[:, start:stop]
        time_ns = self._now_ns + rows[layout.OFFSET] * span_ns // 1_000_000
        columns = np.empty((FIELDS, stop - start), np.int64)
        columns[0] = rows[layout.AGG]
        columns[1] = rows[layout.TICK] * self.parameters.tick_size_e8
        columns[2:5] = rows[layout.QUANTITY : layout.LAST + 1]
        columns[5] = time_ns - time_ns % MILLISECOND_NS
        columns[6] = rows[layout.SELLER]
        return Trades(columns)

    def _diff(self, start: int, stop: int, first_update_id: int, last_update_id: int) -> DepthDiff:
        side, tick, quantity = self._out.levels[:, start:stop]
        price_e8 = tick * self.parameters.tick_size_e8
        bid = side == 0
        bids = price_e8[bid][::-1], quantity[bid][::-1]
        return DepthDiff(first_update_id, last_update_id, bids, (price_e8[~bid], quantity[~bid]))


def _empty_book(parameters: MarketParameters) -> Book:
    size = 1 << (8 * parameters.reach_ticks - 1).bit_length()
    if size > 1 << 25:
        raise ParameterError("the tick is too fine for this price: the book would need more than 33 million ticks")
    book = layout.empty_book(size)
    state = book.state
    state[layout.FAIR] = parameters.start_tick
    state[layout.BASE] = parameters.start_tick - size // 2
    state[layout.NEXT_AGG] = parameters.first_agg_id
    state[layout.NEXT_TRADE] = parameters.first_trade_id
    state[layout.UPDATE] = parameters.first_update_id
    return book
