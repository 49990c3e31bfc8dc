"""
The tables of a run, as they are written to its folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from market.arrays import F64, I64
from replay.scoring.episodes import Episode
from replay.scoring.orders import Orders
from replay.scoring.outcomes import HORIZONS_S, OUTCOMES, LevelOutcomes
from replay.scoring.price_path import PricePath

_SCORES = pa.schema(
    [
        ("metric", pa.string()), ("unit", pa.string()), ("model", pa.string()), ("advice", pa.float64()),
        ("placebo", pa.float64()), ("samples", pa.int64()), ("placebo_samples", pa.int64()), ("effective", pa.int64()),
        ("blocks", pa.int64()), ("difference", pa.float64()), ("low", pa.float64()), ("high", pa.float64()),
        ("p", pa.float64()), ("p_corrected", pa.float64()), ("detectable", pa.float64()),
        ("days_for_half", pa.float64()),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScoreTables:
    """
    The tables of a run, as they are written to its folder.

    Attributes:
        gains: by block of time, see `figures.gains_of`; not written.
    """

    episodes: pa.Table
    orders: pa.Table
    fills: pa.Table
    scores: pa.Table
    gains: Mapping[int, float] = field(default_factory=dict)


def score_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The figures as a table; what a row does not have is null."""
    return pa.Table.from_pylist(list(rows), schema=_SCORES)


def episode_table(episodes: Sequence[Episode], outcomes: LevelOutcomes, path: PricePath) -> pa.Table:
    """
    Episodes, a row each.

    Args:
        episodes: n episodes.
        outcomes: of their zones.
        path: gives the time of a touch.
    """
    touch_ns = [int(path.at_ns[i]) if i >= 0 else None for i in outcomes.touch.tolist()]
    return pa.table(
        {
            "episode": pa.array(range(len(episodes)), pa.int64()),
            "side": pa.array([e.zone.side for e in episodes], pa.string()),
            "low_e8": pa.array([e.zone.low_e8 for e in episodes], pa.int64()),
            "high_e8": pa.array([e.zone.high_e8 for e in episodes], pa.int64()),
            "weight": pa.array([e.zone.weight for e in episodes], pa.float64()),
            "confidence": pa.array([e.zone.confidence for e in episodes], pa.float64(), from_pandas=True),
            "basis": pa.array(["+".join(e.zone.basis) for e in episodes], pa.string()),
            "published_ns": pa.array([e.first.published_ns for e in episodes], pa.int64()),
            "last_published_ns": pa.array([e.last_ns for e in episodes], pa.int64()),
            "minutes": pa.array([e.minutes for e in episodes], pa.int64()),
            "outcome": pa.array([OUTCOMES[o] for o in outcomes.outcome.tolist()], pa.string()),
            "touch_ns": pa.array(touch_ns, pa.int64()),
        }
    )


def order_table(orders: Orders) -> pa.Table:
    """The orders of all rungs, a row each."""
    names = ("episode", "is_buy", "price_e8", "weight", "start_ns", "stop_ns", "marketable")
    columns = {"order": pa.array(range(len(orders)), pa.int64())}
    return pa.table(columns | {name: pa.array(getattr(orders, name)) for name in names})


def fill_table(orders: Orders, fills: Mapping[str, I64], worth: Mapping[str, F64], path: PricePath) -> pa.Table:
    """
    The fills, a row for each order and model.

    Args:
        orders: n orders.
        fills: by fill model, (n,) index into the path, −1 for none.
        worth: by fill model, (n, h) markouts.
        path: gives the time of a fill.
    """
    parts = []
    for model, index in fills.items():
        order = np.flatnonzero(index >= 0)
        columns: dict[str, Any] = {
            "order": pa.array(order),
            "model": pa.array([model] * len(order), pa.string()),
            "filled_ns": pa.array(path.at_ns[index[order]] if len(order) else order),
            "price_e8": pa.array(orders.price_e8[order]),
        }
        for column, horizon_s in enumerate(HORIZONS_S):
            values = worth[model][order, column]
            columns[f"markout_{horizon_s}s_bps"] = pa.array(values, pa.float64(), mask=np.isnan(values))
        parts.append(pa.table(columns))
    return pa.concat_tables(parts).combine_chunks()
