"""A model's figures stand apart from those of the rules in its place."""

from dataclasses import replace

import pyarrow as pa
import pytest

from replay.runs.attribution import DECIDED_BY, FALLBACK, ScoringByDecider
from replay.scoring.episodes import Publication
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables
from replay.scoring.scoring import Scoring, score
from tests.market_builders import a_path, a_zone, published

RULES = ScoringRules(0, 0, 1.0, 0.0, 5, 1, 2.0, 2.0)
PATH = a_path([100, "99.5", 100, 101, "101.5", 100], [0, 30, 90, 200, 260, 400])
OWN = [published(a_zone(), a_zone("sell", 101, 102)), published(a_zone(), minute=2)]
RULED = [published(a_zone(), minute=1), published(a_zone("sell", 103, 104), minute=3)]


def in_its_place(publication: Publication) -> Publication:
    """The same advice, given by the rules for a model that did not answer."""
    return replace(publication, advice=replace(publication.advice, fallback="timeout: no reply before the deadline"))


def apart(*advice: Publication) -> ScoreTables:
    """Advice in the order of its publication, scored."""
    scoring = ScoringByDecider(lambda: Scoring(PATH, RULES))
    for publication in sorted(advice, key=lambda publication: publication.published_ns):
        scoring.add(publication)
    return scoring.finish()


def values(scores: pa.Table, suffix: str) -> list[dict[str, object]]:
    """The rows of one side, by the plain names of their figures."""
    rows = [row for row in scores.to_pylist() if row["metric"].endswith(FALLBACK) is bool(suffix)]
    return [row | {"metric": row["metric"].removesuffix(FALLBACK)} for row in rows]


def test_each_side_is_scored_as_if_alone() -> None:
    """Its figures are those that it has without the other; an idea goes on over a tick that the other decided."""
    both = apart(*OWN, *map(in_its_place, RULED))
    assert values(both.scores, "") == score(OWN, PATH, RULES).scores.to_pylist()
    assert values(both.scores, FALLBACK) == score(RULED, PATH, RULES).scores.to_pylist()
    episodes = both.episodes.to_pylist()
    assert [(row[DECIDED_BY], row["minutes"]) for row in episodes] == [
        ("model", 2), ("model", 1), ("fallback", 1), ("fallback", 1)
    ]  # fmt: skip


def test_the_numbers_of_rows_are_counted_on() -> None:
    """Orders name their episode and fills their order, as in a run of one side."""
    both = apart(*OWN, *map(in_its_place, RULED))
    assert both.episodes.column("episode").to_pylist() == list(range(4))
    assert both.orders.column("order").to_pylist() == list(range(both.orders.num_rows))
    sides = dict(zip(range(4), both.episodes.column("side").to_pylist(), strict=True))
    assert all((sides[row["episode"]] == "buy") is row["is_buy"] for row in both.orders.to_pylist())
    prices = dict(zip(*(both.orders.column(n).to_pylist() for n in ("order", "price_e8")), strict=True))
    assert both.fills.num_rows > 0
    assert all(prices[row["order"]] == row["price_e8"] for row in both.fills.to_pylist())


def test_a_model_alone_is_scored_as_it_was() -> None:
    """Nothing is called a fallback where there was none."""
    alone = apart(*OWN)
    assert alone.scores.equals(score(OWN, PATH, RULES).scores)
    assert set(alone.episodes.column(DECIDED_BY).to_pylist()) == {"model"}


@pytest.mark.parametrize("advice", [RULED, []])
def test_a_model_without_a_decision_has_no_figure(advice: list[Publication]) -> None:
    """Not even an empty one."""
    tables = apart(*map(in_its_place, advice))
    assert tables.scores.num_rows > 0
    assert all(name.endswith(FALLBACK) for name in tables.scores.column("metric").to_pylist())
    assert "model" not in tables.episodes.column(DECIDED_BY).to_pylist()
