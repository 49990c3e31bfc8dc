"""
What scores need of recommendations, collected while they come in: a month of them is not kept, only its ideas are.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from market.timestamps import DAY_NS
from replay.scoring.episodes import Episode, Grouping, Publication
from replay.scoring.levels import levels_of
from replay.scoring.outcomes import Levels
from replay.scoring.placebo import MovedZones
from replay.scoring.rules import ScoringRules

Baseline = Callable[[Publication], Publication]
"""From a recommendation to another; called for each in order, so it may remember."""

NONE: Mapping[str, Baseline] = MappingProxyType({})
"""No baseline."""


class Collected:
    """
    The ideas of recommendations, and of what baselines make of them.

    Args:
        rules: how zones are tested.
        baselines: by name.

    Attributes:
        others: by the name of a baseline, its ideas so far.
    """

    def __init__(self, rules: ScoringRules, baselines: Mapping[str, Baseline] = NONE) -> None:
        self.others = {name: Grouping() for name in baselines}
        self._rules = rules
        self._baselines = baselines
        self._own = Grouping()
        self._singles: list[Episode] = []
        self._days: list[Levels] = []
        self._day = 0

    @property
    def episodes(self) -> list[Episode]:
        """The ideas so far."""
        return self._own.episodes

    def add(self, publication: Publication) -> None:
        """Take the next recommendation, with zones or without."""
        if publication.published_ns // DAY_NS != self._day:
            self._close_day()
            self._day = publication.published_ns // DAY_NS
        self._own.add(publication)
        self._singles += [Episode(publication, zone, publication.published_ns) for zone in publication.advice.zones]
        for name, baseline in self._baselines.items():
            self.others[name].add(baseline(publication))

    def every_minute(self) -> list[Levels]:
        """The zones of all recommendations, each as if it were new, a day after the other."""
        self._close_day()
        return self._days

    def _close_day(self) -> None:
        if self._singles:
            self._days.append(levels_of(self._singles, MovedZones.unmoved(len(self._singles)), self._rules))
            self._singles = []
