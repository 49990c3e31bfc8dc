"""
The arrays the hot loop works on: which row holds what.

Numba's cache does not see a change here: after one, clear `__pycache__`.
"""

from typing import NamedTuple

import numpy as np

from market.arrays import F64, I64

FEWEST_LEVELS, MAX_LEVELS = 5_500, 7_500
LEVEL_ROOM, TRADE_ROOM = 32_768, 2_048
LARGEST_BATCH = 4_096
EDIT_ROOM = 16_384

# What `Book.state` holds; BIDS and ASKS stay neighbours, so that BIDS + side finds the count of a side.
FAIR, BASE, LOW, HIGH, BIDS, ASKS, NEXT_AGG, NEXT_TRADE, UPDATE, TOUCHED, SELLING, TRADES, LEVELS, STEPS = range(14)
# … and what is planted: how many rows of each kind are in use, and a sweep to make in the next step.
ZONES, BARRIERS, PUSHES, EDITS, SWEEP_LEVELS, SWEEP_SELLER, SWEEP_QUANTITY, SWEEP_TAKEN = range(14, 22)
SWEEP_LOW, SWEEP_HIGH = 22, 23
STATE_SIZE = 24
# What `Book.flow` holds; PIN is the log price that PIN_PULL draws the market to.
LOG_PRICE, LOG_VOLATILITY, EXCITEMENT, LOG_ACTIVITY, PIN, PIN_PULL = range(6)
FLOW_SIZE = 6
# The rows of `Output.trades`.
AGG, TICK, QUANTITY, FIRST, LAST, SELLER, OFFSET = range(7)

# A zone is a range of ticks, both ends included, in which the background is held back.
ZONE_LOW, ZONE_HIGH, ZONE_KIND, ZONE_E6 = range(4)
FROZEN, ANCHORED, THINNED = 1, 2, 3
# A barrier is a tick the price does not pass while quantity stands there.
BARRIER_TICK, BARRIER_SIDE, SHOWN, HIDDEN, STANDS, TRADED, FIRST_STEP, LAST_STEP = range(8)
PRESSED, UNPRESSED = 1, 2  # whether a price that is held there sends takers
# A push is extra aggressor volume while the price is right.
PUSH_SELLER, PUSH_LOW, PUSH_HIGH, PUSH_STEP, PUSH_LEFT, PUSH_TAKEN = range(6)
BOTH_SIDES = 2
PLANT_ROOM = 64


class Book(NamedTuple):
    """The market: quantity per tick (1e-8 base), whole-number state, slow movers of the flow, and what is planted."""

    quantity: I64
    state: I64
    flow: F64
    zones: I64
    barriers: I64
    pushes: I64
    edits: I64


class Output(NamedTuple):
    """Where steps write: trades (7, n), levels (3, n: side, tick, quantity), what each step ended at, scratch."""

    trades: I64
    levels: I64
    ends: I64
    touched: I64


class Rates(NamedTuple):
    """The constants of a market, ready for the loop; lengths in ticks, chances and rates per step."""

    start_tick: float
    lowest_tick: int
    reach: int
    near_span: int
    near_visits: int
    even_ticks: float
    density: float
    near_scale: float
    far_ticks: float
    far_density: float
    ticks_a_bp: float
    level_unit_e8: float
    trade_unit_e8: float
    touch_e8: float
    step_e8: int
    natural_walls: bool
    longest_run: int
    level_ranks: F64
    level_sizes: F64
    trade_sizes: F64
    run_lengths: F64
    bin_ticks: int
    move_chance: float
    move_size: float
    largest_move: float
    calm: float
    restlessness: float
    volatility_variance: float
    activity_calm: float
    activity_restlessness: float
    activity_variance: float
    sweep_chance: float
    order_rate: float
    usual_excitement: float
    order_decay: float
    order_kick: float
    burst_chance: float
    burst_orders: float
    burst_boost: float
    burst_kick: float
    press_e8: float
    press_room: float


def empty_book(size: int) -> Book:
    """A grid of so many ticks with nothing on it, and nothing planted."""
    return Book(
        np.zeros(size, np.int64),
        np.zeros(STATE_SIZE, np.int64),
        np.zeros(FLOW_SIZE),
        np.zeros((PLANT_ROOM, 4), np.int64),
        np.zeros((PLANT_ROOM, 8), np.int64),
        np.zeros((PLANT_ROOM, 6), np.int64),
        np.zeros((EDIT_ROOM, 2), np.int64),
    )


def empty_output(batches: int) -> Output:
    """Room for at least so many of the largest steps."""
    return Output(
        np.zeros((7, TRADE_ROOM * batches), np.int64),
        np.zeros((3, LEVEL_ROOM * batches), np.int64),
        np.zeros((3, LARGEST_BATCH), np.int64),
        np.zeros(LEVEL_ROOM, np.int64),
    )
