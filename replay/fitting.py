"""
What is learned offline: the probability that a wall is pulled, and that a touched zone holds.

Fitted by penalised logistic regression on a stretch of log, frozen into coefficients that name what they saw.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agents.rules import RulesAnalyst
from analysis.book_side import Side
from analysis.fitted import (
    CONFIDENCE_FEATURES,
    PULL_FEATURES,
    Logistic,
    confidence_features,
    pull_features,
)
from analysis.observe import Observer
from analysis.static_book import StaticBook
from eventlog.log import Log
from market.timestamps import HOUR_NS, iso
from projections.state import KINDS, READS, MarketState, TickEntry
from replay.decisions import Sight
from replay.drive import drive
from replay.episodes import Published, episodes_of
from replay.outcomes import BROKEN, REJECTED
from replay.price_path import READS as PATH_READS
from replay.price_path import PricePath
from replay.scoring import Rules, tested_zones

F64 = npt.NDArray[np.float64]

_PENALTY = 1.0
_ROUNDS = 50
HORIZON_NS = HOUR_NS
"""A wall counts as pulled when it is within this time, before it was touched."""


@dataclass(slots=True)
class Samples:
    """n outcomes with their features."""

    features: list[tuple[float, ...]] = field(default_factory=list)
    outcome: list[float] = field(default_factory=list)

    def add(self, features: tuple[float, ...], outcome: bool) -> None:
        """One more."""
        self.features.append(features)
        self.outcome.append(float(outcome))


def fit(samples: Samples, names: tuple[str, ...], seen: str) -> Logistic:
    """
    The logistic regression of outcomes on features, all coefficients but the first drawn towards 0.

    Args:
        seen: what the samples come from, for the record.

    Raises:
        ValueError: fewer than ten outcomes of either kind: nothing to learn from.
    """
    outcome = np.array(samples.outcome)
    if outcome.sum() < 10 or (1 - outcome).sum() < 10:
        raise ValueError(f"{int(outcome.sum())} of {len(outcome)} outcomes are positive; ten of each kind are needed")
    features = np.array(samples.features)
    centre, scale = features.mean(axis=0), features.std(axis=0)
    used = scale > 1e-12
    standard = np.column_stack([np.ones(len(features)), (features[:, used] - centre[used]) / scale[used]])
    penalty = np.full(standard.shape[1], _PENALTY)
    penalty[0] = 0.0
    weights = np.zeros(standard.shape[1])
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(standard @ weights, -30, 30)))
        slope = standard.T @ (outcome - chance) - penalty * weights
        curve = (standard * (chance * (1 - chance))[:, None]).T @ standard + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    coefficients = np.zeros(features.shape[1])
    coefficients[used] = weights[1:] / scale[used]
    coefficients[0] = weights[0] - float((weights[1:] * centre[used] / scale[used]).sum())
    return Logistic(seen, names, tuple(np.round(coefficients, 6).tolist()), len(outcome))


@dataclass(frozen=True, slots=True)
class _SeenWall:
    at_ns: int
    side: Side
    price_e8: int
    features: tuple[float, ...]


class PullSamples:
    """
    Follows standing, untouched walls from tick to tick and learns what became of each within the hour.

    A wall that moved, was touched, filled or breached, or still stands was not pulled.
    """

    def __init__(self) -> None:
        self._open: list[_SeenWall] = []
        self.samples = Samples()

    def see(self, at_ns: int, static: StaticBook) -> None:
        """What the books show at a tick; ticks come in order."""
        if static.sides is None:
            return
        standing = [w for seen in static.sides.values() for w in seen.walls]
        touched = {(w.side, w.wall.bin.price_e8) for w in standing if w.life.state != "held"}
        ended = {(e.side, e.price_e8): e.ending for e in static.ended if e.minute_ns == at_ns}
        going = []
        for seen in self._open:
            key = (seen.side, seen.price_e8)
            if key in ended:
                self.samples.add(seen.features, ended[key] == "pulled")
            elif key in touched or at_ns - seen.at_ns >= HORIZON_NS:
                self.samples.add(seen.features, False)
            else:
                going.append(seen)
        self._open = going + [
            _SeenWall(at_ns, w.side, w.wall.bin.price_e8,
                      pull_features(w.wall.bin.share, w.distance_bp, w.wall.age_min))
            for w in standing
            if w.life.state == "held"
        ]  # fmt: skip


@dataclass(slots=True)
class Learned:
    """What one stretch of log taught."""

    pull: Samples
    confidence: Samples
    seen: str


def learn(log: Log, sight: Sight, rules: Rules, on_progress: Callable[[int], None]) -> Learned:
    """
    Walk a whole log and gather outcomes of walls and of advised zones, each zone once, from its first publication.
    """
    state = MarketState(sight.windows)
    observer, analyst = Observer(sight.symbol, state, sight.parameters), RulesAnalyst(sight.parameters)
    walls = PullSamples()
    published: list[Published] = []
    features: dict[int, tuple[float, ...]] = {}
    span: list[int] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        span.append(tick.boundary_ns)
        on_progress(1)
        found = observer.find(now)
        view = observer.view(tick, now, found)
        walls.see(tick.boundary_ns, found.static)
        if tick.trades != "live" or view.reference_e8 is None or view.sigma is None:
            return
        advice = analyst.decide(view)
        by_evidence = {tuple(e.id for e in z.evidence): z for z in view.zones}
        for zone in advice.zones:
            source = by_evidence[zone.evidence]
            away = (source.price_e8 - view.reference_e8) / (view.reference_e8 * view.sigma)
            features[id(zone)] = confidence_features(source.score, len(source.legs), away)
        published.append(Published(advice, tick.boundary_ns + rules.publish_delay_ms * 1_000_000, tick.seq))

    drive(log.read(kinds=KINDS, columns=READS), state, on_tick)
    path = PricePath.of(log.read(kinds=list(PATH_READS), columns=PATH_READS))
    confidence = _zone_outcomes(published, features, path, rules)
    seen = f"{log.name.market} {iso(span[0])} to {iso(span[-1])}" if span else f"{log.name.market}, no tick"
    return Learned(walls.samples, confidence, seen)


def _zone_outcomes(
    published: Sequence[Published], features: dict[int, tuple[float, ...]], path: PricePath, rules: Rules
) -> Samples:
    episodes = episodes_of(published)
    samples = Samples()
    for episode, outcome in zip(episodes, tested_zones(episodes, path, rules).outcome.tolist(), strict=True):
        if outcome in (REJECTED, BROKEN):
            samples.add(features[id(episode.zone)], outcome == REJECTED)
    return samples


def fitted(learned: Iterable[Learned]) -> dict[str, Logistic | str]:
    """Both probabilities from all that was learned, or why one cannot be."""
    every = list(learned)
    seen = "; ".join(each.seen for each in every)
    out: dict[str, Logistic | str] = {}
    for name, names in (("pull", PULL_FEATURES), ("confidence", CONFIDENCE_FEATURES)):
        pooled = Samples()
        for each in every:
            part: Samples = getattr(each, name)
            pooled.features += part.features
            pooled.outcome += part.outcome
        try:
            out[name] = fit(pooled, names, seen)
        except ValueError as error:
            out[name] = str(error)
    return out
