"""
The arrays of the hot loop: what each row holds.

Numba's cache does not see a change here: after one, clear `__pycache__`.
"""

from typing import NamedTuple

import numpy as np

from market.arrays import F64, I64

MIN_LEVELS, MAX_LEVELS = 5_500, 7_500  # of a side: more than the 5,000 a client can ask for, so that the limit is felt
LEVEL_ROOM, TRADE_ROOM = 32_768, 2_048  # most levels and trades of one step
LARGEST_BATCH = 4_096  # steps of one call of the loop
MIN_FREE_TRADES = 512  # an order needs room for all its levels and for round prices on its way
EDIT_ROOM = 16_384  # edits of one step

# The rows of `Book.state`; BIDS and ASKS must stay neighbours: BIDS + side is the number of levels of a side.
FAIR, BASE, LOW, HIGH, BIDS, ASKS, NEXT_AGG, NEXT_TRADE, UPDATE, CHANGES, SELLING, TRADES, LEVELS, STEPS = range(14)
# … and of planted structures: the number of rows in use per kind, and a sweep to make in the next step.
ZONES, BARRIERS, PUSHES, EDITS, SWEEP_LEVELS, SWEEP_SELLER, SWEEP_QUANTITY, SWEEP_COUNT = range(14, 22)
SWEEP_LOW, SWEEP_HIGH, MIRRORS = 22, 23, 24
STATE_SIZE = 25
# The rows of `Book.flow`: LOG_PRICE is what makers quote, VALUE what the informed know, over the start price; SCALE is
# the volatility over the usual one; QUIET what makers learnt in this step without a trade, QUIET_WAITS how many such
# moves wait for orders to calm down; PIN is the log price that PIN_PULL draws the market to; from SIGNS on stand the
# mean signs of recent orders, over one span after the other.
LOG_PRICE, LOG_VOLATILITY, EXCITEMENT, LOG_ACTIVITY, PIN, PIN_PULL, VALUE, SCALE = range(8)
ANSWERS, MOVING, QUIET, QUIET_WAITS, SIGNS = range(8, 13)
SIGN_SPANS = 4
FLOW_SIZE = SIGNS + SIGN_SPANS
# The rows of `Output.trades`.
AGG, TICK, QUANTITY, FIRST, LAST, SELLER, OFFSET = range(7)

# A zone is a range of ticks, both ends included, in which the background is limited.
ZONE_LOW, ZONE_HIGH, ZONE_KIND, ZONE_E6 = range(4)
FROZEN, ANCHORED, THINNED = 1, 2, 3
# A barrier is a tick the price does not pass while quantity stands there.
BARRIER_TICK, BARRIER_SIDE, VISIBLE, HIDDEN, STANDS, VOLUME, FIRST_STEP, LAST_STEP = range(8)
PRESSED, UNPRESSED = 1, 2  # whether a price that is stopped there sends takers
# A push is extra aggressor volume while the price is right.
PUSH_SELLER, PUSH_LOW, PUSH_HIGH, PUSH_STEP, PUSH_REMAINING, PUSH_VOLUME = range(6)
BOTH_SIDES = 2
PLANT_ROOM = 64  # zones, barriers or pushes at a time
# A mirror is a tick at which the value is turned back: a bid's lies below the price, an ask's above it.
MIRROR_TICK, MIRROR_ASK = range(2)

# A natural wall: some keep their distance from the price, others stand.
WALL_TICK, WALL_QUANTITY, WALL_DISTANCE, WALL_ASK, WALL_STANDS = range(5)
WALL_ROOM = 16  # at a time


class Book(NamedTuple):
    """
    The arrays of a market.

    Attributes:
        quantity: 1e-8 base, by tick; the first element is the tick in the row BASE of `state`.
        state, flow: integers and floats of the market; rows as named above.
        zones, barriers, pushes: planted structures, one per row; columns as named above.
        edits: (n, 2): ticks and their new quantities, applied at the start of the next step.
        walls: natural walls, one per row; columns as named above.
        mirrors: planted edges, one per row; columns as named above.
    """

    quantity: I64
    state: I64
    flow: F64
    zones: I64
    barriers: I64
    pushes: I64
    edits: I64
    walls: I64
    mirrors: I64


class Output(NamedTuple):
    """
    The output of steps.

    Attributes:
        trades: (7, n), rows as named above.
        levels: (3, n): side, tick and new quantity of the levels that changed.
        ends: (3, steps): number of trades, number of levels, and last update id at the end of each step.
        changes: scratch of one step: a number for each tick that changed, tick · 2 + side.
    """

    trades: I64
    levels: I64
    ends: I64
    changes: I64


class Rates(NamedTuple):
    """The constants of a market, ready for the loop; lengths in ticks, chances and rates per step."""

    start_tick: float
    lowest_tick: int
    reach: int
    near_span: int
    near_visits: int
    touch_visits: int
    first_power: float
    even_ticks: float
    density: float
    near_density: float
    near_scale: float
    far_ticks: float
    far_density: float
    ticks_per_bp: float
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
    quiet_chance: float
    quiet_size: float
    news_chance: float
    news_size: float
    largest_move: float
    learning: float
    calm: float
    restlessness: float
    volatility_variance: float
    volatility_bias: float
    activity_pull: float
    informed: bool
    sniper_size: float
    answer_size: float
    impact: float
    size_power: float
    level_power: float
    sign_weights: F64
    sign_learning: F64
    requote_chance: float
    requote_part: float
    tolerance: float
    settled: float
    informed_tolerance: float
    walk_boost: float
    walk_holds: bool
    round_ticks: int
    round_size: float
    wall_stay: float
    walls: int
    wall_size: float
    standing_share: float
    wall_births: float
    wall_deaths: float
    wall_near: float
    wall_far: float
    wall_stride: int
    activity_calm: float
    activity_restlessness: float
    activity_variance: float
    sweep_chance: float
    order_rate: float
    usual_excitement: float
    calm_part: float
    order_decay: float
    order_kick: float
    burst_pace: float
    burst_orders: float
    burst_boost: float
    burst_kick: float
    press_e8: float
    press_room: float


def empty_book(size: int) -> Book:
    """A book of `size` ticks without levels and without planted structures."""
    return Book(
        np.zeros(size, np.int64),
        np.zeros(STATE_SIZE, np.int64),
        np.zeros(FLOW_SIZE),
        np.zeros((PLANT_ROOM, 4), np.int64),
        np.zeros((PLANT_ROOM, 8), np.int64),
        np.zeros((PLANT_ROOM, 6), np.int64),
        np.zeros((EDIT_ROOM, 2), np.int64),
        np.zeros((WALL_ROOM, 5), np.int64),
        np.zeros((PLANT_ROOM, 2), np.int64),
    )


def empty_output(steps: int) -> Output:
    """Output arrays with room for `steps` steps of the largest size."""
    return Output(
        np.zeros((7, TRADE_ROOM * steps), np.int64),
        np.zeros((3, LEVEL_ROOM * steps), np.int64),
        np.zeros((3, LARGEST_BATCH), np.int64),
        np.zeros(LEVEL_ROOM, np.int64),
    )
