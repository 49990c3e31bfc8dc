"""
Episodes: zones of one side that keep coming back at the same prices are one idea, scored once, from its first.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agents.recommendation import Advice, Zone

Interval = tuple[int, int]
"""The lowest and the highest price of a zone, 1e-8 quote."""


@dataclass(frozen=True, slots=True)
class Publication:
    """
    Advice with the moment it went out.

    Attributes:
        published_ns: when it went out. published_seq: the last seq of the market log at that moment.
        levels: kind and price, 1e-8 quote, of the levels found at its tick, for baselines that stand at them.
    """

    advice: Advice
    published_ns: int
    published_seq: int
    levels: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Episode:
    """
    One idea, with what its first recommendation said: no more than that, for a month has thousands.

    Attributes:
        zone: the zone advised first, which is the one that is scored.
        published_ns: when that went out. published_seq: the last seq of the market log at that moment.
        valid_for_ns: how long it stands.
        reference_e8: the price then, 1e-8 quote. sigma: relative to it. None where they were unknown.
        advised: all zones of that recommendation.
        last_ns: when a zone of its side last overlapped it. minutes: the number of recommendations with such a zone.
    """

    zone: Zone
    published_ns: int
    published_seq: int
    valid_for_ns: int
    reference_e8: int | None
    sigma: float | None
    advised: tuple[Interval, ...]
    last_ns: int
    minutes: int = 1

    @classmethod
    def of(cls, publication: Publication, zone: Zone) -> "Episode":
        """What begins with a zone of a recommendation."""
        advice, at_ns = publication.advice, publication.published_ns
        advised = tuple((other.low_e8, other.high_e8) for other in advice.zones)
        return cls(
            zone, at_ns, publication.published_seq, advice.valid_for_ns, advice.reference_e8, advice.sigma, advised,
            last_ns=at_ns,
        )  # fmt: skip

    @property
    def stop_ns(self) -> int:
        """When its first advice runs out."""
        return self.published_ns + self.valid_for_ns


def episodes_of(publications: Iterable[Publication]) -> list[Episode]:
    """
    Group the zones of recommendations into episodes.

    An episode ends when no zone of its side overlapped its own for as long as its advice is valid. A zone that overlaps
    an episode which goes on is no new idea; so the episodes of a side that go on at one time never overlap.

    Args:
        publications: recommendations with zones or without, in order of publication.

    Returns:
        The episodes, in the order of their first publication.
    """
    grouped = Grouping()
    return [episode for publication in publications for episode in grouped.add(publication)]


class Grouping:
    """Episodes while recommendations come in; see `episodes_of`."""

    def __init__(self) -> None:
        self._live: list[Episode] = []

    def add(self, publication: Publication) -> list[Episode]:
        """Take the next recommendation, with zones or without; the episodes that begin with it."""
        now_ns = publication.published_ns
        self._live = [e for e in self._live if now_ns - e.last_ns <= e.valid_for_ns]
        new = []
        for zone in publication.advice.zones:
            same = [e for e in self._live if overlaps(e.zone, zone)]
            for episode in same:
                episode.minutes += episode.last_ns != now_ns
                episode.last_ns = now_ns
            if not same:
                new.append(Episode.of(publication, zone))
                self._live.append(new[-1])
        return new


def overlaps(one: Zone, two: Zone) -> bool:
    """Whether two zones are of one side and have a price in common."""
    return one.side == two.side and one.low_e8 <= two.high_e8 and two.low_e8 <= one.high_e8
