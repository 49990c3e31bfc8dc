"""
The tables of a run, as they are written to its folder.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from fills.outcome import NO_BOOK, QUEUE_SOURCES
from replay.scoring.episodes import Episode
from replay.scoring.orders import OrderResults, ZoneOrders
from replay.scoring.outcomes import HORIZONS_S, OUTCOMES, LevelOutcomes

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


def episode_table(episodes: Sequence[Episode], outcomes: LevelOutcomes) -> pa.Table:
    """
    Episodes, a row each.

    Args:
        episodes: n episodes.
        outcomes: of their zones.
    """
    return pa.table(
        {
            "episode": pa.array(range(len(episodes)), pa.int64()),
            "side": pa.array([e.zone.side for e in episodes], pa.string()),
            "low_e8": pa.array([e.zone.low_e8 for e in episodes], pa.int64()),
            "high_e8": pa.array([e.zone.high_e8 for e in episodes], pa.int64()),
            "weight": pa.array([e.zone.weight for e in episodes], pa.float64()),
            "confidence": pa.array([e.zone.confidence for e in episodes], pa.float64(), from_pandas=True),
            "basis": pa.array(["+".join(e.zone.basis) for e in episodes], pa.string()),
            "published_ns": pa.array([e.published_ns for e in episodes], pa.int64()),
            "last_published_ns": pa.array([e.last_ns for e in episodes], pa.int64()),
            "minutes": pa.array([e.minutes for e in episodes], pa.int64()),
            "outcome": pa.array([OUTCOMES[o] for o in outcomes.outcome.tolist()], pa.string()),
            "touch_ns": pa.array(outcomes.touch_ns, pa.int64(), mask=outcomes.touch_ns < 0),
        }
    )


def order_table(orders: ZoneOrders, results: OrderResults, first_order: int, first_episode: int) -> pa.Table:
    """
    The orders of all rungs, a row each: from when to when it rests, and what was ahead of it when it came.

    Args:
        orders: n orders.
        results: what became of them.
        first_order, first_episode: the numbers of the first order and of the first episode.
    """
    sent, outcome = orders.sent, results.outcome
    ahead = outcome.ahead_e8
    return pa.table(
        {
            "order": pa.array(range(first_order, first_order + len(orders)), pa.int64()),
            "episode": pa.array(orders.episode + first_episode),
            "is_buy": pa.array(sent.is_buy),
            "price_e8": pa.array(sent.price_e8),
            "quantity_e8": pa.array(sent.quantity_e8),
            "weight": pa.array(orders.weight),
            "start_ns": pa.array(sent.arrival_ns),
            "stop_ns": pa.array(sent.end_ns),
            "marketable": pa.array(results.is_refused),
            "queue_source": pa.array([QUEUE_SOURCES[place] for place in outcome.queue_source.tolist()], pa.string()),
            "ahead_e8": pa.array(ahead, pa.int64(), mask=ahead < 0),
        }
    )


def fill_table(results: OrderResults, first_order: int) -> pa.Table:
    """
    The orders that were filled, in part or to the end, a row for each order and model.

    Args:
        results: what became of n orders.
        first_order: the number of the first.
    """
    outcome = results.outcome
    place, order = np.nonzero(outcome.filled_e8 > 0)
    columns: dict[str, Any] = {
        "order": pa.array(order + first_order),
        "model": pa.array([outcome.models[n] for n in place.tolist()], pa.string()),
        "first_ns": pa.array(outcome.first_fill_ns[place, order]),
        "filled_ns": pa.array(outcome.last_fill_ns[place, order]),
        "price_e8": pa.array(outcome.limit_e8[order]),
        "quantity_e8": pa.array(outcome.filled_e8[place, order]),
    }
    for column, horizon_s in enumerate(HORIZONS_S):
        values = results.markout[place, order, column]
        columns[f"markout_{horizon_s}s_bps"] = pa.array(values, pa.float64(), mask=np.isnan(values))
    return pa.table(columns)


def queue_notes(tables: ScoreTables) -> list[str]:
    """A sentence about where the queue ahead of the orders was read; nothing without orders."""
    sources = Counter(tables.orders.column("queue_source").to_pylist())
    if not sources:
        return []
    unknown = sources.pop(QUEUE_SOURCES[NO_BOOK], 0)
    parts = [f"{count:,} from {name}" for name, count in sorted(sources.items())]
    parts += [f"{unknown:,} unknown, where its models wait for a trade beyond the price"] if unknown else []
    return [f"the queue ahead of {unknown + sources.total():,} orders: {', '.join(parts)}"]
