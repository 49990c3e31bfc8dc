"""On markets without any edge intervals cover as they say, means are 0, and a run is seldom called significant."""

from collections import defaultdict

import numpy as np
import pytest

from replay.scoring.rules import ScoringRules
from replay.scoring.scoring import score
from tests.null_markets import Adviser, a_martingale, advise, clustered, even, one_sided

RULES = ScoringRules(2000, 250, 1.0, 0.0, 20, 1, 2.0, 2.0)
SEEDS = range(40)


@pytest.mark.slow
@pytest.mark.parametrize("adviser", [even, one_sided, clustered])
def test_no_edge_is_no_finding(adviser: Adviser) -> None:
    """
    Forty days: each interval leaves out 0 in no more than a tenth of them, no mean is far from 0, and no more than an
    eighth of the days has a corrected p below 0.05 (one in twenty is expected, two standard errors allowed).
    """
    compared: dict[tuple[str, str | None], list[tuple[float, bool]]] = defaultdict(list)
    alarms = 0
    for seed in SEEDS:
        path = a_martingale(seed)
        rows = score(advise(path, seed, adviser), path, RULES).scores.to_pylist()
        alarms += any(row["p_corrected"] is not None and row["p_corrected"] < 0.05 for row in rows)
        for row in rows:
            if row["low"] is not None and row["p"] is not None:
                compared[row["metric"], row["model"]].append((row["difference"], row["low"] <= 0 <= row["high"]))
    assert len(compared) == 8
    assert alarms <= len(SEEDS) / 8
    for name, days in compared.items():
        assert len(days) >= 0.9 * len(SEEDS), name
        difference = np.array([d for d, _ in days])
        assert np.mean([covered for _, covered in days]) >= 0.87, name
        assert abs(difference.mean()) < 3 * difference.std() / len(days) ** 0.5, name
