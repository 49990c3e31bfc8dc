"""
Scores of a model's run, separately for the ticks that the model decided and for those where the rules stood in for it.
"""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from replay.scoring.episodes import Publication
from replay.scoring.orders import Books
from replay.scoring.price_path import PricePath
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables
from replay.scoring.scoring import NONE, Baseline, score

FALLBACK = " (fallback)"
"""The suffix of a figure's name where the rules decided in a model's place."""

DECIDED_BY = "decided_by"
"""The column of a model's episodes that says whose they are: `model` or `fallback`."""


def score_by_decider(
    publications: Sequence[Publication],
    path: PricePath,
    rules: ScoringRules,
    baselines: Mapping[str, Baseline] = NONE,
    books: Books | None = None,
) -> ScoreTables:
    """
    Score a model's recommendations as `score` does, and separately those of the rules that stood in for it.

    An episode belongs to one of the two: it goes on over ticks at which the other decided. Figures of the model or of
    the rules are left out where they gave no recommendation.

    Args:
        publications: recommendations with zones or without, in order of publication.
        path: the trades, from before the first recommendation on.
        rules: delays, fee, distances and seed.
        baselines, books: see `score`.
    """
    model = [p for p in publications if p.advice.fallback is None]
    rest = [p for p in publications if p.advice.fallback is not None]
    parts = []
    if model:
        parts.append(_label_tables(score(model, path, rules, baselines, books), "model", ""))
    if rest or not model:
        parts.append(_label_tables(score(rest, path, rules, baselines, books), "fallback", FALLBACK))
    return _concatenate(parts)


def _label_tables(tables: ScoreTables, decider: str, suffix: str) -> ScoreTables:
    column = pa.array([decider] * tables.episodes.num_rows, pa.string())
    metric = pa.array([f"{name}{suffix}" for name in tables.scores.column("metric").to_pylist()], pa.string())
    index = tables.scores.schema.get_field_index("metric")
    return ScoreTables(
        tables.episodes.append_column(DECIDED_BY, column),
        tables.orders,
        tables.fills,
        tables.scores.set_column(index, "metric", metric),
        tables.gains,
    )


def _concatenate(parts: Sequence[ScoreTables]) -> ScoreTables:
    """The tables one after the other, with episodes and orders numbered through."""
    if len(parts) == 1:
        return parts[0]
    parts_renumbered = list(_renumber(parts))
    return ScoreTables(
        pa.concat_tables([part.episodes for part in parts_renumbered]).combine_chunks(),
        pa.concat_tables([part.orders for part in parts_renumbered]).combine_chunks(),
        pa.concat_tables([part.fills for part in parts_renumbered]).combine_chunks(),
        pa.concat_tables([part.scores for part in parts_renumbered]).combine_chunks(),
        parts[0].gains,
    )


def _renumber(parts: Sequence[ScoreTables]) -> Iterator[ScoreTables]:
    episodes = orders = 0
    for part in parts:
        yield ScoreTables(
            _add_offset(part.episodes, "episode", episodes),
            _add_offset(_add_offset(part.orders, "order", orders), "episode", episodes),
            _add_offset(part.fills, "order", orders),
            part.scores,
        )
        episodes += part.episodes.num_rows
        orders += part.orders.num_rows


def _add_offset(table: pa.Table, name: str, offset: int) -> pa.Table:
    index = table.schema.get_field_index(name)
    return table.set_column(index, table.schema.field(name), pc.add(table.column(name), offset))
