"""
Sizes of levels and trades, and lengths of runs, from the tables of `background`.

Numba's cache does not see a change here: after one, clear `__pycache__`.
"""

from math import exp, floor, log, log2

from market.compiled import compiled


@compiled
def _interpolate(ranks, logs, rank):  # type: ignore[no-untyped-def]
    i = 1
    while rank > ranks[i]:
        i += 1
    part = (rank - ranks[i - 1]) / (ranks[i] - ranks[i - 1])
    return logs[i - 1] + part * (logs[i] - logs[i - 1])


@compiled
def _log_level(rates, rank, distance):  # type: ignore[no-untyped-def]
    octave = floor(log2(max(distance / rates.ticks_per_bp, 1.0)))
    row = min(max(octave, 0), len(rates.level_sizes) - 1)
    return _interpolate(rates.level_ranks, rates.level_sizes[row], rank)


@compiled
def mean_level(rates, distance):  # type: ignore[no-untyped-def]
    """The expected quantity (1e-8 base) of a level at a distance in ticks."""
    total = 0.0
    for i in range(400):
        total += exp(_log_level(rates, (i + 0.5) / 400.0, distance))
    return total / 400.0 * rates.level_unit_e8


@compiled
def _add_walls(rates, rng, tick, distance, size):  # type: ignore[no-untyped-def]
    wall_chance = 0.002
    if tick % 100 == 0:
        size *= 2.5
        wall_chance = 0.01
    if tick % 1_000 == 0:
        size *= 2.0
        wall_chance = 0.04
    if rng.random() < wall_chance and distance > 0:
        size = rates.level_unit_e8 * 8_000.0 * (0.5 + rng.standard_exponential())
    return size


@compiled
def level_size(rates, rng, tick, distance):  # type: ignore[no-untyped-def]
    """
    Draw the quantity of a new level, 1e-8 base, with natural walls and round-number stacks where the market has them.

    Args:
        rates: constants of the market.
        rng: generator of the random numbers.
        tick: the price in ticks.
        distance: from the best price of its side, in ticks.
    """
    size = rates.level_unit_e8 * exp(_log_level(rates, rng.random(), distance))
    return _add_walls(rates, rng, tick, distance, size) if rates.natural_walls else size


@compiled
def run_length(rates, draw, boost):  # type: ignore[no-untyped-def]
    """
    The number of levels that an order takes, from 1.

    Args:
        rates: constants of the market.
        draw: a random number from 0 to 1.
        boost: factor on the chances of all runs from two levels on, from 1.
    """
    survival = log(1.0 - draw) - log(boost)
    logs = rates.run_lengths
    i = 1
    while i < logs.shape[1] - 1 and survival < logs[1, i]:
        i += 1
    if i == 1:
        return 1
    part = min((survival - logs[1, i - 1]) / (logs[1, i] - logs[1, i - 1]), 1.0)
    return int(exp(logs[0, i - 1] + part * (logs[0, i] - logs[0, i - 1])))


@compiled
def trade_size(rates, rng):  # type: ignore[no-untyped-def]
    """Draw the quantity of a trade, 1e-8 base, before the level limits it."""
    size = rates.trade_unit_e8 * exp(_interpolate(rates.trade_sizes[0], rates.trade_sizes[1], rng.random()))
    return max(1, int(size / rates.step_e8)) * rates.step_e8


@compiled
def scaled_trade_size(rates, rng, factor):  # type: ignore[no-untyped-def]
    """
    Draw the quantity of a trade, as `trade_size` does, and scale it.

    Args:
        rates: constants of the market.
        rng: generator of the random numbers.
        factor: on the quantity; the result is at least one quantity step.
    """
    return max(1, int(factor * trade_size(rates, rng) / rates.step_e8)) * rates.step_e8
