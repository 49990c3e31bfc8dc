"""Scores computed a second time, slowly, from the words: every idea, fill and figure is the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.fixed_point import common_unit
from replay.scoring.episodes import Publication
from replay.scoring.price_path import PricePath
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables
from replay.scoring.scoring import score
from tests import slow_scorer
from tests.market_builders import a_path, a_zone, e8, published

RULES = ScoringRules(
    publish_delay_ms=0, latency_ms=250, maker_fee_bps=0.5, placebo_draws=6, seed=3, away_sigma=2.0, beyond_sigma=1.5
)


def expect_same_scores(
    publications: list[Publication], path: PricePath, tables: ScoreTables, rules: ScoringRules
) -> int:
    """Compare the tables of a run with the slow scorer's; returns the number of ideas."""
    columns = path.at_ns.tolist(), path.seq.tolist(), path.price_e8.tolist()
    trades = [slow_scorer.Trade(*row) for row in zip(*columns, strict=True)]
    ideas = slow_scorer.ideas_of(publications)
    own = [slow_scorer.try_zone(n, idea, 0, trades, rules) for n, idea in enumerate(ideas)]
    drawn = slow_scorer.shifts_of(ideas, common_unit(path.price_e8), rules.placebo_draws, rules.seed)
    others = [slow_scorer.try_zone(n, ideas[n], shift, trades, rules) for n, shift in drawn]
    names = ("side", "low_e8", "high_e8", "outcome", "touch_ns", "minutes", "last_published_ns")
    assert [tuple(row[n] for n in names) for row in tables.episodes.to_pylist()] == [
        (i.zone.side, i.zone.low_e8, i.zone.high_e8, t.outcome, t.touch_ns, i.minutes, i.last_ns)
        for i, t in zip(ideas, own, strict=True)
    ]
    orders = [order | {"idea": t.idea} for t in own for order in t.orders]
    assert [(r["episode"], r["price_e8"], r["weight"], r["marketable"]) for r in tables.orders.to_pylist()] == [
        (o["idea"], o["price"], o["weight"], o["marketable"]) for o in orders
    ]
    fills = {(row["model"], row["order"]): row for row in tables.fills.to_pylist()}
    for n, order in enumerate(orders):
        for model in ("touch", "through"):
            row = fills.pop((model, n), None)
            assert (row and row["filled_ns"]) == order[model]
            if row is not None:
                assert [row[f"markout_{h}s_bps"] for h in slow_scorer.HORIZONS_S] == order[f"{model} markouts"]
    assert not fills
    expect_same_figures(tables.scores.to_pylist(), slow_scorer.figures_of(ideas, own, others))
    return len(ideas)


def expect_same_figures(rows: list[dict[str, Any]], figures: dict[tuple[str, str], Any]) -> None:
    compared = {(r["metric"], r["model"] or ""): r for r in rows if r["blocks"] is not None and r["metric"] != "brier"}
    assert set(compared) == set(figures)
    for name, (advice, control, error, blocks) in figures.items():
        row = compared[name]
        assert row["blocks"] == blocks
        for one, two in ((row["advice"], advice), (row["placebo"], control)):
            assert (one is None) == (two is None), name
            assert one is None or one == pytest.approx(two, abs=2e-6), name
        if row["low"] is not None:
            half = (row["high"] - row["low"]) / 2
            assert half / error == pytest.approx(half_width_in_errors(blocks), rel=1e-3), name


def half_width_in_errors(blocks: int) -> float:
    """Quantiles of Student's t from a table, blocks less one degrees of freedom."""
    return {7: 2.3646, 8: 2.3060, 9: 2.2622, 10: 2.2281, 11: 2.2010, 12: 2.1788, 13: 2.1604}[blocks - 1]


def a_market(seed: int, hours: int, zones: int) -> tuple[list[Publication], PricePath]:
    """Prices without memory, a trade every twenty seconds, and zones that stand, flicker and move."""
    chance = np.random.default_rng(seed)
    n = hours * 180
    price = np.round(100 + np.cumsum(chance.normal(0, 0.03, n)), 2)
    seconds = np.arange(n) * 20.0 + chance.uniform(0, 5, n)
    path = a_path([f"{p:.2f}" for p in price], np.round(seconds, 3).tolist())
    advice = []
    standing: list[tuple[str, str, str]] = []
    for minute in range(1, hours * 60 - 1):
        now = price[minute * 3 - 1]
        standing = [zone for zone in standing if chance.random() < 0.9][-4:]
        if chance.random() < zones / 60:
            side = "buy" if chance.random() < 0.5 else "sell"
            distance, width = chance.uniform(-0.05, 0.6), chance.uniform(0, 0.15)
            low = now - distance - width if side == "buy" else now + distance
            standing.append((side, f"{low:.2f}", f"{low + width:.2f}"))
        shown = [zone for zone in standing if chance.random() < 0.8]
        sigma = None if chance.random() < 0.02 else round(float(chance.uniform(0.0005, 0.002)), 9)
        advised = [a_zone(*zone, weight=1 / len(shown)) for zone in shown]
        advice.append(published(*advised, minute=minute, seq=minute * 3, reference_e8=e8(f"{now:.2f}"), sigma=sigma))
    return advice, path


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 40))
def test_short_markets(seed: int, hours: int, zones: int) -> None:
    """A few hours of any advice, ticks without σ and zones at the price included."""
    advice, path = a_market(seed, hours, zones)
    expect_same_scores(advice, path, score(advice, path, RULES), RULES)


@pytest.mark.slow
def test_a_day_with_intervals() -> None:
    """Eighteen hours: enough blocks for every interval, whose width is the table's t times the slow error."""
    advice, path = a_market(7, 18, 12)
    tables = score(advice, path, RULES)
    assert expect_same_scores(advice, path, tables, RULES) > 40
    assert sum(row["low"] is not None for row in tables.scores.to_pylist()) >= 10
