"""What is learned offline: coefficients that are known, labels by hand, files that are refused."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from agents.recommendation import parse as parse_advice
from agents.zones import UNCALIBRATED
from analysis.book.static_book import NO_BOOK, StaticBook
from analysis.book.wall_life import EndedWall, Ending
from analysis.fitted import (
    CONFIDENCE_FEATURES,
    CONFIDENCE_PRIOR,
    PULL_FEATURES,
    Logistic,
    confidence_features,
    parse,
    pull_features,
)
from eventlog.clock import ManualClock
from eventlog.facts.market import AGG_TRADE
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from market.timestamps import HOUR_NS, MINUTE_NS
from replay.decisions import decide_all, ticks_between
from replay.runs.finished_runs import load
from replay.runs.run import Request, run
from replay.scoring.rules import ScoringRules
from replay.signals.fitting import (
    PullSamples,
    Samples,
    TrainingSet,
    build_training_set,
    fit,
    fit_models,
    held_out_resolution,
)
from runtime.analysis_config import AnalysisConfig, analysis_config
from runtime.open_log import open_log
from runtime.settings.settings import AnalysisSettings, Analyzer, Settings, SettingsError
from tests.market_builders import MARKET, SIGHT, T0, a_market, e8, numbered, trade_columns, write_log

RULES = ScoringRules(2000, 250, 1.0, 0.0, 5, 1, 2.0, 2.0)


def samples_of(features: Sequence[tuple[float, ...]], outcomes: Sequence[bool]) -> Samples:
    samples = Samples()
    for row, outcome in zip(features, outcomes, strict=True):
        samples.add(row, outcome)
    return samples


# Logistic regression


def test_known_coefficients_come_back() -> None:
    """Twenty thousand outcomes of a known law give its coefficients back to within a tenth or so."""
    chance = np.random.default_rng(7)
    law = (-1.0, 2.0, 0.5, -0.8)
    features = [
        confidence_features(round(float(chance.random()), 6), int(chance.integers(1, 4)), float(chance.uniform(0, 16)))
        for _ in range(20_000)
    ]
    odds = np.array(features) @ np.array(law)
    outcomes = (chance.random(20_000) < 1 / (1 + np.exp(-odds))).tolist()
    model = fit(samples_of(features, outcomes), CONFIDENCE_FEATURES, "a law", (("binance:A", "x", "y"),))
    assert model.coefficients == pytest.approx(law, abs=0.12)
    assert (model.fit, model.names, model.samples) == ("a law", CONFIDENCE_FEATURES, 20_000)
    assert model.periods == (("binance:A", "x", "y"),)


def test_features_that_never_change_leave_the_rate() -> None:
    """Thirty of a hundred: the closed form log(0.3/0.7), and nothing for features that say nothing."""
    same = [confidence_features(0.4, 2, 3.0)] * 100
    model = fit(samples_of(same, [n < 30 for n in range(100)]), CONFIDENCE_FEATURES, "a rate")
    assert model.coefficients == (round(log(0.3 / 0.7), 6), 0.0, 0.0, 0.0)
    assert model.probability(same[0]) == 0.3


def test_the_mean_of_what_is_said_is_the_rate() -> None:
    """The first coefficient is not drawn towards 0: over the sample itself the probabilities average to the rate."""
    chance = np.random.default_rng(3)
    features = [pull_features(*values) for values in chance.uniform((0.01, 2, 0), (0.2, 90, 60), (400, 3)).tolist()]
    outcomes = (chance.random(400) < 0.7).tolist()
    model = fit(samples_of(features, outcomes), PULL_FEATURES, "a rate")
    assert float(np.mean([model.probability(f) for f in features])) == pytest.approx(np.mean(outcomes), abs=1e-4)


def test_outcomes_that_a_feature_decides_give_finite_coefficients() -> None:
    """Without the penalty they would run away."""
    features = [confidence_features(n / 100, 1, 1.0) for n in range(100)]
    model = fit(samples_of(features, [n >= 50 for n in range(100)]), CONFIDENCE_FEATURES, "a step")
    assert 5 < model.coefficients[1] < 100
    assert model.probability(features[10]) < 0.1 < 0.9 < model.probability(features[90])


@pytest.mark.parametrize(("rejections", "breaks"), [(9, 500), (500, 9), (0, 0)])
def test_too_few_outcomes_are_said(rejections: int, breaks: int) -> None:
    """Ten of each kind are the least."""
    samples = samples_of(
        [confidence_features(0.5, 1, n) for n in range(rejections + breaks)], [True] * rejections + [False] * breaks
    )
    with pytest.raises(
        ValueError, match=f"{rejections} of {rejections + breaks} outcomes are positive; ten of each kind"
    ):
        fit(samples, CONFIDENCE_FEATURES, "too few")
    assert fit_models([TrainingSet(Samples(), samples, "a log", ())])["confidence"] == (
        f"{rejections} of {rejections + breaks} outcomes are positive; ten of each kind are needed"
    )


def test_logs_are_pooled() -> None:
    """Six of each kind in two logs are enough together; both are named and both periods kept."""
    half = samples_of([confidence_features(n / 12, 1, 1) for n in range(12)], [n % 2 == 0 for n in range(12)])
    training_sets = [TrainingSet(Samples(), half, f"log {n}", (("binance:A", f"{n}", f"{n}"),)) for n in (1, 2)]
    model = fit_models(training_sets)["confidence"]
    assert isinstance(model, Logistic)
    assert (model.samples, model.fit) == (24, "log 1; log 2")
    assert model.periods == (("binance:A", "1", "1"), ("binance:A", "2", "2"))


# Out of sample


def days_of_zones(seed: int, days: int, slope: float, an_hour: int = 8) -> Samples:
    """Zones of some days, whose score says more about their rejection the steeper the slope."""
    chance = np.random.default_rng(seed)
    samples = Samples()
    for n in range(days * 24 * an_hour):
        score = float(chance.random())
        rejected = bool(chance.random() < 1 / (1 + np.exp(-slope * (score - 0.5))))
        features = confidence_features(score, int(chance.integers(1, 4)), float(chance.uniform(0, 16)))
        samples.add(features, rejected, at_ns=T0 + n * HOUR_NS // an_hour)
    return samples


def test_what_tells_zones_apart_on_later_days_is_confidence() -> None:
    """Fitted on two days of three, judged on the third: its 192 zones in 12 blocks of two hours."""
    resolution = held_out_resolution(days_of_zones(1, 3, 6.0), CONFIDENCE_FEATURES)
    assert resolution is not None
    assert (resolution.outcomes, resolution.blocks) == (192, 12)
    assert (resolution.fitted_on, resolution.judged_on) == ("2026-03-02 to 2026-03-03", "2026-03-04 to 2026-03-04")
    assert resolution.low is not None
    assert 0 < resolution.low < resolution.mean < 0.25
    assert replace(MODEL, resolution=resolution).word == "confidence"
    model = fit_models([TrainingSet(Samples(), days_of_zones(1, 3, 6.0), "a log", ())])["confidence"]
    assert isinstance(model, Logistic)
    assert (model.resolution, model.samples) == (resolution, 576)


def test_honest_probabilities_have_murphys_resolution() -> None:
    """Over ten seeds the mean is the variance of the true probabilities, 6·(score − ½) on the odds' scale: 0.0795."""
    score = (np.arange(10_000) + 0.5) / 10_000
    law = float(np.var(1 / (1 + np.exp(-6 * (score - 0.5)))))
    found = [held_out_resolution(days_of_zones(seed, 10, 6.0), CONFIDENCE_FEATURES) for seed in range(10)]
    assert np.mean([r.mean for r in found if r is not None]) == pytest.approx(law, rel=0.05)


def test_what_tells_nothing_apart_stays_a_base_rate() -> None:
    """Of 2,400 fits without a law 2.8 % were called confidence, where 2.5 % are expected; of these 300 at most 5 %."""
    called = [
        replace(MODEL, resolution=held_out_resolution(days_of_zones(seed, 2, 0.0), CONFIDENCE_FEATURES)).word
        for seed in range(600, 900)
    ]
    assert called.count("confidence") <= 15


def test_one_number_has_no_resolution() -> None:
    """Features that never change give one number: 0, and no interval."""
    samples = Samples()
    for n in range(480):
        samples.add(confidence_features(0.5, 1, 1.0), n % 3 == 0, at_ns=T0 + n * HOUR_NS // 10)
    resolution = held_out_resolution(samples, CONFIDENCE_FEATURES)
    assert resolution is not None
    assert (resolution.mean, resolution.low) == (0.0, None)


def test_one_day_or_few_outcomes_are_not_judged() -> None:
    """Then nothing is claimed; what was stated up to two hours before the later days is in neither part."""
    assert held_out_resolution(days_of_zones(1, 1, 6.0), CONFIDENCE_FEATURES) is None
    assert held_out_resolution(Samples(), CONFIDENCE_FEATURES) is None
    late = Samples()
    for n in range(100):
        late.add(confidence_features(n / 100, 1, 1.0), n % 2 == 0, at_ns=T0 + 22 * HOUR_NS + n * HOUR_NS // 10)
    assert held_out_resolution(late, CONFIDENCE_FEATURES) is None


# What became of walls


def a_static(walls: dict[str, str], ended: Sequence[EndedWall] = ()) -> StaticBook:
    """Standing bid walls by price with their state, and endings."""
    standing = [
        SimpleNamespace(
            side="bid", distance_bp=-20.0, life=SimpleNamespace(state=state),
            wall=SimpleNamespace(bin=SimpleNamespace(price_e8=e8(price), share=0.02), age_min=0),
        )
        for price, state in walls.items()
    ]  # fmt: skip
    return StaticBook(None, sides={"bid": SimpleNamespace(walls=standing)}, ended_walls=ended)  # type: ignore[dict-item]


def an_ending(price: str, ending: Ending, minute: int, side: Any = "bid") -> EndedWall:
    return EndedWall(side, e8(price), 0.02, ending, T0 + minute * MINUTE_NS, None)


def outcomes_of(*ticks: tuple[int, StaticBook]) -> list[float]:
    """The labels after some ticks, by minute."""
    walls = PullSamples()
    for minute, static in ticks:
        walls.add_tick(T0 + minute * MINUTE_NS, static)
    assert set(walls.samples.features) <= {pull_features(0.02, -20.0, 0)}
    return walls.samples.outcome


HELD = a_static({"99": "held"})


@pytest.mark.parametrize(
    ("ending", "label"), [("pulled", 1.0), ("moved", 0.0), ("filled", 0.0), ("breached", 0.0)]
)  # fmt: skip
def test_a_wall_that_ends(ending: Ending, label: float) -> None:
    """Only what is pulled was pulled."""
    assert outcomes_of((0, HELD), (1, a_static({}, [an_ending("99", ending, 1)]))) == [label]


def test_a_touched_wall_was_not_pulled() -> None:
    """Touched before anything else happened, whatever comes later; a wall first seen touched is no sample."""
    endings = [an_ending("99", "pulled", 2)]
    assert outcomes_of((0, HELD), (1, a_static({"99": "tested"})), (2, a_static({}, endings))) == [0.0]
    assert outcomes_of((0, a_static({"99": "absorbing"})), (1, a_static({}, [an_ending("99", "pulled", 1)]))) == []


def test_a_wall_that_still_stands_after_an_hour() -> None:
    """Seen at sixty-one minutes it is one outcome at the hour; what was seen later is still open."""
    assert outcomes_of(*((m, HELD) for m in range(60))) == []
    assert outcomes_of(*((m, HELD) for m in range(61))) == [0.0]
    late = (60, a_static({}, [an_ending("99", "pulled", 60)]))
    assert outcomes_of((0, HELD), late) == [1.0]


def test_each_tick_is_a_sample_of_its_own() -> None:
    """A wall seen at three ticks and then pulled was pulled within the hour of each."""
    without_wall = a_static({}, [an_ending("99", "pulled", 3)])
    assert outcomes_of((0, HELD), (1, HELD), (2, HELD), (3, without_wall), (4, without_wall)) == [1.0] * 3


def test_what_nobody_saw_the_end_of_is_dropped() -> None:
    """The record ends; or the books were away while the hour passed, whatever they show afterwards."""
    assert outcomes_of((0, HELD), (1, a_static({}))) == []
    assert outcomes_of((0, HELD), (1, StaticBook(NO_BOOK)), (90, a_static({}, [an_ending("99", "pulled", 89)]))) == []
    assert outcomes_of((0, HELD), (90, a_static({"99": "held"}))) == []


def test_only_its_own_ending_counts() -> None:
    """Not another price's, not another side's, not one that was told before the wall was seen."""
    others = [an_ending("98", "pulled", 1), an_ending("99", "pulled", 1, "ask")]
    assert outcomes_of((0, HELD), (1, a_static({}, others))) == []
    before = [an_ending("99", "pulled", 0)]
    assert outcomes_of((0, a_static({"99": "held"}, before)), (1, a_static({"99": "held"}, before))) == []


def test_an_ending_that_a_late_book_shows() -> None:
    """The book of minute 1 comes after its tick: the tick of minute 2 tells that the wall had been pulled then."""
    assert outcomes_of((0, HELD), (1, a_static({})), (2, a_static({}, [an_ending("99", "pulled", 1)]))) == [1.0]


# From a log


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours of a market by chance."""
    folder = tmp_path_factory.mktemp("storage")
    write_log(folder, a_market(71, 180), segments=2)
    return folder


@pytest.fixture(scope="module")
def training_set(storage: Path) -> TrainingSet:
    return build_training_set(open_market(storage), SIGHT, RULES, lambda _: None)


def open_market(storage: Path) -> Log:
    """The log, without a server."""
    return Log(ColdLog(storage, LogName("events", MARKET)), None, {})


@pytest.mark.slow
def test_learning_from_a_log(training_set: TrainingSet) -> None:
    """Where and when it was is on record; features are in the ranges they can have, outcomes 0 or 1."""
    assert training_set.periods == ((str(MARKET), "2026-03-02T00:01:00Z", "2026-03-02T03:00:00Z"),)
    assert training_set.source == f"{MARKET} 2026-03-02T00:01:00Z to 2026-03-02T03:00:00Z"
    assert len(training_set.pull.outcome) > 50
    assert {len(f) for f in training_set.pull.features} == {len(PULL_FEATURES)}
    scores, legs, far = zip(*(f[1:] for f in training_set.confidence.features), strict=True)
    assert 0 < min(scores) <= max(scores) <= 1
    assert set(legs) <= {1.0, 2.0, 3.0}
    assert 0 <= min(far) <= max(far) <= log(17)
    assert set(training_set.confidence.outcome) == {0.0, 1.0}


@pytest.mark.slow
def test_zones_learn_what_scoring_says(training_set: TrainingSet, storage: Path) -> None:
    """As many outcomes as the run's decided episodes, and as many of them held."""
    request = Request(str(MARKET), 0, 2**62, SIGHT, replace(RULES, placebo_draws=1))
    result = run(partial(open_log, storage, MARKET), request, storage / "runs", 1, ManualClock(T0), lambda *_: None)
    outcomes = load(result.folder).table("episodes").column("outcome").to_pylist()
    assert len(training_set.confidence.outcome) == outcomes.count("rejected") + outcomes.count("broken") > 5
    assert sum(training_set.confidence.outcome) == outcomes.count("rejected")


def test_a_log_without_ticks_teaches_nothing(tmp_path: Path) -> None:
    """It says so, and has no period."""
    bare = write_log(tmp_path, numbered({AGG_TRADE: trade_columns([T0, T0 + 1], [e8(100), e8(101)])}))
    bare_set = build_training_set(bare, SIGHT, RULES, lambda _: None)
    assert (bare_set.source, bare_set.periods, bare_set.pull.outcome) == (f"{MARKET}, no tick", (), [])


# Files


MODEL = Logistic(
    "a test", CONFIDENCE_FEATURES, (1.0, 0.5, 0.0, 0.0), 50,
    (("binance:TESTUSDT", "2026-03-02T00:01:00Z", "2026-03-02T01:00:00Z"),),
)  # fmt: skip


def test_a_file_comes_back(training_set: TrainingSet) -> None:
    """What is written is what is read, periods included."""
    models: dict[str, Any] = {"confidence": MODEL} | {
        k: m for k, m in fit_models([training_set]).items() if k == "pull"
    }
    assert isinstance(models["pull"], Logistic)
    assert parse(msgspec.json.format(msgspec.json.encode(models), indent=2)) == models


def a_file(**changed: Any) -> bytes:
    return msgspec.json.encode({"confidence": asdict(MODEL) | changed})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not a file of fitted coefficients"),
        (b"\xff\xfe{}", "not a file of fitted coefficients"),
        (b"[1, 2]", "not a file of fitted coefficients"),
        (b"{}", "holds no fitted probability; known: pull, confidence"),
        (b'{"confidence": 3}', "not a file of fitted coefficients"),
        (b'{"confidence": {"fit": "x"}}', "not a file of fitted coefficients"),
        (a_file(coefficients=[1.0, None, 0.0, 0.0]), "not a file of fitted coefficients"),
        (msgspec.json.encode({"touch": asdict(MODEL)}), "touch is no probability known here; known: pull, confidence"),
        (msgspec.json.encode({"pull": asdict(MODEL)}), "pull was fitted on other features"),
        (a_file(names=["one", "score", "legs", "distance"]), "confidence was fitted on other features"),
        (a_file(coefficients=[1.0, 2.0]), "confidence was fitted on other features than are used now; fit it again"),
        (a_file(periods=[["binance:A", "soon", "later"]]), "'soon' is no date or time"),
    ],
)
def test_files_that_are_something_else(body: bytes, said: str) -> None:
    """Refused by what is wrong, on one line."""
    with pytest.raises(ValueError, match=said) as caught:
        parse(body)
    assert "\n" not in str(caught.value)


def test_stretches_that_share_a_moment() -> None:
    """The market and the time must both agree; the edges count."""
    first, last = T0 + MINUTE_NS, T0 + HOUR_NS
    said = ["binance:TESTUSDT 2026-03-02T00:01:00Z to 2026-03-02T01:00:00Z"]
    assert MODEL.periods_within("binance:TESTUSDT", last, last + HOUR_NS) == said
    assert MODEL.periods_within("binance:TESTUSDT", T0, first) == said
    assert MODEL.periods_within("binance:TESTUSDT", last + 1, last + HOUR_NS) == []
    assert MODEL.periods_within("binance:TESTUSDT", T0, first - 1) == []
    assert MODEL.periods_within("binance:OTHER", T0, last) == []


def settings_with(file: Path | None) -> Settings:
    return Settings(analyzer=Analyzer(analysis=AnalysisSettings(fitted_file=file)))


def test_a_fitted_file_is_another_pair_of_eyes(tmp_path: Path) -> None:
    """It changes the digest of the parameters; what it does not hold stays the prior."""
    prior = analysis_config(settings_with(None), "TESTUSDT").parameters
    samples = []
    for number, first in enumerate((1.0, 1.0, 1.000001)):
        file = tmp_path / f"{number}.json"
        file.write_bytes(a_file(coefficients=[first, 0.5, 0.0, 0.0]))
        samples.append(analysis_config(settings_with(file), "TESTUSDT").parameters)
    assert samples[0].confidence == MODEL
    assert samples[0].pull == prior.pull
    assert len({p.digest() for p in (prior, *samples)}) == 3
    assert samples[0].digest() == samples[1].digest()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, r"cannot read .*fit.json: No such file or directory; see analyzer.analysis.fitted_file"),
        (b"{}", r"fit.json: it holds no fitted probability"),
        (b"rubbish", r"fit.json: not a file of fitted coefficients"),
    ],
)
def test_a_fitted_file_that_cannot_be_used(tmp_path: Path, body: bytes | None, said: str) -> None:
    """Named with its path and the key that names it."""
    file = tmp_path / "fit.json"
    if body is not None:
        file.write_bytes(body)
    with pytest.raises(SettingsError, match=said):
        analysis_config(settings_with(file), "TESTUSDT")


def test_confidence_follows_the_fit_and_says_so(storage: Path) -> None:
    """With a constant of 0.3 every zone says 0.3 and names the fit; with the prior a half, and that it is none."""
    rate = Logistic("a rate", CONFIDENCE_FEATURES, (round(log(0.3 / 0.7), 6), 0.0, 0.0, 0.0), 40)
    said = {}
    for name, fit_ in (("prior", CONFIDENCE_PRIOR), ("rate", rate)):
        log_ = open_market(storage)
        ticks = ticks_between(log_, T0 + 170 * MINUTE_NS, 2**62)
        sight = replace(SIGHT, parameters=replace(SIGHT.parameters, confidence=fit_))
        samples = [d for d in _decisions(storage, ticks, sight) if d.zones]
        advice = [parse_advice(d.advice) for d in samples if d.advice]
        said[name] = ({z.confidence for a in advice for z in a.zones}, {a.warnings[-1] for a in advice})
    assert said == {"prior": ({0.5}, {UNCALIBRATED}), "rate": ({0.3}, {"confidence fitted on a rate"})}


def _decisions(storage: Path, ticks: Any, sight: AnalysisConfig) -> list[Any]:
    return list(decide_all(partial(open_log, storage, MARKET), ticks, sight, 1, lambda _: None))
