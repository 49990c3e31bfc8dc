"""
The controls of signals: drawn from other ticks of the same UTC day, never where the signal itself stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.arrays import F64, I64
from market.timestamps import DAY_NS
from replay.signals.signal_record import SignalOccurrences, SignalSamples
from replay.signals.signals import LEVEL_LASTS_NS

_DRAWS = 4
_MAX_TRIES = 40
_RANDOM_LEVELS = 20  # a tick
_MAX_RANDOM_LEVELS = 200_000


@dataclass(frozen=True, slots=True)
class SignalSample:
    """
    n sightings of one signal or of its control, as columns.

    Attributes:
        price_e8: 0 for a direction. sighted_ns: when the signal was sighted, for a control its signal.
    """

    up: npt.NDArray[np.bool_]
    price_e8: I64
    tick: I64
    sighted_ns: I64


def select_sample(seen: SignalSamples, chosen: Sequence[int]) -> SignalSample:
    """Some of the first sightings, by number."""
    tick = seen.tick[chosen] if chosen else np.empty(0, np.int64)
    return SignalSample(
        np.array([seen.signal[i].up for i in chosen], bool),
        np.array([seen.signal[i].price_e8 or 0 for i in chosen], np.int64),
        tick,
        seen.at_ns[tick],
    )


def draw_controls(
    seen: SignalSamples, signal: str, trial: SignalSample, level: bool, seed: Sequence[int]
) -> SignalSample:
    """
    For each sighting up to four other ticks of its UTC day: the same direction, a level at the same distance in σ.

    A tick at which the signal itself stands is drawn again, for a level only where it stands within ε of the drawn
    price or the drawn price is the sighted one, within its hour; after forty tries what was found has to do.
    """
    days = seen.at_ns // DAY_NS
    empty = np.empty(0, np.int64)
    standing = seen.occurrences.get(signal, SignalOccurrences(empty, empty))
    parts: list[tuple[I64, I64, I64]] = []
    for n in range(len(trial.tick)):
        here = int(trial.tick[n])
        usable = (days == days[here]) & (np.arange(len(days)) != here) & ((seen.unit_e8 > 0) | (not level))
        chance = np.random.Generator(np.random.PCG64([*seed, n]))
        tried = chance.permutation(np.flatnonzero(usable))[:_MAX_TRIES]
        price = _same_distance(seen, trial, n, tried) if level else np.zeros(len(tried), np.int64)
        kept = [i for i in range(len(tried)) if not _is_signal(seen, standing, trial, n, int(tried[i]), int(price[i]))]
        chosen = np.array(sorted(kept[:_DRAWS], key=lambda i: int(tried[i])), np.int64)
        parts.append((np.full(len(chosen), n), tried[chosen], price[chosen]))
    source, tick, prices = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else [empty] * 3
    return SignalSample(trial.up[source], prices, tick, trial.sighted_ns[source])


def draw_random_levels(
    seen: SignalSamples, between_sigma: tuple[float, float], seed: Sequence[int]
) -> tuple[SignalSample, F64]:
    """
    Levels that nobody chose, at every tick where σ is known (at every so manieth of a long log).

    Returns:
        The levels, every other one above the price, and how far off each lies, in σ.
    """
    usable = np.flatnonzero(seen.unit_e8 > 0)
    usable = usable[:: max(1, -(-len(usable) * _RANDOM_LEVELS // _MAX_RANDOM_LEVELS))]
    tick = np.repeat(usable, _RANDOM_LEVELS)
    distance = np.random.Generator(np.random.PCG64(list(seed))).uniform(*between_sigma, len(tick))
    up = np.arange(len(tick)) % 2 == 0
    away = np.rint(distance * seen.unit_e8[tick]).astype(np.int64)
    return SignalSample(up, seen.reference_e8[tick] - np.where(up, away, -away), tick, seen.at_ns[tick]), distance


def _same_distance(seen: SignalSamples, trial: SignalSample, n: int, ticks: I64) -> I64:
    here = int(trial.tick[n])
    away = (float(trial.price_e8[n]) - seen.reference_e8[here]) / seen.unit_e8[here]
    return seen.reference_e8[ticks] + np.rint(away * seen.unit_e8[ticks]).astype(np.int64)


def _is_signal(
    seen: SignalSamples, standing: SignalOccurrences, trial: SignalSample, n: int, tick: int, price: int
) -> bool:
    there = standing.prices_at(tick)
    if not price:
        return len(there) > 0
    lasting = abs(int(seen.at_ns[tick]) - int(trial.sighted_ns[n])) < LEVEL_LASTS_NS
    near = int(seen.near_e8[tick])
    itself = lasting and abs(int(trial.price_e8[n]) - price) <= near
    return itself or bool((np.abs(there - price) <= near).any())
