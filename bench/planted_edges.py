"""
Edges of known size: what the scores say of them, and how often they are found.

`python -m bench.planted_edges --markets 30 --days 5` prints a line for each rate of zones and each edge.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from market.timestamps import DAY_NS, HOUR_NS
from replay.scoring.figures import MARTINGALE
from replay.scoring.rules import ScoringRules
from replay.scoring.scoring import score
from tests.planted_edges import plant

RULES = ScoringRules(2000, 250, 10_000.0, 0.0, 20, 1, 2.0, 2.0)
# Probabilities with which an outcome is turned that shift the share of rejections by some 5, 10 and 20 points.
EDGES = (0.0, 0.11, 0.22, 0.44)
# New zones an hour. Of two an hour some 1.2 are touched and end within theirs; of 3.4, some two.
RATES = (2.0, 3.4, 40.0)


def rows_of(seed: int, days: int, zones_an_hour: float, edge: float) -> dict[str, dict[str, Any]]:
    """The two rows of rejections of one market: beside placebos, and beside a price without memory."""
    market = plant(seed, days, zones_an_hour, edge)
    rows = score(market.publications, market.path, RULES).scores.to_pylist()
    return {r["metric"]: r for r in rows if r["metric"] in ("rejected", MARTINGALE) and r["unit"] == "episode"}


def line(
    zones_an_hour: float, edge: float, days: int, without: float, runs: Sequence[dict[str, dict[str, Any]]]
) -> str:
    """
    A line of the table.

    Args:
        zones_an_hour, edge: what was planted. days: the length of each market.
        without: the share of rejections of the same markets without an edge.
        runs: the rows of each market.
    """
    own = [run[MARTINGALE] for run in runs]
    truth = np.mean([row["advice"] for row in own]) - without
    decided = np.mean([row["samples"] for row in own]) / (days * DAY_NS // HOUR_NS)
    size, beside = (np.mean([run[name]["difference"] for run in runs]) for name in (MARTINGALE, "rejected"))
    found, corrected = (np.mean([row[p] is not None and row[p] < 0.05 for row in own]) for p in ("p", "p_corrected"))
    return (
        f"{zones_an_hour:>5g} {decided:>13.1f} {edge:>+6.2f} {truth:>+8.3f} {size:>+20.3f} {beside:>+16.3f}"
        f" {found:>8.0%} {corrected:>10.0%}"
    )


def main(arguments: Sequence[str]) -> None:
    """Print the table, a line as soon as its markets are done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=30)
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="new zones an hour")
    asked = parser.parse_args(arguments)
    print(
        f"{'per h':>5} {'decided per h':>13} {'edge':>6} {'true':>8} {MARTINGALE:>20} {'beside placebos':>16}"
        f" {'p < 0.05':>8} corrected"
    )
    for zones_an_hour in asked.rates:
        without = 0.0
        for edge in dict.fromkeys(sign * size for size in EDGES for sign in (1, -1)):
            runs = [rows_of(seed, asked.days, zones_an_hour, edge) for seed in range(asked.markets)]
            if edge == 0:
                without = float(np.mean([run[MARTINGALE]["advice"] for run in runs]))
            print(line(zones_an_hour, edge, asked.days, without, runs), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
