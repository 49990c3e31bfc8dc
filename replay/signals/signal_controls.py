"""
The controls of signals: other ticks of the same UTC day, drawn at random, where the signal itself does not stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.arrays import F64, I64
from market.timestamps import DAY_NS
from replay.signals.signal_record import SignalOccurrences, SignalSamples
from replay.signals.signals import LEVEL_LASTS_NS

_DRAWS = 4  # controls for a sighting, at most
_MAX_TRIES = 40  # ticks that are looked at for them
_RANDOM_LEVELS = 20  # at each tick
_MAX_RANDOM_LEVELS = 200_000  # of a log: a longer one is sampled at every k-th tick


@dataclass(frozen=True, slots=True)
class SignalSample:
    """
    n sightings of one signal or of its control, as columns.

    Attributes:
        up: whether price should go up from there. price_e8: the level, 1e-8 quote, 0 for a direction.
        tick: its number in the record. sighted_ns: when the signal was sighted, for a control its signal.
    """

    up: npt.NDArray[np.bool_]
    price_e8: I64
    tick: I64
    sighted_ns: I64


def select_sample(record: SignalSamples, numbers: Sequence[int]) -> SignalSample:
    """Select first sightings of a record, by number."""
    tick = record.tick[numbers] if numbers else np.empty(0, np.int64)
    return SignalSample(
        np.array([record.signal[i].up for i in numbers], bool),
        np.array([record.signal[i].price_e8 or 0 for i in numbers], np.int64),
        tick,
        record.at_ns[tick],
    )


def draw_controls(
    record: SignalSamples, signal: str, sample: SignalSample, is_level: bool, seed: Sequence[int]
) -> SignalSample:
    """
    Draw for each sighting up to four other ticks of its UTC day, with the same direction, or a level at the same
    distance in σ.

    A tick at which the signal itself stands is rejected; for a level only where the signal stands within ε of the
    control's price, or that price is the sighted one within its hour. After forty ticks there may be fewer than four.

    Args:
        record: the ticks to draw from, and where the signal stood.
        signal: its name.
        sample: its sightings.
        is_level: whether it names a price.
        seed: of the random draws, which also depend on the number of the sighting.
    """
    days = record.at_ns // DAY_NS
    empty = np.empty(0, np.int64)
    occurrences = record.occurrences.get(signal, SignalOccurrences(empty, empty))
    parts: list[tuple[I64, I64, I64]] = []
    for n in range(len(sample.tick)):
        tick_here = int(sample.tick[n])
        is_other = (days == days[tick_here]) & (np.arange(len(days)) != tick_here)
        usable = is_other & ((record.unit_e8 > 0) | (not is_level))
        generator = np.random.Generator(np.random.PCG64([*seed, n]))
        candidates = generator.permutation(np.flatnonzero(usable))[:_MAX_TRIES]
        price = _same_distance(record, sample, n, candidates) if is_level else np.zeros(len(candidates), np.int64)
        free = [
            i
            for i, (other, level) in enumerate(zip(candidates.tolist(), price.tolist(), strict=True))
            if not _is_signal(record, occurrences, sample, n, other, level)
        ]
        picks = np.array(sorted(free[:_DRAWS], key=lambda i: int(candidates[i])), np.int64)
        parts.append((np.full(len(picks), n), candidates[picks], price[picks]))
    source, tick, prices = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else [empty] * 3
    return SignalSample(sample.up[source], prices, tick, sample.sighted_ns[source])


def draw_random_levels(
    record: SignalSamples, between_sigma: tuple[float, float], seed: Sequence[int]
) -> tuple[SignalSample, F64]:
    """
    Draw levels at random distances, at every tick where σ is known (at every k-th such tick of a long log).

    Args:
        record: the ticks.
        between_sigma: the smallest and the largest distance from the price, in σ.
        seed: of the random draws.

    Returns:
        The levels, alternately below and above the price, and the distance of each, in σ.
    """
    usable = np.flatnonzero(record.unit_e8 > 0)
    usable = usable[:: max(1, -(-len(usable) * _RANDOM_LEVELS // _MAX_RANDOM_LEVELS))]
    tick = np.repeat(usable, _RANDOM_LEVELS)
    distance = np.random.Generator(np.random.PCG64(list(seed))).uniform(*between_sigma, len(tick))
    up = np.arange(len(tick)) % 2 == 0
    offset = np.rint(distance * record.unit_e8[tick]).astype(np.int64)
    return SignalSample(
        up, record.reference_e8[tick] - np.where(up, offset, -offset), tick, record.at_ns[tick]
    ), distance


def _same_distance(record: SignalSamples, sample: SignalSample, n: int, ticks: I64) -> I64:
    tick = int(sample.tick[n])
    distance_sigma = (float(sample.price_e8[n]) - record.reference_e8[tick]) / record.unit_e8[tick]
    return record.reference_e8[ticks] + np.rint(distance_sigma * record.unit_e8[ticks]).astype(np.int64)


def _is_signal(
    record: SignalSamples, occurrences: SignalOccurrences, sample: SignalSample, n: int, tick: int, price: int
) -> bool:
    prices = occurrences.prices_at(tick)
    if not price:
        return len(prices) > 0
    is_recent = abs(int(record.at_ns[tick]) - int(sample.sighted_ns[n])) < LEVEL_LASTS_NS
    near_e8 = int(record.near_e8[tick])
    is_same = is_recent and abs(int(sample.price_e8[n]) - price) <= near_e8
    return is_same or bool((np.abs(prices - price) <= near_e8).any())
