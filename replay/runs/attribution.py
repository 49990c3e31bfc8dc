"""
Scores of a model's run, whose ticks two decided: the model's by themselves, and those of the rules in its place.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from replay.scoring.episodes import Publication
from replay.scoring.placebo import PlaceboPool
from replay.scoring.price_path import PricePath
from replay.scoring.scoring import Rules, ScoreTables, score

FALLBACK = " (fallback)"
"""What the name of a figure ends with where the rules decided in a model's place."""

DECIDED_BY = "decided_by"
"""The column of a model's episodes that says whose they are: `model` or `fallback`."""


def score_by_decider(
    published: Sequence[Publication], moments: PlaceboPool, path: PricePath, rules: Rules
) -> ScoreTables:
    """
    A model's recommendations scored as `score` does, and by themselves those of the rules that stood in for it.

    An episode is of one of both: it goes on over ticks at which the other decided. Figures of a side without any
    recommendation are left out.
    """
    model = [each for each in published if each.advice.fallback is None]
    rest = [each for each in published if each.advice.fallback is not None]
    parts = []
    if model:
        parts.append(_named(score(model, moments, path, rules), "model", ""))
    if rest or not model:
        parts.append(_named(score(rest, moments, path, rules), "fallback", FALLBACK))
    return _joined(parts)


def _named(scored: ScoreTables, by: str, suffix: str) -> ScoreTables:
    column = pa.array([by] * scored.episodes.num_rows, pa.string())
    metric = pa.array([f"{name}{suffix}" for name in scored.scores.column("metric").to_pylist()], pa.string())
    at = scored.scores.schema.get_field_index("metric")
    return ScoreTables(
        scored.episodes.append_column(DECIDED_BY, column),
        scored.orders,
        scored.fills,
        scored.scores.set_column(at, "metric", metric),
    )


def _joined(parts: Sequence[ScoreTables]) -> ScoreTables:
    """Tables one after the other, their numbers counted on."""
    if len(parts) == 1:
        return parts[0]
    moved = list(_moved(parts))
    return ScoreTables(
        pa.concat_tables([part.episodes for part in moved]).combine_chunks(),
        pa.concat_tables([part.orders for part in moved]).combine_chunks(),
        pa.concat_tables([part.fills for part in moved]).combine_chunks(),
        pa.concat_tables([part.scores for part in moved]).combine_chunks(),
    )


def _moved(parts: Sequence[ScoreTables]) -> Iterator[ScoreTables]:
    episodes = orders = 0
    for part in parts:
        yield ScoreTables(
            _counted_on(part.episodes, "episode", episodes),
            _counted_on(_counted_on(part.orders, "order", orders), "episode", episodes),
            _counted_on(part.fills, "order", orders),
            part.scores,
        )
        episodes += part.episodes.num_rows
        orders += part.orders.num_rows


def _counted_on(table: pa.Table, name: str, by: int) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(name), pc.add(table.column(name), by))
