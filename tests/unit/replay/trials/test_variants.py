"""The ledger of variants: what was tried stays tried, whatever happens to the process that tried it."""

import fcntl
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from replay.errors import BadLedger
from replay.trials.variants import Comparison, Ledger, Variant, correct_p_values

RULES = Variant("", "rules", "", "5e77")
STAGED = Variant("a1b2", "deepseek-flash", "staged", "5e77")


def a_comparison(p: float | None = 0.03, prompt: str = "c3d4", metric: str = "markout_5m") -> Comparison:
    other = Variant(prompt, "deepseek-flash", "compact", "5e77")
    return Comparison(
        STAGED, other, metric, "binance:BTCFDUSD", from_ns=1_700_000_000_000_000_000, to_ns=1_700_300_000_000_000_000,
        repeats=3, at_ns=1_800_000_000_000_000_000, p=p, cost_usd_e12=42,
    )  # fmt: skip


def many(path: Path, first: int) -> None:
    """Record forty comparisons, as one of several processes."""
    ledger = Ledger(path, 60.0)
    for n in range(first, first + 40):
        ledger.record(a_comparison(prompt=f"{n:04x}"))


def test_what_is_recorded_comes_back(tmp_path: Path) -> None:
    """Every field, in order, from a new reader; an absent file holds nothing."""
    path = tmp_path / "runs" / "variants.jsonl"
    assert Ledger(path).comparisons() == []
    assert Ledger(path).count_comparisons("markout_5m") == 0
    comparisons = [a_comparison(), a_comparison(None, "ffff"), a_comparison(metric="rejected")]
    for item in comparisons:
        Ledger(path).record(item)
    assert Ledger(path).comparisons() == comparisons
    assert Ledger(path).cost_usd_e12() == 126
    assert [json.loads(line)["v"] for line in path.read_text().splitlines()] == [1, 1, 1]


def test_a_run_again_counts_once(tmp_path: Path) -> None:
    """At another time, at another cost, with the sides swapped: one look; but what it cost was spent."""
    ledger = Ledger(tmp_path / "variants.jsonl")
    once = a_comparison()
    for item in (once, once, replace(once, at_ns=5, cost_usd_e12=8), replace(once, a=once.b, b=once.a)):
        ledger.record(item)
    assert (ledger.count_comparisons("markout_5m"), ledger.cost_usd_e12()) == (1, 134)
    ledger.record(a_comparison(metric="rejected"))
    assert (
        ledger.count_comparisons("markout_5m"),
        ledger.count_comparisons("rejected"),
        ledger.count_comparisons("filled"),
    ) == (1, 1, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"a": RULES}, {"b": replace(STAGED, settings="0000")}, {"b": replace(STAGED, model="deepseek-v4-pro")},
        {"market": "binance:ETHUSDT"}, {"from_ns": 1}, {"to_ns": 1_700_400_000_000_000_000}, {"repeats": 4},
    ],
)  # fmt: skip
def test_another_look_counts(tmp_path: Path, other: dict[str, object]) -> None:
    """Another variant, market, range or number of repeats is another chance to be lucky."""
    ledger = Ledger(tmp_path / "variants.jsonl")
    ledger.record(a_comparison())
    ledger.record(replace(a_comparison(), **other))  # type: ignore[arg-type]
    assert ledger.count_comparisons("markout_5m") == 2


def test_a_torn_last_line(tmp_path: Path) -> None:
    """Wherever the last line is cut, the ones before it are read, with a warning; the next record replaces the rest."""
    path = tmp_path / "variants.jsonl"
    ledger = Ledger(path)
    ledger.record(a_comparison(prompt="0001"))
    complete = path.read_bytes()
    ledger.record(a_comparison(prompt="0002"))
    both = path.read_bytes()
    for cut in range(len(complete) + 1, len(both)):
        path.write_bytes(both[:cut])
        with pytest.warns(UserWarning, match="last line is incomplete"):
            assert ledger.comparisons() == [a_comparison(prompt="0001")]
    with pytest.warns(UserWarning, match="last line is incomplete"):
        ledger.record(a_comparison(prompt="0003"))
    assert ledger.comparisons() == [a_comparison(prompt="0001"), a_comparison(prompt="0003")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{}", "line 2 is no comparison"), (b"", "line 2 is no comparison"), (b"\xff\xfe", "line 2 is no comparison"),
        (b'{"v":1,"comparison":{},"more":1}', "line 2 is no comparison"), (None, "line 2 is of version 2"),
    ],
)  # fmt: skip
def test_a_broken_ledger_is_not_guessed_at(tmp_path: Path, line: bytes | None, why: str) -> None:
    """Nor written to: what was tried would be forgotten."""
    path = tmp_path / "variants.jsonl"
    ledger = Ledger(path)
    ledger.record(a_comparison())
    first = path.read_bytes()
    path.write_bytes(first + (first.replace(b'"v":1', b'"v":2') if line is None else line + b"\n"))
    bad_lines = path.read_bytes()
    with pytest.raises(BadLedger, match=why):
        ledger.comparisons()
    with pytest.raises(BadLedger, match=why):
        ledger.record(a_comparison(prompt="0002"))
    assert path.read_bytes() == bad_lines


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    """Forty records each, at the same time: eighty whole lines."""
    path = tmp_path / "variants.jsonl"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(many, (path, path), (0, 40)))
    prompts = {c.b.prompt for c in Ledger(path).comparisons()}
    assert prompts == {f"{n:04x}" for n in range(80)}
    assert path.read_bytes().count(b"\n") == 80


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    """While another holds the file nothing is written; it is said who is in the way."""
    path = tmp_path / "variants.jsonl"
    Ledger(path).record(a_comparison())
    before = path.read_bytes()
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BadLedger, match="is locked by another process"):
            Ledger(path, 0.05).record(a_comparison(prompt="0002"))
        with pytest.raises(BadLedger, match="is locked by another process"):
            Ledger(path, 0.05).comparisons()
    assert path.read_bytes() == before
    Ledger(path, 0.05).record(a_comparison(prompt="0002"))
    assert Ledger(path).count_comparisons("markout_5m") == 2


def test_later_significance_pays_for_earlier_tries() -> None:
    """Holm by hand: of 0.01, 0.04, 0.03 and 0.005 the last is multiplied by four; one without p does not count."""
    past = [a_comparison(p, f"{n:04x}") for n, p in enumerate((0.01, 0.04, 0.03, None))]
    fresh = a_comparison(0.005, "beef", "rejected")
    assert correct_p_values([fresh], []) == [0.005]
    assert correct_p_values([fresh], past) == [0.02]
    assert correct_p_values([fresh, past[1], past[3]], [*past, fresh]) == [0.02, 0.06, None]


def test_the_latest_p_of_a_comparison_counts() -> None:
    """A run again is judged by what it found last, and is no further look."""
    old, new = a_comparison(0.2), a_comparison(0.04)
    assert correct_p_values([new], [old, a_comparison(0.5, "0001")]) == [0.08]
