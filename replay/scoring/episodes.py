"""
Episodes: a run of overlapping zones of one side in consecutive recommendations, scored once from its first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.recommendation import Advice, Zone


@dataclass(frozen=True, slots=True)
class Publication:
    """
    Advice with the moment it went out.

    Attributes:
        published_ns: when it went out. published_seq: the last seq of the market log at that moment.
    """

    advice: Advice
    published_ns: int
    published_seq: int


@dataclass(slots=True)
class Episode:
    """
    Overlapping zones of one side in consecutive recommendations, scored once.

    Attributes:
        first: its first publication. zone: the zone advised then, which is the one that is scored.
        last_ns: when it was advised last. minutes: the number of recommendations that hold it.
    """

    first: Publication
    zone: Zone
    last_ns: int
    minutes: int = 1

    @property
    def stop_ns(self) -> int:
        """When its first advice runs out."""
        return self.first.published_ns + self.first.advice.valid_for_ns


def episodes_of(publications: Sequence[Publication]) -> list[Episode]:
    """
    Group the zones of recommendations into episodes.

    Args:
        publications: recommendations with zones or without, in order of publication. A pause longer than their
            validity ends every episode.

    Returns:
        The episodes, in the order of their first publication.
    """
    episodes: list[Episode] = []
    previous: list[tuple[Zone, Episode]] = []
    previous_ns: int | None = None
    for publication in publications:
        if previous_ns is not None and publication.published_ns - previous_ns > publication.advice.valid_for_ns:
            previous = []
        current: list[tuple[Zone, Episode]] = []
        free = list(previous)
        for zone in publication.advice.zones:
            partner = max(free, key=lambda item: _overlap(item[0], zone), default=None)
            if partner is not None and _overlap(partner[0], zone) > 0:
                free.remove(partner)
                partner[1].last_ns = publication.published_ns
                partner[1].minutes += 1
                current.append((zone, partner[1]))
            else:
                episode = Episode(publication, zone, publication.published_ns)
                episodes.append(episode)
                current.append((zone, episode))
        previous = current
        previous_ns = publication.published_ns
    return episodes


def _overlap(one: Zone, two: Zone) -> int:
    """The common width of two zones, 1e-8 quote, at least 1 where they touch; 0 for none or another side."""
    if one.side != two.side:
        return 0
    return max(0, min(one.high_e8, two.high_e8) - max(one.low_e8, two.low_e8) + 1)
