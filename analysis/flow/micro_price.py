"""
Where the mid is going next, from the quote: queue imbalance, weighted mid and micro-price.

Source: Stoikov, "The micro-price: a high-frequency estimator of future prices", 2018, sections 3-4: the states are
imbalance and spread; the expected sum of all coming changes of the mid is added to the mid. Data are made symmetric (a
mirrored market is as likely), which makes that sum finite.
"""

import msgspec
import numpy as np

from market.arrays import F64, I64, Bools
from market.compiled import compiled

_MAX_TERMS = 1000  # bounds the sum over future moves: no model where it has not converged by then
_TOLERANCE = 1e-6  # of a pivot, and of the last term beside the first


def queue_imbalance(bid_quantity: int, ask_quantity: int) -> float:
    """
    (bid − ask) / (bid + ask) of two quantities, −1 to 1, to 4 decimals.

    >>> queue_imbalance(12, 4)
    0.5
    """
    return round((bid_quantity - ask_quantity) / (bid_quantity + ask_quantity), 4)


def weighted_mid(bid_e8: int, bid_quantity: int, ask_e8: int, ask_quantity: int) -> float:
    """
    The mid weighted towards the side with less quantity.

    Args:
        bid_e8, ask_e8: best prices, in one unit.
        bid_quantity, ask_quantity: their quantities, in one unit, at least one above 0.

    >>> weighted_mid(9999, 12, 10001, 4)
    10000.5
    """
    return (bid_e8 * ask_quantity + ask_e8 * bid_quantity) / (bid_quantity + ask_quantity)


class MicroPrice(msgspec.Struct, frozen=True):
    """
    A fitted micro-price model.

    Attributes:
        adjustment_e8: (spreads, imbalances) what is added to the mid.
        observations: (spreads, imbalances) number of seconds (mirrored ones included) in each state.
        transitions: number of steps. moves: number of them that moved the mid.
    """

    tick_size_e8: int
    adjustment_e8: F64
    observations: I64
    transitions: int
    moves: int

    def price_e8(
        self, bid_e8: int, bid_quantity: int, ask_e8: int, ask_quantity: int, min_observations: int
    ) -> float | None:
        """
        The micro-price of a quote, 1e-8 quote.

        Args:
            bid_e8, ask_e8: best prices, 1e-8 quote.
            bid_quantity, ask_quantity: their quantities.
            min_observations: least number of seconds in the quote's state.

        Returns:
            None where its state was observed less often.
        """
        spreads, imbalances = self.adjustment_e8.shape
        spread = min(spreads, max(1, (ask_e8 - bid_e8) // self.tick_size_e8)) - 1
        imbalance = min(imbalances - 1, imbalances * bid_quantity // (bid_quantity + ask_quantity))
        if self.observations[spread, imbalance] < min_observations:
            return None
        return (bid_e8 + ask_e8) / 2 + float(self.adjustment_e8[spread, imbalance])


def fit_micro_price(
    quote_e8: I64,
    usable: Bools,
    tick_size_e8: int,
    imbalances: int,
    spreads: int,
    min_transitions: int,
    min_moves: int,
) -> MicroPrice | str:
    """
    Fit the micro-price to quotes at even intervals.

    Args:
        quote_e8: (4, n) bid, its quantity, ask, its quantity.
        usable: (n,) whether the step from the quote before to this one can be used.
        tick_size_e8: 1e-8 quote.
        imbalances, spreads: number of states of each; the widest spread stands for all wider ones.
        min_transitions, min_moves: least number of usable steps, and of steps that moved the mid.

    Returns:
        The model, or why there is none.
    """
    bid, bid_quantity, ask, ask_quantity = quote_e8
    total = np.maximum(bid_quantity + ask_quantity, 1)
    imbalance = np.minimum(imbalances - 1, imbalances * bid_quantity // total)
    spread = np.clip((ask - bid) // tick_size_e8, 1, spreads) - 1
    steps = np.flatnonzero(usable[1:])
    change = np.diff(bid + ask)[steps] / 2
    moves = int(np.count_nonzero(change))
    if len(steps) < min_transitions:
        return f"{len(steps)} of {min_transitions} steps"
    if moves < min_moves:
        return f"the mid moved {moves} of {min_moves} times"
    state = spread[steps] * imbalances + imbalance[steps]
    next_state = spread[steps + 1] * imbalances + imbalance[steps + 1]
    mirror = np.arange(spreads * imbalances).reshape(spreads, imbalances)[:, ::-1].ravel()
    state, next_state = np.concatenate((state, mirror[state])), np.concatenate((next_state, mirror[next_state]))
    adjustment = _adjustments(state, next_state, np.concatenate((change, -change)), spreads * imbalances)
    if not len(adjustment):
        return "the expected changes have no finite sum"
    observations = np.bincount(state, minlength=spreads * imbalances).reshape(spreads, imbalances)
    return MicroPrice(tick_size_e8, adjustment.reshape(spreads, imbalances), observations, len(steps), moves)


def _adjustments(state: I64, next_state: I64, change: F64, states: int) -> F64:
    """G* = sum over k of B^k G1, G1 = (1 - Q)^-1 E[change], B = (1 - Q)^-1 T; empty where the sum does not end."""
    still_counts = np.zeros((states, states))
    move_counts = np.zeros((states, states))
    sums = np.zeros(states)
    is_still = change == 0
    np.add.at(still_counts, (state[is_still], next_state[is_still]), 1.0)
    np.add.at(move_counts, (state[~is_still], next_state[~is_still]), 1.0)
    np.add.at(sums, state, change)
    visits = np.maximum(np.bincount(state, minlength=states), 1).astype(np.float64)
    constants = np.column_stack((sums / visits, move_counts / visits[:, None]))
    coefficients = np.eye(states) - still_counts / visits[:, None]
    return _sum_of_changes(coefficients, constants)


@compiled
def _sum_of_changes(coefficients, constants):  # type: ignore[no-untyped-def]
    """Gauss elimination with row exchange instead of LAPACK: the same bits with any linear algebra library."""
    n = len(coefficients)
    for column in range(n):
        pivot = column
        for row in range(column + 1, n):
            if abs(coefficients[row, column]) > abs(coefficients[pivot, column]):
                pivot = row
        if abs(coefficients[pivot, column]) < _TOLERANCE:
            return np.empty(0)
        for i in range(n):
            coefficients[column, i], coefficients[pivot, i] = coefficients[pivot, i], coefficients[column, i]
        for i in range(n + 1):
            constants[column, i], constants[pivot, i] = constants[pivot, i], constants[column, i]
        for row in range(n):
            factor = coefficients[row, column] / coefficients[column, column]
            if row != column and factor != 0.0:
                for i in range(column, n):
                    coefficients[row, i] -= factor * coefficients[column, i]
                for i in range(n + 1):
                    constants[row, i] -= factor * constants[column, i]
    term = np.empty(n)
    for row in range(n):
        for i in range(n + 1):
            constants[row, i] /= coefficients[row, row]
        term[row] = constants[row, 0]
    first = np.abs(term).max()
    total = np.zeros(n)
    for _ in range(_MAX_TERMS):
        total += term
        if np.abs(term).max() <= _TOLERANCE * first:
            return total
        following = np.zeros(n)
        for row in range(n):
            for i in range(n):
                following[row] += constants[row, i + 1] * term[i]
        term = following
    return np.empty(0)
