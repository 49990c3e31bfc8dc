"""
Episodes: zones of one side that keep coming back at the same prices are one idea, scored once, from its first.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agents.recommendation import Advice, Zone


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
    One idea.

    Attributes:
        first: its first publication. zone: the zone advised then, which is the one that is scored.
        last_ns: when a zone of its side last overlapped it. minutes: the number of recommendations with such a zone.
    """

    first: Publication
    zone: Zone
    last_ns: int
    minutes: int = 1

    @property
    def stop_ns(self) -> int:
        """When its first advice runs out."""
        return self.first.published_ns + self.first.advice.valid_for_ns


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
    for publication in publications:
        grouped.add(publication)
    return grouped.episodes


class Grouping:
    """
    Episodes while recommendations come in; see `episodes_of`.

    Attributes:
        episodes: so far, in the order of their first publication.
    """

    def __init__(self) -> None:
        self.episodes: list[Episode] = []
        self._live: list[Episode] = []

    def add(self, publication: Publication) -> None:
        """Take the next recommendation, with zones or without."""
        now_ns = publication.published_ns
        self._live = [e for e in self._live if now_ns - e.last_ns <= e.first.advice.valid_for_ns]
        for zone in publication.advice.zones:
            same = [e for e in self._live if overlaps(e.zone, zone)]
            for episode in same:
                episode.minutes += episode.last_ns != now_ns
                episode.last_ns = now_ns
            if not same:
                episode = Episode(publication, zone, now_ns)
                self.episodes.append(episode)
                self._live.append(episode)


def overlaps(one: Zone, two: Zone) -> bool:
    """Whether two zones are of one side and have a price in common."""
    return one.side == two.side and one.low_e8 <= two.high_e8 and two.low_e8 <= one.high_e8
