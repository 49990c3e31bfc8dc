"""
Offline fits of the probability that a wall is pulled, and of the probability that a touched zone is rejected.

Fitted by penalised logistic regression on stretches of log; the coefficients name the logs they were fitted on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from agents.rules import RulesAnalyst
from analysis.book.book_side import Side
from analysis.book.static_book import StaticBook
from analysis.fitted import (
    CONFIDENCE_FEATURES,
    PULL_FEATURES,
    Logistic,
    Resolution,
    confidence_features,
    pull_features,
)
from analysis.observe import Observer
from eventlog.store.log import Log
from market.timestamps import DAY_NS, HOUR_NS, day_of, iso
from projections.state import READS, STATE_KINDS, MarketState, TickEntry
from replay.decisions import ticks_between
from replay.inference import blocks as inference
from replay.recorded.price_path import PricePath
from replay.scoring.episodes import Publication, episodes_of
from replay.scoring.figures import BLOCK_NS
from replay.scoring.outcomes import BROKEN, REJECTED
from replay.scoring.rules import ScoringRules
from replay.scoring.scoring import zone_outcomes
from runtime.analysis_config import AnalysisConfig
from runtime.loop import drive
from runtime.warm_up import state_of

Period = tuple[str, str, str]

_PENALTY = 1.0  # on the squares of standardised slopes
_ROUNDS = 50  # of Newton's method, at most; it ends when no weight moves by 1e-9
_NO_END_NS = 2**62  # beyond the last tick of any log
_JUDGED = "confidence"  # shown beside each zone: it must have told zones apart to be called that
HORIZON_NS = HOUR_NS
"""A wall counts as pulled if that happens within this time and before it is touched."""


@dataclass(slots=True)
class Samples:
    """n outcomes with their features, which log each is from, and when it was stated."""

    features: list[tuple[float, ...]] = field(default_factory=list)
    outcome: list[float] = field(default_factory=list)
    log: list[int] = field(default_factory=list)
    at_ns: list[int] = field(default_factory=list)

    def add(self, features: tuple[float, ...], outcome: bool, log: int = 0, at_ns: int = 0) -> None:
        """
        Add one outcome.

        Args:
            features: as many as the others have; the first is 1.
            outcome: whether the event happened.
            log: the number of the log it is from. at_ns: when its probability was stated.
        """
        self.features.append(features)
        self.outcome.append(float(outcome))
        self.log.append(log)
        self.at_ns.append(at_ns)

    def between(self, from_ns: int, to_ns: int) -> "Samples":
        """Those stated from one moment to before another."""
        part = Samples()
        for sample in zip(self.features, self.outcome, self.log, self.at_ns, strict=True):
            if from_ns <= sample[3] < to_ns:
                part.add(sample[0], bool(sample[1]), *sample[2:])
        return part


def fit(samples: Samples, names: tuple[str, ...], source: str, periods: tuple[Period, ...] = ()) -> Logistic:
    """
    The logistic regression of outcomes on features, with a penalty on all coefficients but the first.

    Logs differ in how often anything holds, so each has an intercept of its own; the result has that of the first.

    Args:
        samples: outcomes with k features each.
        names: of the k features.
        source: what the samples come from, in words.
        periods: market, first and last tick of each log.

    Raises:
        ValueError: fewer than ten outcomes of either kind: nothing to learn from.
    """
    outcome = np.array(samples.outcome)
    if outcome.sum() < 10 or (1 - outcome).sum() < 10:
        raise ValueError(f"{int(outcome.sum())} of {len(outcome)} outcomes are positive; ten of each kind are needed")
    features = np.array(samples.features)
    centre, scale = features.mean(axis=0), features.std(axis=0)
    is_used = scale > 1e-12
    log_levels = [np.array(samples.log) == number for number in sorted(set(samples.log))[1:]]
    standard = np.column_stack(
        [np.ones(len(features)), (features[:, is_used] - centre[is_used]) / scale[is_used], *log_levels]
    )
    penalty = np.full(standard.shape[1], _PENALTY)
    penalty[0], penalty[1 + int(is_used.sum()) :] = 0.0, 0.0
    weights = np.zeros(standard.shape[1])
    for _ in range(_ROUNDS):
        probability = 1 / (1 + np.exp(-np.clip(standard @ weights, -30, 30)))
        slope = standard.T @ (outcome - probability) - penalty * weights
        curvature = (standard * (probability * (1 - probability))[:, None]).T @ standard + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curvature, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    coefficients = np.zeros(features.shape[1])
    slopes = weights[1 : 1 + int(is_used.sum())]
    coefficients[is_used] = slopes / scale[is_used]
    coefficients[0] = weights[0] - float((slopes * centre[is_used] / scale[is_used]).sum())
    return Logistic(source, names, tuple((np.round(coefficients, 6) + 0.0).tolist()), len(outcome), periods)


@dataclass(frozen=True, slots=True)
class _OpenWall:
    at_ns: int
    side: Side
    price_e8: int
    features: tuple[float, ...]


class PullSamples:
    """
    Follows standing, untouched walls from tick to tick and collects whether each was pulled within the hour.

    A wall that moved, was touched, filled or breached, or still stands was not pulled. A wall whose end is not on
    record, because the log or the books ended first, gives no sample.
    """

    def __init__(self) -> None:
        self._open: list[_OpenWall] = []
        self._previous_endings: set[tuple[Side, int, int]] = set()
        self.samples = Samples()

    def add_tick(self, at_ns: int, static: StaticBook) -> None:
        """Add the walls of one tick; ticks come in order."""
        if static.sides is None:
            return
        standing = [w for side in static.sides.values() for w in side.walls]
        touched_walls = {(w.side, w.wall.bin.price_e8) for w in standing if w.life.state != "held"}
        # new is what the tick before did not report, whatever its minute: a book may come after its tick
        endings = {(e.side, e.price_e8, e.minute_ns): e.ending for e in static.ended_walls}
        new_endings = {key[:2]: ending for key, ending in endings.items() if key not in self._previous_endings}
        self._previous_endings = set(endings)
        open_walls = []
        for wall in self._open:
            key, age_ns = (wall.side, wall.price_e8), at_ns - wall.at_ns
            if age_ns > HORIZON_NS:
                continue
            if key in new_endings:
                self.samples.add(wall.features, new_endings[key] == "pulled")
            elif key in touched_walls or age_ns == HORIZON_NS:
                self.samples.add(wall.features, False)
            else:
                open_walls.append(wall)
        self._open = open_walls + [
            _OpenWall(at_ns, w.side, w.wall.bin.price_e8,
                      pull_features(w.wall.bin.share, w.distance_bp, w.wall.age_min))
            for w in standing
            if w.life.state == "held"
        ]  # fmt: skip


@dataclass(slots=True)
class TrainingSet:
    """
    The samples of one log.

    Attributes:
        pull: of walls. confidence: of touched zones.
        source: the log, in words. periods: market, first and last tick; empty without a tick.
    """

    pull: Samples
    confidence: Samples
    source: str
    periods: tuple[Period, ...]


def build_training_set(
    log: Log, config: AnalysisConfig, rules: ScoringRules, on_progress: Callable[[int], None]
) -> TrainingSet:
    """
    Read a log from start to end and collect outcomes of walls and of advised zones, each zone once, from its first
    publication.

    Args:
        log: the market log.
        config: the symbol, windows and thresholds to analyse with.
        rules: how zones are scored.
        on_progress: called with 1 for each tick.
    """
    state = state_of(log, config.windows)
    observer, analyst = Observer(config.symbol, state, config.parameters), RulesAnalyst(config.parameters)
    walls = PullSamples()
    publications: list[Publication] = []
    features: dict[int, tuple[float, ...]] = {}
    ticks = ticks_between(log, 0, _NO_END_NS)
    delay_ns = rules.publish_delay_ms * 1_000_000
    out_ns = dict(zip(ticks.seq.tolist(), (ticks.recv_ns + delay_ns).tolist(), strict=True))

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        on_progress(1)
        findings = observer.find(now)
        view = observer.build_view(tick, now, findings)
        walls.add_tick(tick.boundary_ns, findings.static)
        if tick.trades != "live" or view.reference_e8 is None or view.sigma is None:
            return
        advice = analyst.decide(view)
        by_evidence = {tuple(e.id for e in z.evidence): z for z in view.zones}
        for zone in advice.zones:
            source = by_evidence[zone.evidence]
            distance_sigma = (source.price_e8 - view.reference_e8) / (view.reference_e8 * view.sigma)
            features[id(zone)] = confidence_features(source.score, len(source.legs), distance_sigma)
        publications.append(Publication(advice, out_ns[tick.seq], tick.seq))

    drive(log.read(kinds=STATE_KINDS, columns=READS), state, on_tick)
    path = PricePath.from_log(log, 0)
    confidence = _zone_outcomes(publications, features, path, rules)
    market = str(log.name.market)
    if len(ticks) == 0:
        return TrainingSet(walls.samples, confidence, f"{market}, no tick", ())
    first, last = iso(int(ticks.boundary_ns.min())), iso(int(ticks.boundary_ns.max()))
    return TrainingSet(walls.samples, confidence, f"{market} {first} to {last}", ((market, first, last),))


def _zone_outcomes(
    publications: Sequence[Publication], features: dict[int, tuple[float, ...]], path: PricePath, rules: ScoringRules
) -> Samples:
    episodes = episodes_of(publications)
    samples = Samples()
    for episode, outcome in zip(episodes, zone_outcomes(episodes, path, rules).outcome.tolist(), strict=True):
        if outcome in (REJECTED, BROKEN):
            samples.add(features[id(episode.zone)], outcome == REJECTED, at_ns=episode.published_ns)
    return samples


def held_out_resolution(samples: Samples, names: tuple[str, ...]) -> Resolution | None:
    """
    Fit on the earlier half of the days, and judge on the later one whether what is stated tells outcomes apart.

    Args:
        samples: outcomes with k features each. names: of the k features.

    Returns:
        None with a single day, or too few outcomes on the earlier days.
    """
    days = sorted({at_ns // DAY_NS for at_ns in samples.at_ns})
    if len(days) < 2:
        return None
    cut_ns = days[(len(days) + 1) // 2] * DAY_NS
    earlier = samples.between(0, cut_ns - BLOCK_NS)  # what is stated later may be decided by prices of the other half
    later = samples.between(cut_ns, _NO_END_NS)
    try:
        model = fit(earlier, names, "")
    except ValueError:
        return None
    stated = np.array([model.probability(features) for features in later.features])
    outcome, block = np.array(later.outcome), np.array(later.at_ns) // BLOCK_NS
    products = (stated - stated.mean()) * (outcome - outcome.mean())
    result = inference.difference(inference.Samples(products, block), inference.Samples(np.zeros(len(products)), block))
    return Resolution(
        result.mean or 0.0, result.low, result.high, len(outcome), result.blocks, _days(earlier), _days(later)
    )


def _days(samples: Samples) -> str:
    return f"{day_of(min(samples.at_ns))} to {day_of(max(samples.at_ns))}"


def fit_models(training_sets: Iterable[TrainingSet]) -> dict[str, Logistic | str]:
    """Fit both probabilities, "pull" and "confidence", to all samples; a sentence says why one cannot be fitted."""
    sets = list(training_sets)
    source = "; ".join(training_set.source for training_set in sets)
    periods = tuple(p for training_set in sets for p in training_set.periods)
    models: dict[str, Logistic | str] = {}
    for name, names in (("pull", PULL_FEATURES), ("confidence", CONFIDENCE_FEATURES)):
        pool = Samples()
        for number, training_set in enumerate(sets):
            part: Samples = getattr(training_set, name)
            for features, outcome, at_ns in zip(part.features, part.outcome, part.at_ns, strict=True):
                pool.add(features, bool(outcome), number, at_ns)
        try:
            model = fit(pool, names, source, periods)
            models[name] = replace(model, resolution=held_out_resolution(pool, names)) if name == _JUDGED else model
        except ValueError as error:
            models[name] = str(error)
    return models
