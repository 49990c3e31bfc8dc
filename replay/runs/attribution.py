"""
Scores of a model's run, separately for the ticks that the model decided and for those where the rules stood in for it.
"""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from replay.scoring.episodes import Publication
from replay.scoring.score_tables import ScoreTables
from replay.scoring.scoring import Scoring

FALLBACK = " (fallback)"
"""The suffix of a figure's name where the rules decided in a model's place."""

DECIDED_BY = "decided_by"
"""The column of a model's episodes that says whose they are: `model` or `fallback`."""

_MODEL, _RULES = "model", "fallback"


class ScoringByDecider:
    """
    Scores of a model's recommendations, and separately of those of the rules that stood in for it.

    An episode belongs to one of the two: it goes on over ticks at which the other decided. Figures of the model or of
    the rules are left out where they gave no recommendation.

    Args:
        make: makes the scoring of one of the two.
    """

    def __init__(self, make: Callable[[], Scoring]) -> None:
        self._make = make
        self._by_decider: dict[str, Scoring] = {}

    def add(self, publication: Publication) -> None:
        """Take the next recommendation, with zones or without."""
        decider = _MODEL if publication.advice.fallback is None else _RULES
        if decider not in self._by_decider:
            self._by_decider[decider] = self._make()
        self._by_decider[decider].add(publication)

    def finish(self) -> ScoreTables:
        """The tables of both, the model's first."""
        scored = self._by_decider or {_RULES: self._make()}
        return _concatenate([_label_tables(scored[d].finish(), d) for d in (_MODEL, _RULES) if d in scored])


def _label_tables(tables: ScoreTables, decider: str) -> ScoreTables:
    suffix = FALLBACK if decider == _RULES else ""
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
