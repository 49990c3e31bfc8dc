"""
`kill -9` between any two writes of collector, log server or both: nothing acknowledged is lost, nothing is there twice.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.kill_points import SITES, Point, Who, drawn_points, drawn_server_points
from tests.soak.kill_stage import KillStage
from tests.soak.traced_server import can_trace

AGAIN = "again: python -m pytest tests/soak/test_kills.py -k '{who}{seed}'"
EVERYONE: tuple[Who, ...] = ("collector", "server", "both")

_log = logging.getLogger(__name__)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[KillStage]:
    """A folder with an exchange that trades fast."""
    stage = KillStage(tmp_path)
    yield stage
    stage.end()


def test_every_write_has_its_points() -> None:
    """The three hundred points are at every write there is, and each seed draws the same ones again."""
    points = [point for who in EVERYONE for seed in range(5) for point in drawn_points(who, seed, 20)]
    assert len(points) == 300
    assert {point.site for point in points} == SITES.keys()
    assert {point.when for point in points} == {"before", "during", "after", "unanswered"}
    assert [p for who in EVERYONE for seed in range(5) for p in drawn_points(who, seed, 20)] == points


def test_killed_at_nine_points_nothing_is_lost_or_twice(stage: KillStage) -> None:
    """Three points of the collector, of the server and of both: the log is as it was acknowledged, and whole."""
    stage.kill_at([point for who in EVERYONE for point in drawn_points(who, 11, 3)])
    assert stage.findings() == []
    assert stage.count("point") == 9
    assert stage.count("acknowledged") > 300


def test_a_server_killed_while_an_earlier_spill_is_stored_ends_nothing(stage: KillStage) -> None:
    """The collector dies with facts in its file; the server dies when the next one stores them, which goes on."""
    stage.until_reached = True
    stage.kill_at([
        Point("collector", "spill.log fsync", 3, "after", 0.5, slow=True),
        Point("server", "append send", 1, "after", 0.5),
        Point("server", "acknowledged", 1, "after", 0.5, at_once=True),
    ])  # fmt: skip
    assert (stage.reached, stage.refused) == (3, 0)
    assert stage.findings() == []


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("who", EVERYONE)
def test_killed_at_twenty_points_nothing_is_lost_or_twice(stage: KillStage, who: Who, seed: int) -> None:
    """Twenty drawn points, three hundred in all: the log is as it was acknowledged, and whole."""
    stage.kill_at(drawn_points(who, seed, 20))
    _log.info("%s %d: %d of 20 at the very write, %s", who, seed, stage.reached, stage.summary())
    assert stage.findings() == [], AGAIN.format(who=f"{who}-", seed=seed)
    assert stage.count("point") == 20
    assert stage.reached >= 5
    assert stage.count("acknowledged") > 1000


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(5))
def test_server_killed_at_its_own_writes_loses_nothing(stage: KillStage, seed: int) -> None:
    """A hundred points between any two calls with which the server writes: what it acknowledged is there, once."""
    if not can_trace():
        pytest.skip("a process may not trace its child here")
    killed = stage.kill_server_at(drawn_server_points(seed, 20))
    late = sum(word.startswith("late") for word in killed)
    _log.info("traced %d: %d of 20 at the very write, %s", seed, 20 - late, stage.summary())
    assert stage.findings() == [], AGAIN.format(who="own_writes and ", seed=seed)
    assert len(killed) == 20
    assert late <= 15
    assert stage.count("acknowledged") > 1000
