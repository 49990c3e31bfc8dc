"""
Markets in which no advice can be better than another, and advisers on them: what must come out is known.

Prices are a martingale with volatility that changes over hours, a trade a second; an adviser knows what was before.
"""

from collections.abc import Callable

import numpy as np

from agents.recommendation import Rung, Zone
from fills.trade_tape import TradeTape
from market.arrays import F64, I64
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS, SECOND_NS
from replay.recorded.price_path import PricePath
from replay.scoring.episodes import Publication
from tests.market_builders import T0, an_advice

TICK_E8 = 1_000_000
_DAY_MIN = 1440
_WARM_UP_MIN = 65  # until σ can be measured

Adviser = Callable[[np.random.Generator, int], tuple[str, ...]]
"""From random numbers and a minute to the sides of new zones."""


def a_martingale(seed: int, days: int = 1) -> PricePath:
    """One trade a second at a price without memory, 0.02 % a minute in the middle."""
    chance = np.random.default_rng([seed, 1])
    minutes = days * _DAY_MIN
    log_volatility = np.zeros(minutes)
    for i in range(1, minutes):
        log_volatility[i] = 0.99 * log_volatility[i - 1] + chance.normal(0, 0.05)
    sigma = 2e-4 / 60**0.5 * np.exp(np.repeat(log_volatility, 60))
    steps = sigma * chance.standard_normal(60 * minutes) - sigma**2 / 2
    price = np.rint(40_000e8 * np.exp(np.cumsum(steps)) / TICK_E8).astype(np.int64) * TICK_E8
    at = T0 + np.arange(60 * minutes) * SECOND_NS + chance.integers(0, SECOND_NS * 9 // 10, 60 * minutes)
    quantity, sign = np.full(60 * minutes, ONE_E8), np.where(chance.random(60 * minutes) < 0.5, -1, 1)
    return PricePath.from_tape(TradeTape.from_columns(at, price, quantity, sign), 2 * np.arange(60 * minutes) + 1)


def even(chance: np.random.Generator, minute: int) -> tuple[str, ...]:
    """Both sides, at any time: eight new zones an hour."""
    return tuple(side for side in ("buy", "sell") if chance.random() < 8 / 60)


def one_sided(chance: np.random.Generator, minute: int) -> tuple[str, ...]:
    """One side for two hours, then perhaps the other."""
    side = "buy" if (minute // 120 * 7919) % 3 else "sell"
    return (side,) if chance.random() < 8 / 60 else ()


def clustered(chance: np.random.Generator, minute: int) -> tuple[str, ...]:
    """Many zones in half of each two hours, none in the rest."""
    return tuple(side for side in ("buy", "sell") if minute % 120 < 60 and chance.random() < 16 / 60)


def advise(path: PricePath, seed: int, adviser: Adviser, days: int = 1) -> list[Publication]:
    """
    A recommendation a minute: zones stand for some minutes at 1 to 6 σ from where price was.

    Args:
        path: of the market.
        seed: of the adviser's random numbers.
        adviser: when and on which side new zones come.
        days: of the path.
    """
    chance = np.random.default_rng([seed, 2])
    ends = T0 + np.arange(days * _DAY_MIN) * MINUTE_NS
    closes = path.price_at(ends)
    standing: list[tuple[Zone, int]] = []
    publications = []
    for minute in range(_WARM_UP_MIN, days * _DAY_MIN):
        reference, sigma = int(closes[minute]), _sigma(closes[minute - 60 : minute + 1])
        standing = [(zone, until) for zone, until in standing if until > minute]
        for side in adviser(chance, minute):
            if len(standing) < 6:
                until = minute + int(chance.integers(3, 25))
                standing.append((_zone(chance, side, reference, reference * sigma), until))
        zones = [_weighted(zone, 1 / len(standing)) for zone, _ in standing]
        advice = an_advice(*zones, reference_e8=reference, sigma=sigma)
        seq = 2 * int(np.searchsorted(path.at_ns, ends[minute], side="right"))
        publications.append(Publication(advice, int(ends[minute]) + 2 * SECOND_NS, seq))
    return publications


def _sigma(closes: I64) -> float:
    returns: F64 = np.diff(np.log(closes[closes > 0].astype(np.float64)))
    return round(float(np.sqrt(np.mean(returns**2))), 9)


def _zone(chance: np.random.Generator, side: str, reference: int, unit: float) -> Zone:
    width = max(1, int(chance.uniform(0.2, 0.8) * unit / TICK_E8)) * TICK_E8
    distance = int(chance.uniform(1, 6) * unit / TICK_E8) * TICK_E8
    near = reference - distance if side == "buy" else reference + distance
    low, high = (near - width, near) if side == "buy" else (near, near + width)
    middle = (low + high) // 2 // TICK_E8 * TICK_E8
    rungs = (high, middle, low) if side == "buy" else (low, middle, high)
    ladder = tuple(Rung(price, 1 / 3) for price in rungs)
    return Zone(side, low, high, 1.0, 0.5, ("own",), ("Z",), 1, ladder)  # type: ignore[arg-type]


def _weighted(zone: Zone, weight: float) -> Zone:
    ladder = tuple(Rung(rung.price_e8, weight / len(zone.ladder)) for rung in zone.ladder)
    return Zone(zone.side, zone.low_e8, zone.high_e8, weight, zone.confidence, zone.basis, zone.evidence, 1, ladder)
