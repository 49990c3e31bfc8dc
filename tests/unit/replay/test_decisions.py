"""All decisions of a stretch come out in order, whoever shares the work, and from what `sight` says."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from analysis.parameters import Parameters
from eventlog.store.log import Log
from market.timestamps import MINUTE_NS
from replay.decisions import Decision, Ticks, decide_all, ticks_between
from runtime.analysis_config import analysis_config
from runtime.open_log import open_log
from runtime.settings.settings import Settings
from tests.market_builders import MARKET, SIGHT, T0, a_market, write_log


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("storage")
    write_log(folder, a_market(41, 60), segments=4)
    return folder


def decide(storage: Path, from_min: float = 0, to_min: float = 1000) -> list[Decision]:
    @contextmanager
    def open_market_log() -> Iterator[Log]:
        with open_log(storage, MARKET) as log:
            yield log

    with open_market_log() as log:
        ticks = ticks_between(log, T0 + round(from_min * MINUTE_NS), T0 + round(to_min * MINUTE_NS))
    steps: list[int] = []
    decisions = list(decide_all(open_market_log, ticks, SIGHT, 1, steps.append))
    assert sum(steps) == len(decisions) == len(ticks)
    return decisions


def test_one_decision_a_tick_in_order(storage: Path) -> None:
    """Sixty ticks, sixty decisions in seq order; no advice where trades were not live."""
    decisions = decide(storage)
    assert [(d.boundary_ns - T0) // MINUTE_NS for d in decisions] == list(range(1, 61))
    assert [d.seq for d in decisions] == sorted(d.seq for d in decisions)
    assert all((d.advice is None) == (d.stance is None) for d in decisions)


def test_a_later_start_decides_the_same(storage: Path) -> None:
    """Starting at minute 30 after a warm-up gives the decisions of the whole."""
    assert decide(storage, from_min=30) == decide(storage)[30:]


@pytest.mark.parametrize(("start", "stop", "expected"), [(0, 1, [1]), (0.5, 2.5, [1, 2]), (1, 1, []), (60, 99, [])])
def test_ticks_after_a_time_up_to_another(storage: Path, start: float, stop: float, expected: list[int]) -> None:
    """The lower end is left out, the upper one is in."""
    with open_log(storage, MARKET) as log:
        decisions = ticks_between(log, T0 + round(start * MINUTE_NS), T0 + round(stop * MINUTE_NS))
    assert ((decisions.boundary_ns - T0) // MINUTE_NS).tolist() == expected


def test_few_ticks_need_no_workers(storage: Path) -> None:
    """Three ticks for two workers are decided here; no ticks are no decisions."""
    nobody = Ticks(*(np.empty(0, np.int64) for _ in range(3)))
    assert list(decide_all(partial(open_log, storage, MARKET), nobody, SIGHT, 8, lambda n: None)) == []
    with open_log(storage, MARKET) as log:
        three = ticks_between(log, T0, T0 + 3 * MINUTE_NS)
    assert list(decide_all(partial(open_log, storage, MARKET), three, SIGHT, 2, lambda n: None)) == decide(storage)[:3]


def test_settings_make_a_sight() -> None:
    """Windows come from the collector's settings, the wall threshold from the analyzer's, in exact units."""
    settings = Settings.model_validate(
        {
            "data_collector": {
                "order_flow": {"window_size_minutes": 9000, "price_precision": 0.5},
                "depth_snapshot": {"window_size": 30},
            },
            "analyzer": {"analysis": {"min_order_volume_threshold": 1.5}},
        }
    )
    sight = analysis_config(settings, "BTCFDUSD")
    assert (sight.windows.bucket_minutes, sight.windows.snapshot_slots) == (9000, 30)
    assert sight.windows.level_e8 == 50_000_000
    assert sight.parameters == Parameters(min_wall_e8=150_000_000)
    assert analysis_config(Settings(), "BTCFDUSD").windows.bucket_minutes == 4320
