"""An edge is found with the size that was planted, none is found where there is none, and a trap is called one."""

from typing import Any

import numpy as np
import pytest

from replay.scoring.conclusions import conclusions
from replay.scoring.figures import MARTINGALE
from replay.scoring.rules import ScoringRules
from replay.scoring.scoring import score
from tests.planted_edges import plant

pytestmark = pytest.mark.slow
RULES = ScoringRules(2000, 250, 10_000.0, 0.0, 20, 1, 2.0, 2.0)
SEEDS = 6


def rows_of(seed: int, days: int, zones_an_hour: float, edge: float, trap: bool = False) -> list[dict[str, Any]]:
    """The score table of one planted market."""
    market = plant(seed, days, zones_an_hour, edge, trap)
    return score(market.publications, market.path, RULES).scores.to_pylist()


def martingale(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row that says the size of an edge."""
    (row,) = (r for r in rows if r["metric"] == MARTINGALE)
    return row


@pytest.mark.parametrize(("zones_an_hour", "days"), [(2, 5), (40, 2)])
@pytest.mark.parametrize("edge", [0.44, -0.44])
def test_the_size_of_an_edge_is_estimated(zones_an_hour: float, days: int, edge: float) -> None:
    """Against the same seeds without the edge, some 20 points of rejections: within a fifth of the true shift."""
    with_edge = [martingale(rows_of(seed, days, zones_an_hour, edge)) for seed in range(SEEDS)]
    without = [martingale(rows_of(seed, days, zones_an_hour, 0.0)) for seed in range(SEEDS)]
    truth = np.mean([row["advice"] for row in with_edge]) - np.mean([row["advice"] for row in without])
    assert abs(truth) > 0.15
    assert np.sign(truth) == np.sign(edge)
    assert np.mean([row["difference"] for row in with_edge]) == pytest.approx(truth, rel=0.2)
    assert np.mean([row["low"] <= truth <= row["high"] for row in with_edge]) >= 0.6
    assert all(row["p_corrected"] < 0.05 for row in with_edge)
    assert np.mean([row["p_corrected"] < 0.05 for row in without]) < 0.3


@pytest.mark.parametrize(("days", "zones_an_hour"), [(1, 2), (1, 20)])
def test_a_trap_is_called_adverse_selection(days: int, zones_an_hour: float) -> None:
    """Price turns away from zones that would hold: their orders fill only when they are wrong."""
    for seed in range(3):
        said = conclusions(rows_of(seed, days, zones_an_hour, 0.0, trap=True))
        assert any(sentence.startswith("adverse selection") for sentence in said), said
