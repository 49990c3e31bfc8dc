"""
The zones of advice at the quotes of market makers: Avellaneda–Stoikov, and Guéant–Lehalle–Fernandez-Tapia.
"""

from collections.abc import Callable, Sequence

from agents.recommendation import VALID_FOR_NS, Zone
from market.timestamps import HOUR_NS, MINUTE_NS
from replay.baselines.intensity import Intensity, fit_intensity
from replay.baselines.moving import distance, shift, with_zones
from replay.baselines.quotes import avellaneda_stoikov, glft
from replay.recorded.minutes import Minutes
from replay.scoring.episodes import Publication

_AVERSION = 1 / 15  # γ in units of k, for an inventory of one order: 0.1 against 1.5 in the paper's own example
_REMAINING_MIN = VALID_FOR_NS / MINUTE_NS  # until the inventory is marked: as long as advice is valid

Half = Callable[[Intensity, float], float]
"""From reached orders and σ a minute to half of the spread, both fractions of the price."""


def half_of_avellaneda_stoikov(reached: Intensity, sigma: float) -> float:
    """Half of the spread without inventory: with it, quotes would depend on fills, and orders are alone here."""
    quote = avellaneda_stoikov(1.0, 0.0, sigma, _REMAINING_MIN, reached.k * _AVERSION, reached.k)
    return (quote.ask - quote.bid) / 2


def half_of_glft(reached: Intensity, sigma: float) -> float:
    """Half of the spread without inventory, for orders of one unit."""
    gamma = reached.k * _AVERSION
    return glft(reached.a, reached.k, gamma, gamma, 1.0, sigma).half


class Quoting:
    """
    All zones of a side moved together, so that the nearest begins where a market maker quotes.

    Args:
        minutes: of the market; A and k are fitted every hour on those of the day before.
        half: of which market maker.
        tick_size_e8: zones are moved by a multiple of it, 1e-8 quote.
    """

    def __init__(self, minutes: Minutes, half: Half, tick_size_e8: int) -> None:
        self._minutes = minutes
        self._half = half
        self._tick_size_e8 = tick_size_e8
        self._hour_ns = -1
        self._reached: Intensity | None = None

    def __call__(self, publication: Publication) -> Publication:
        """The publication, without zones while the past is too short for a fit."""
        advice, tick = publication.advice, self._tick_size_e8
        hour_ns = publication.published_ns // HOUR_NS * HOUR_NS
        if hour_ns != self._hour_ns:
            self._hour_ns, self._reached = hour_ns, fit_intensity(self._minutes, hour_ns)
        if self._reached is None or advice.reference_e8 is None or advice.sigma is None:
            return with_zones(publication, [])
        away = self._half(self._reached, advice.sigma) * advice.reference_e8
        away_e8 = max(1, round(away / tick)) * tick
        sides = (_begin_at(advice.zones, side, away_e8, advice.reference_e8, tick) for side in ("buy", "sell"))
        return with_zones(publication, [zone for side in sides for zone in side])


def _begin_at(
    zones: Sequence[Zone], side: str, away_e8: int, reference_e8: int, tick_size_e8: int
) -> list[Zone | None]:
    own = [zone for zone in zones if zone.side == side]
    if not own:
        return []
    nearest = min(distance(zone, reference_e8) for zone in own)
    ticks = round((away_e8 - nearest) / tick_size_e8)
    by_e8 = ticks * tick_size_e8 * (-1 if side == "buy" else 1)
    return [shift(zone, by_e8, reference_e8) for zone in own]
