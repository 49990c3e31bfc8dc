"""Two sides paired by minute: repeats averaged first, minutes kept apart, p-values corrected for all that was tried."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from agents.llm.conversation.dialogue import ModelOptions
from agents.rules import RulesAnalyst
from market.timestamps import MINUTE_NS, SECOND_NS
from replay.decisions import Ticks, ticks_between
from replay.errors import MissingAnswer
from replay.inference.blocks import holm
from replay.inference.paired import PairedDifference
from replay.recorded.price_path import PricePath
from replay.runs.publications import publish_times
from replay.scoring.rules import ScoringRules
from replay.trials.ab import (
    ArmScores,
    Repeat,
    Row,
    compare_arms,
    correct_rows,
    minute_ticks,
    minutes_of,
    score_arm,
    totals_as_json,
    variant_of,
)
from replay.trials.answer import Arm, Totals
from replay.trials.minute_scores import Score
from replay.trials.variants import Comparison, Variant
from runtime.analysts import Questions, make_recorded_analyst
from tests.market_builders import SIGHT, T0, a_market, write_log

RULES = ScoringRules(2000, 250, 1.0, 0.0, 1, 1, 2.0, 2.0)
SCORE = Score("touched", None, 1)


def a_look(metric: str, p: float | None, other: str = "b") -> Comparison:
    """A comparison of side a with another."""
    a, b = Variant("a", "m", "staged", "1"), Variant(other, "m", "staged", "2")
    return Comparison(a, b, metric, "binance:TESTUSDT", 0, 1, 1, 0, p, 0)


def test_only_whole_minutes_are_paired() -> None:
    """Ticks every thirty seconds: each second one, named by the minute it ends."""
    at = T0 + np.arange(1, 7) * 30 * SECOND_NS
    ticks = minute_ticks(Ticks(np.arange(6), at, at))
    assert ticks.seq.tolist() == [1, 3, 5]
    assert (minutes_of(ticks) - T0 // MINUTE_NS).tolist() == [1, 2, 3]


def test_repeats_are_averaged_before_they_are_paired() -> None:
    """Minutes scored on one side only are left out; the means are of minutes, not of answers."""
    a = ArmScores({SCORE: np.array([[1.0, 0.0], [1.0, np.nan], [np.nan, np.nan], [0.0, 0.0]])}, 1.0)
    b = ArmScores({SCORE: np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [np.nan, np.nan]])}, 1.0)
    (row,) = compare_arms(a, b, np.arange(4), [SCORE])
    assert (row.difference.a, row.difference.b, row.difference.mean, row.difference.minutes) == (0.75, 0.25, 0.5, 2)
    assert row.difference.p is None
    assert row.as_json()["too_few"] == "2 minutes are 0 blocks of 2.0 h, and 8 are needed: compare at least 16 h more"


def test_a_difference_is_found_and_corrected() -> None:
    """A difference over two thousand independent minutes; ten other looks in the ledger make it eleven times dearer."""
    chance = np.random.default_rng(5)
    a, b = (ArmScores({SCORE: chance.normal(shift, 1, (2000, 1))}, 1.0) for shift in (0.15, 0.0))
    rows = compare_arms(a, b, np.arange(2000), [SCORE])
    p = rows[0].difference.p
    assert rows[0].corrected_p == p
    assert p is not None
    assert 0 < p < 0.01
    look = a_look("touched", p)
    alone = correct_rows(rows, [look], [])[0].corrected_p
    among = correct_rows(rows, [look], [a_look("touched", 0.9, other=f"b{n}") for n in range(10)])[0].corrected_p
    assert alone == pytest.approx(p)
    assert among == pytest.approx(11 * p)


def test_the_figures_of_a_table_are_one_family() -> None:
    """Holm over the two: the smaller p counts twice."""
    chance = np.random.default_rng(5)
    other = Score("filled", "touch", 1)
    a, b = (ArmScores({s: chance.normal(0, 1, (2000, 1)) for s in (SCORE, other)}, 1.0) for _ in "ab")
    rows = compare_arms(a, b, np.arange(2000), [SCORE, other])
    p_values = [row.difference.p for row in rows]
    assert [row.corrected_p for row in rows] == holm(p_values)
    assert holm(p_values) != p_values


def test_too_few_has_no_corrected_p() -> None:
    """Where there is no p there is nothing to correct, whatever else was tried."""
    row = Row(SCORE, PairedDifference(None, None, None, None, 0, None, too_few="none"))
    assert correct_rows([row], [a_look("touched", None)], [a_look("filled", 0.001)])[0].corrected_p is None


def test_variants_differ_by_what_is_asked() -> None:
    """Prompt, model, mode and thinking are named; whatever else differs is in the digest."""
    side = Arm("m", "l", ModelOptions("deepseek-flash"), "default", "zh", "p1", "q", {}, "")
    other = Arm("m", "l", ModelOptions("deepseek-flash", "compact", True), "default", "zh", "p1", "q", {}, "")
    assert variant_of(side) == Variant("p1", "deepseek-flash", "staged, not thinking", side.digest())
    assert variant_of(other).mode == "compact, thinking"
    assert variant_of(other).settings != variant_of(side).settings


def test_rates() -> None:
    """Shares of answers and of numbers; none where there is nothing to share."""
    figures = totals_as_json(Totals(answers=8, fallbacks=2, numbers=40, ungrounded=1, cost_usd_e12=1_500_000_000))
    assert (figures["fallback_rate"], figures["ungrounded_rate"], figures["cost_usd"]) == (0.25, 0.025, 0.0015)
    assert totals_as_json(Totals())["fallback_rate"] is None


def test_a_side_is_scored_tick_by_tick(tmp_path: Path) -> None:
    """Each repeat is a column; ticks at which nobody decides stay empty; the same decisions give the same scores."""
    log = write_log(tmp_path, a_market(61, 80))
    ticks = ticks_between(log, T0 + 30 * MINUTE_NS, T0 + 50 * MINUTE_NS)
    path = PricePath.from_log(log, 0)
    repeats = [Repeat(RulesAnalyst, {}), Repeat(RulesAnalyst, dict.fromkeys(ticks.seq.tolist(), 30000))]
    done: list[int] = []

    arm_scores = score_arm(lambda: nullcontext(log), ticks, SIGHT, repeats, RULES, path, 1, done.append)
    touches = arm_scores.scores[Score("touched", None, 60)]
    assert touches.shape == (20, 2)
    live = ~np.isnan(touches[:, 0])
    assert 15 <= live.sum() <= 20
    assert np.array_equal(live, ~np.isnan(touches[:, 1]))
    assert sum(done) == 40
    assert 0.7 < arm_scores.with_zones <= 1.0


def test_a_missing_answer_is_one_line(tmp_path: Path) -> None:
    """A tick nobody was asked about fails the scoring, and says which it is."""
    log = write_log(tmp_path, a_market(61, 40))
    ticks = ticks_between(log, T0 + 35 * MINUTE_NS, 2**62)
    path = PricePath.from_log(log, 0)
    questions = Questions(ModelOptions("deepseek-flash"), "default", "en")

    nobody = partial(make_recorded_analyst, dict, questions)
    with pytest.raises(MissingAnswer, match="no model was asked about 2026-03-02T00:3"):
        score_arm(lambda: nullcontext(log), ticks, SIGHT, [Repeat(nobody, {})], RULES, path, 1, lambda _: None)


def test_slow_answers_are_out_later() -> None:
    """Never before the usual delay, and never before the model had answered."""
    ticks = Ticks(np.array([1, 2, 3]), np.array([0, 0, 0]), np.array([100, 200, 300]) * SECOND_NS)
    assert publish_times(ticks, RULES, {2: 30_000, 3: 1}) == {
        1: 102 * SECOND_NS,
        2: 230 * SECOND_NS,
        3: 302 * SECOND_NS,
    }
    assert publish_times(ticks, RULES, None) == {1: 102 * SECOND_NS, 2: 202 * SECOND_NS, 3: 302 * SECOND_NS}
