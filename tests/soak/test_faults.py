"""
Thousands of scenarios: what a log holds is what its exchange says it could hold, or it names what it lacks.
"""

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from simulators.exchange.faults.faults import FAULTS
from tests.conftest import ROOT
from tests.slices import a_slice
from tests.soak.playing import Stage, reproduction

SEEDS = 2_000
WORKERS = 2
IN_REAL_TIME = range(1, 121)
AT_ONCE = 60
QUICK = range(100)
FOUND = (1, 21, 44, 252)
"""Seeds that found a defect once."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One log server for all scenarios."""
    with Stage() as stage:
        yield stage


@pytest.mark.parametrize("seed", [*FOUND, *a_slice([seed for seed in QUICK if seed not in FOUND], 3)])
def test_a_drawn_scenario_is_recorded_as_it_was(stage: Stage, seed: int) -> None:
    """Trades and diffs equal the ledger's; what was not to be had is named, and nothing is there twice."""
    played = stage.play(seed)
    assert played.verdict.wrong == [], f"once more: {reproduction(seed)}"
    assert played.verdict.trades > 100
    assert played.verdict.diffs > 50


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_thousand_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    """All on virtual time, by two workers; every fault there is strikes many times."""
    started, share = time.monotonic(), SEEDS // WORKERS
    command = [sys.executable, "-m", "tests.soak", "--every", "100", "--seed"]
    ranges = [(first, first + share - 1) for first in range(1, SEEDS, share)]
    said, codes = "", []
    with ExitStack() as running:
        workers = [
            running.enter_context(
                subprocess.Popen([*command, str(a), "--until", str(b)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            )
            for a, b in ranges
        ]
        for worker in workers:
            for line in worker.stdout or ():
                said += line
                with capsys.disabled():
                    sys.stdout.write(f"\n{time.monotonic() - started:5.0f} s  {line.rstrip()[:300]}")
            codes.append(worker.wait())
    played = sum(int(n) for n in re.findall(r"^played (\d+)", said, re.MULTILINE))
    struck = Counter[str]()
    for line in re.findall(r"^struck (.*)$", said, re.MULTILINE):
        struck.update({name: int(count) for count, name in re.findall(r"(\d+) (\w+)", line)})
    assert codes == [0] * WORKERS, said
    assert played == SEEDS
    assert {name for name in FAULTS if struck[name] < 20} == set()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_scenarios_in_real_time(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The same over the machine's own clock, many at once: what a jumping clock might hide would show."""
    started = time.monotonic()
    for first in range(0, len(IN_REAL_TIME), AT_ONCE):
        for played in stage.play_really(IN_REAL_TIME[first : first + AT_ONCE]):
            assert played.verdict.wrong == [], f"once more: {reproduction(played.scenario.seed)} --real"
            assert played.verdict.diffs > 50
        with capsys.disabled():
            sys.stdout.write(f"\n{time.monotonic() - started:5.0f} s  {first + AT_ONCE} in real time")
