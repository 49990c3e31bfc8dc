"""Every run is on record, and is judged among all that were tried on the same prices."""

from pathlib import Path

import numpy as np
import pytest

from replay.errors import BadLedger
from replay.runs.tried import LEDGER, TriedRun, in_sample_sentence, judge, record_run, sentence, tried_runs
from replay.scoring.figures import HEADLINE


def a_run(number: int, gains: list[float], decisions: str | None = None, stretch: str = "a day") -> TriedRun:
    by_block = {str(100 + n): gain for n, gain in enumerate(gains)}
    return TriedRun(1, f"run{number}", number, stretch, "rules", decisions or f"decisions{number}", HEADLINE, by_block)


def some_gains(seed: int, mean: float = 0.0) -> list[float]:
    return [float(v) for v in np.random.default_rng(seed).normal(mean, 1, 12)]


def test_a_run_alone() -> None:
    """One tried: nothing to correct for, so the deflated ratio is the plain one."""
    judgement = judge([a_run(1, some_gains(1, 1.0))], "run1")
    assert judgement is not None
    assert (judgement.tried, judgement.blocks, judgement.is_best) == (1, 12, True)
    assert judgement.above_zero == judgement.above_best
    assert judgement.best_p is not None
    assert judgement.best_p < 0.05
    assert sentence(judgement).startswith(f"tried on these prices: 1; best by {HEADLINE}: this one;")


def test_among_many_the_same_run_is_worth_less() -> None:
    """The best of forty without edge: its p and its deflated ratio say so."""
    runs = [a_run(n, some_gains(n)) for n in range(40)]
    means = [np.mean(list(run.gains.values())) for run in runs]
    best = f"run{int(np.argmax(means))}"
    alone, among = judge([run for run in runs if run.run_id == best], best), judge(runs, best)
    assert alone is not None
    assert among is not None
    assert (among.tried, among.is_best) == (40, True)
    assert alone.best_p is not None
    assert among.best_p is not None
    assert alone.best_p < 0.05 < among.best_p
    assert among.above_best is not None
    assert among.above_zero is not None
    assert among.above_best < 0.9 < among.above_zero
    assert not judge(runs, "run0" if best != "run0" else "run1").is_best  # type: ignore[union-attr]


def test_only_the_same_prices_and_other_decisions_count() -> None:
    """Another day is another matter, and the same decisions under another id are one run."""
    runs = [a_run(1, some_gains(1)), a_run(2, some_gains(2), stretch="another"), a_run(3, some_gains(3), "decisions1")]
    judgement = judge(runs, "run3")
    assert judgement is not None
    assert judgement.tried == 1
    assert judge(runs, "unknown") is None


def test_few_blocks_are_not_judged() -> None:
    """Below eight nothing is claimed, and it is said."""
    judgement = judge([a_run(1, [1.0] * 7)], "run1")
    assert judgement is not None
    assert (judgement.best_p, judgement.sharpe) == (None, None)
    assert sentence(judgement) == "tried on these prices: 1; 7 blocks are too few to judge the best of them"


def test_equal_gains_have_no_ratio() -> None:
    """No deviation: a ratio of 0 and no claim above it."""
    judgement = judge([a_run(1, [0.0] * 12)], "run1")
    assert judgement is not None
    assert (judgement.sharpe, judgement.best_p) == (0.0, 1.0)


def test_what_is_recorded_is_read(tmp_path: Path) -> None:
    """One line a run, appended; a damaged one is named."""
    manifest = {
        "run_id": "abc",
        "inputs": {"market": "binance:BTCUSDT", "from": "a", "to": "b", "log": "c", "analyst": "rules", "code": "x"},
        "files": {"recommendations.parquet": "digest"},
    }
    record_run(tmp_path, manifest, {7: 0.5, 8: -0.25}, 1)
    record_run(tmp_path, manifest | {"run_id": "def"}, {}, 2)
    one, two = tried_runs(tmp_path)
    assert (one.stretch, one.adviser, one.decisions) == ("binance:BTCUSDT a b c", "rules", "digest")
    assert (one.gains, two.run_id, two.gains) == ({"7": 0.5, "8": -0.25}, "def", {})
    with (tmp_path / LEDGER).open("a") as file:
        file.write("{}\n")
    with pytest.raises(BadLedger, match="line 3 is no run"):
        tried_runs(tmp_path)


FIRST = "2024-01-01T00:01:00Z 2024-01-02T00:00:00Z"
LATER = "2024-01-01T12:01:00Z 2024-01-03T00:00:00Z"


def a_choice(number: int, days: str, adviser: str, market: str = "binance:BTCUSDT") -> TriedRun:
    """A run on some days, whose thresholds or zones are named."""
    return TriedRun(1, f"run{number}", number, f"{market} {days} log", adviser, f"decisions{number}", HEADLINE, {})


@pytest.mark.parametrize(
    ("before", "days"),
    [
        (a_choice(1, FIRST, "rules aaaa"), ("2024-01-01",)),
        (a_choice(1, LATER, "recorded aaaa {'model': 'x'}"), ("2024-01-01", "2024-01-02")),
        (a_choice(1, LATER, "rules aaaa", "binance:ETHUSDT"), ("2024-01-01", "2024-01-02")),
        (a_choice(1, LATER, "recorded bbbb {'model': 'x'}"), ()),
        (a_choice(1, LATER, "zones aaaa {'digest': 'x'}"), ()),
        (a_choice(1, "2024-01-03T00:01:00Z 2024-01-03T09:00:00Z", "rules aaaa"), ()),
        (a_choice(1, "a b", "rules aaaa"), ()),
    ],
)
def test_days_scored_before_under_other_thresholds(before: TriedRun, days: tuple[str, ...]) -> None:
    """Shared days, of any market, under another digest of thresholds; a run's own later repetition changes nothing."""
    own = a_choice(2, LATER, "rules bbbb")
    after = a_choice(3, LATER, "rules cccc")
    for runs in ([before, own], [before, own, after], [before, own, after, own]):
        judgement = judge(runs, "run2")
        assert judgement is not None
        assert judgement.days_before == days


def test_zones_of_a_file_are_chosen_by_file() -> None:
    """Another file of zones on the same day; other thresholds do not matter, for nothing of theirs is scored."""
    runs = [
        a_choice(1, FIRST, "zones aaaa {'digest': 'x'}"),
        a_choice(2, FIRST, "zones bbbb {'digest': 'x'}"),
        a_choice(3, FIRST, "zones bbbb {'digest': 'y'}"),
    ]
    judgements = [judge(runs, f"run{n}") for n in (1, 2, 3)]
    assert [j.days_before for j in judgements if j is not None] == [(), (), ("2024-01-01",)]


def test_days_before_as_a_line() -> None:
    """One by one where they are few."""
    runs = [a_choice(1, FIRST, "rules aaaa"), a_choice(2, LATER, "rules bbbb")]
    lines = [in_sample_sentence(j) for j in (judge(runs, "run1"), judge(runs, "run2")) if j is not None]
    assert lines == [
        None,
        "in sample: 2024-01-01 was scored before with other thresholds, coefficients or zones; these may be picked on "
        "that",
    ]
    month = "2024-01-01T00:01:00Z 2024-02-01T00:00:00Z"
    judgement = judge([a_choice(1, month, "rules aaaa"), a_choice(2, month, "rules bbbb")], "run2")
    assert judgement is not None
    assert "31 days from 2024-01-01 to 2024-01-31 were scored before" in (in_sample_sentence(judgement) or "")


def test_no_ledger_no_runs(tmp_path: Path) -> None:
    """A folder without one."""
    assert tried_runs(tmp_path) == []
