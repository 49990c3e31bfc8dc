"""
What is learned offline: the probability that a wall is pulled, and that a touched zone holds.

Fitted by penalised logistic regression on a stretch of log, frozen into coefficients that name what they saw.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from agents.rules import RulesAnalyst
from analysis.book.book_side import Side
from analysis.book.static_book import StaticBook
from analysis.fitted import (
    CONFIDENCE_FEATURES,
    PULL_FEATURES,
    Logistic,
    confidence_features,
    pull_features,
)
from analysis.observe import Observer
from eventlog.store.log import Log
from market.timestamps import HOUR_NS, iso
from projections.state import KINDS, READS, MarketState, TickEntry
from replay.decisions import ticks_between
from replay.scoring.episodes import Publication, episodes_of
from replay.scoring.outcomes import BROKEN, REJECTED
from replay.scoring.price_path import READS as PATH_READS
from replay.scoring.price_path import PricePath
from replay.scoring.scoring import Rules, zone_outcomes
from runtime.analysis_config import AnalysisConfig
from runtime.loop import drive
from runtime.warm_up import state_of

Period = tuple[str, str, str]

_PENALTY = 1.0
_ROUNDS = 50
_FOR_EVER_NS = 2**62
HORIZON_NS = HOUR_NS
"""A wall counts as pulled when it is within this time, before it was touched."""


@dataclass(slots=True)
class Samples:
    """n outcomes with their features, and which log each is from."""

    features: list[tuple[float, ...]] = field(default_factory=list)
    outcome: list[float] = field(default_factory=list)
    log: list[int] = field(default_factory=list)

    def add(self, features: tuple[float, ...], outcome: bool, log: int = 0) -> None:
        """One more."""
        self.features.append(features)
        self.outcome.append(float(outcome))
        self.log.append(log)


def fit(samples: Samples, names: tuple[str, ...], seen: str, periods: tuple[Period, ...] = ()) -> Logistic:
    """
    The logistic regression of outcomes on features, all coefficients but the first drawn towards 0.

    Logs differ in how often anything holds, so each has a level of its own; what is kept is the level of the first.

    Args:
        seen, periods: what the samples come from, in words and as market, first and last tick.

    Raises:
        ValueError: fewer than ten outcomes of either kind: nothing to learn from.
    """
    outcome = np.array(samples.outcome)
    if outcome.sum() < 10 or (1 - outcome).sum() < 10:
        raise ValueError(f"{int(outcome.sum())} of {len(outcome)} outcomes are positive; ten of each kind are needed")
    features = np.array(samples.features)
    centre, scale = features.mean(axis=0), features.std(axis=0)
    used = scale > 1e-12
    others = [np.array(samples.log) == number for number in sorted(set(samples.log))[1:]]
    standard = np.column_stack([np.ones(len(features)), (features[:, used] - centre[used]) / scale[used], *others])
    penalty = np.full(standard.shape[1], _PENALTY)
    penalty[0], penalty[1 + int(used.sum()) :] = 0.0, 0.0
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
    slopes = weights[1 : 1 + int(used.sum())]
    coefficients[used] = slopes / scale[used]
    coefficients[0] = weights[0] - float((slopes * centre[used] / scale[used]).sum())
    return Logistic(seen, names, tuple((np.round(coefficients, 6) + 0.0).tolist()), len(outcome), periods)


@dataclass(frozen=True, slots=True)
class _SeenWall:
    at_ns: int
    side: Side
    price_e8: int
    features: tuple[float, ...]


class PullSamples:
    """
    Follows standing, untouched walls from tick to tick and learns what became of each within the hour.

    A wall that moved, was touched, filled or breached, or still stands was not pulled. What nobody saw the end of,
    because the record or the books broke off, teaches nothing.
    """

    def __init__(self) -> None:
        self._open: list[_SeenWall] = []
        self._told: set[tuple[Side, int, int]] = set()
        self.samples = Samples()

    def add_tick(self, at_ns: int, static: StaticBook) -> None:
        """What the books show at a tick; ticks come in order."""
        if static.sides is None:
            return
        standing = [w for seen in static.sides.values() for w in seen.walls]
        touched = {(w.side, w.wall.bin.price_e8) for w in standing if w.life.state != "held"}
        # by what was not told before, not by its minute: a book may come after its tick
        told = {(e.side, e.price_e8, e.minute_ns): e.ending for e in static.ended}
        ended = {key[:2]: ending for key, ending in told.items() if key not in self._told}
        self._told = set(told)
        going = []
        for seen in self._open:
            key, age_ns = (seen.side, seen.price_e8), at_ns - seen.at_ns
            if age_ns > HORIZON_NS:
                continue
            if key in ended:
                self.samples.add(seen.features, ended[key] == "pulled")
            elif key in touched or age_ns == HORIZON_NS:
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
class TrainingSet:
    """What one stretch of log taught."""

    pull: Samples
    confidence: Samples
    source: str
    periods: tuple[Period, ...]


def build_training_set(
    log: Log, config: AnalysisConfig, rules: Rules, on_progress: Callable[[int], None]
) -> TrainingSet:
    """
    Walk a whole log and gather outcomes of walls and of advised zones, each zone once, from its first publication.
    """
    state = state_of(log, config.windows)
    observer, analyst = Observer(config.symbol, state, config.parameters), RulesAnalyst(config.parameters)
    walls = PullSamples()
    published: list[Publication] = []
    features: dict[int, tuple[float, ...]] = {}
    ticks = ticks_between(log, 0, _FOR_EVER_NS)
    delay_ns = rules.publish_delay_ms * 1_000_000
    out_ns = dict(zip(ticks.seq.tolist(), (ticks.recv_ns + delay_ns).tolist(), strict=True))

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        on_progress(1)
        found = observer.find(now)
        view = observer.view(tick, now, found)
        walls.add_tick(tick.boundary_ns, found.static)
        if tick.trades != "live" or view.reference_e8 is None or view.sigma is None:
            return
        advice = analyst.decide(view)
        by_evidence = {tuple(e.id for e in z.evidence): z for z in view.zones}
        for zone in advice.zones:
            source = by_evidence[zone.evidence]
            away = (source.price_e8 - view.reference_e8) / (view.reference_e8 * view.sigma)
            features[id(zone)] = confidence_features(source.score, len(source.legs), away)
        published.append(Publication(advice, out_ns[tick.seq], tick.seq))

    drive(log.read(kinds=KINDS, columns=READS), state, on_tick)
    path = PricePath.from_batches(log.read(kinds=list(PATH_READS), columns=PATH_READS))
    confidence = _zone_outcomes(published, features, path, rules)
    market = str(log.name.market)
    if len(ticks) == 0:
        return TrainingSet(walls.samples, confidence, f"{market}, no tick", ())
    first, last = iso(int(ticks.boundary_ns.min())), iso(int(ticks.boundary_ns.max()))
    return TrainingSet(walls.samples, confidence, f"{market} {first} to {last}", ((market, first, last),))


def _zone_outcomes(
    published: Sequence[Publication], features: dict[int, tuple[float, ...]], path: PricePath, rules: Rules
) -> Samples:
    episodes = episodes_of(published)
    samples = Samples()
    for episode, outcome in zip(episodes, zone_outcomes(episodes, path, rules).outcome.tolist(), strict=True):
        if outcome in (REJECTED, BROKEN):
            samples.add(features[id(episode.zone)], outcome == REJECTED)
    return samples


def fit_models(learned: Iterable[TrainingSet]) -> dict[str, Logistic | str]:
    """Both probabilities from all that was learned, or why one cannot be."""
    every = list(learned)
    seen, periods = "; ".join(each.source for each in every), tuple(p for each in every for p in each.periods)
    out: dict[str, Logistic | str] = {}
    for name, names in (("pull", PULL_FEATURES), ("confidence", CONFIDENCE_FEATURES)):
        pooled = Samples()
        for number, each in enumerate(every):
            part: Samples = getattr(each, name)
            for features, outcome in zip(part.features, part.outcome, strict=True):
                pooled.add(features, bool(outcome), number)
        try:
            out[name] = fit(pooled, names, seen, periods)
        except ValueError as error:
            out[name] = str(error)
    return out
