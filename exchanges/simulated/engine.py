"""
The simulated market: takes a seed and a start, gives trades, book changes and snapshots, step by step.
"""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from exchanges.simulated import kernel
from exchanges.simulated.errors import ParameterError
from exchanges.simulated.kernel import Book, Output, Rates
from exchanges.simulated.parameters import STEP_NS, STEPS_A_DAY, MarketParameters
from exchanges.simulated.trades import FIELDS, Trades
from market.fixed_point import I64

_BATCHES_OF_ROOM = 4
_MILLISECOND_NS = 1_000_000

_MOVE_CHANCE = 0.35
_VOLATILITY_SPREAD = 0.35
_VOLATILITY_MEMORY_STEPS = 18_000  # half an hour
_EXCITEMENT_MEMORY_STEPS = 50
_BRANCHING = 0.6
_SWEPT_SHARE = 0.4
_LEVELS_A_SWEEP = 3.2
_LEVELS_AN_ORDER = 1.31


@dataclass(frozen=True, slots=True)
class DepthDiff:
    """
    The levels that changed, absolute; quantity 0 means the level is gone.

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
    """What 100 ms of market made: its end (ns UTC), its aggTrades, the levels it changed."""

    time_ns: int
    trades: Trades
    depth: DepthDiff


class MarketEngine:
    """
    A market on virtual time.

    Prices, sizes, ids and books follow from parameters and generator alone; the times passed in only stamp trades.

    Args:
        parameters: the market.
        rng: a seeded generator that nobody else draws from.
        start_ns: when the first step begins, ns UTC.
    """

    def __init__(self, parameters: MarketParameters, rng: np.random.Generator, start_ns: int) -> None:
        self.parameters = parameters
        self._rng = rng
        self._rates = _rates_of(parameters)
        self._book = _empty_book(parameters)
        room = _BATCHES_OF_ROOM
        self._out = Output(
            np.zeros((7, kernel.TRADE_ROOM * room), np.int64),
            np.zeros((3, kernel.LEVEL_ROOM * room), np.int64),
            np.zeros((3, kernel.LARGEST_BATCH), np.int64),
            np.zeros(kernel.LEVEL_ROOM, np.int64),
        )
        self._now_ns = start_ns
        kernel.seed_book(self._book, self._out, self._rates, rng)

    @property
    def now_ns(self) -> int:
        """The end of the last step, or the start."""
        return self._now_ns

    @property
    def last_update_id(self) -> int:
        """The book's last update id."""
        return int(self._book.state[kernel.UPDATE])

    @property
    def next_agg_id(self) -> int:
        """The id of the aggTrade to come."""
        return int(self._book.state[kernel.NEXT_AGG])

    @property
    def next_trade_id(self) -> int:
        """The id of the underlying trade to come."""
        return int(self._book.state[kernel.NEXT_TRADE])

    @property
    def fair_price_e8(self) -> int:
        """The exogenous price as a tick: no bid lies above it and no ask at or below it."""
        return int(self._book.state[kernel.FAIR]) * self.parameters.tick_size_e8

    @property
    def level_counts(self) -> tuple[int, int]:
        """How many bid and ask levels the book holds."""
        return int(self._book.state[kernel.BIDS]), int(self._book.state[kernel.ASKS])

    def step(self, now_ns: int) -> Step:
        """
        Make 100 ms of market; its trades are stamped from the last step's end up to `now_ns`.

        Raises:
            ValueError: for a time before the last step's end.
        """
        return self._run([now_ns])[0]

    def run(self, count: int, step_ns: int = STEP_NS) -> list[Step]:
        """Make `count` steps that end `step_ns` apart; the same as calling `step` that often, only faster."""
        return self._run([self._now_ns + (i + 1) * step_ns for i in range(count)])

    def snapshot(self, limit: int | None = None) -> tuple[int, tuple[I64, I64], tuple[I64, I64]]:
        """
        The book now.

        Args:
            limit: levels a side; all of them without it.

        Returns:
            Last update id, then prices and quantities (1e-8) of bids, highest first, and of asks, lowest first.
        """
        most = kernel.MOST_LEVELS if limit is None else limit
        return self.last_update_id, self._nearest(0, most), self._nearest(1, most)

    def _nearest(self, side: int, limit: int) -> tuple[I64, I64]:
        ticks, quantity_e8 = kernel.nearest_levels(self._book, side, limit)
        return ticks * self.parameters.tick_size_e8, quantity_e8

    def _run(self, ends_ns: list[int]) -> list[Step]:
        steps: list[Step] = []
        while len(steps) < len(ends_ns):
            before = self.last_update_id
            made = kernel.advance(self._book, self._out, self._rates, self._rng, len(ends_ns) - len(steps))
            trade_start = level_start = 0
            for i in range(made):
                trade_stop, level_stop, update = (int(end) for end in self._out.ends[:, i])
                now_ns = ends_ns[len(steps)]
                trades = self._trades(trade_start, trade_stop, now_ns)
                depth = self._diff(level_start, level_stop, before + 1, update)
                steps.append(Step(now_ns, trades, depth))
                trade_start, level_start, before = trade_stop, level_stop, update
                self._now_ns = now_ns
        return steps

    def _trades(self, start: int, stop: int, now_ns: int) -> Trades:
        span_ns = now_ns - self._now_ns
        if span_ns < 0:
            raise ValueError(f"a step cannot end {-span_ns} ns before the one it follows")
        made = self._out.trades[:, start:stop]
        time_ns = self._now_ns + made[kernel.OFFSET] * span_ns // 1_000_000
        columns = np.empty((FIELDS, stop - start), np.int64)
        columns[0] = made[kernel.AGG]
        columns[1] = made[kernel.TICK] * self.parameters.tick_size_e8
        columns[2:5] = made[kernel.QUANTITY : kernel.LAST + 1]
        columns[5] = time_ns - time_ns % _MILLISECOND_NS
        columns[6] = made[kernel.SELLER]
        return Trades(columns)

    def _diff(self, start: int, stop: int, first_update_id: int, last_update_id: int) -> DepthDiff:
        side, tick, quantity = self._out.levels[:, start:stop]
        price_e8 = tick * self.parameters.tick_size_e8
        bid = side == 0
        bids = price_e8[bid][::-1], quantity[bid][::-1]
        return DepthDiff(first_update_id, last_update_id, bids, (price_e8[~bid], quantity[~bid]))


def _rates_of(parameters: MarketParameters) -> Rates:
    reach = parameters.reach_ticks
    moves_a_day = STEPS_A_DAY * _MOVE_CHANCE
    trades_a_step = parameters.trades_per_second * STEP_NS / 1e9
    sweeps = min(_MOVE_CHANCE, _SWEPT_SHARE * trades_a_step / _LEVELS_A_SWEEP)
    orders = (trades_a_step - sweeps * _LEVELS_A_SWEEP) / _LEVELS_AN_ORDER
    decay = exp(-1.0 / _EXCITEMENT_MEMORY_STEPS)
    calm = exp(-1.0 / _VOLATILITY_MEMORY_STEPS)
    return Rates(
        start_tick=float(parameters.start_tick),
        lowest_tick=2 * reach,
        reach=reach,
        near_span=max(100, reach // 40),
        density=parameters.density,
        near_scale=max(2.0, reach / 4_000),
        typical_e8=float(parameters.typical_quantity_e8),
        step_e8=parameters.step_size_e8,
        move_chance=_MOVE_CHANCE,
        move_size=parameters.daily_volatility / sqrt(moves_a_day),
        largest_move=reach / 4.0 / parameters.start_tick,
        calm=calm,
        restlessness=_VOLATILITY_SPREAD * sqrt(1.0 - calm**2),
        volatility_variance=_VOLATILITY_SPREAD**2,
        sweep_chance=sweeps / _MOVE_CHANCE,
        order_rate=max(0.0, (1.0 - _BRANCHING) * orders - _BRANCHING * sweeps),
        order_decay=decay,
        order_kick=_BRANCHING * (1.0 - decay),
    )


def _empty_book(parameters: MarketParameters) -> Book:
    size = 1 << (8 * parameters.reach_ticks - 1).bit_length()
    if size > 1 << 25:
        raise ParameterError("the tick is too fine for this price: the book would need more than 33 million ticks")
    state = np.zeros(13, np.int64)
    state[kernel.FAIR] = parameters.start_tick
    state[kernel.BASE] = parameters.start_tick - size // 2
    state[kernel.NEXT_AGG] = parameters.first_agg_id
    state[kernel.NEXT_TRADE] = parameters.first_trade_id
    state[kernel.UPDATE] = parameters.first_update_id
    return Book(np.zeros(size, np.int64), state, np.zeros(3))
