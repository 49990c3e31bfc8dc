"""Scores computed a second time, slowly, from the words: every idea, fill and figure is the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fills.displayed_book import DisplayedBook
from fills.level_rows import LevelRows
from market.arrays import I64
from market.fixed_point import common_unit
from market.timestamps import MINUTE_NS
from replay.recorded.price_path import PricePath
from replay.scoring.episodes import Publication
from replay.scoring.figures import ADVERSE_SELECTION
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables
from replay.scoring.scoring import score
from tests import slow_scorer
from tests.market_builders import a_path, a_zone, e8, published

RULES = ScoringRules(
    publish_delay_ms=0,
    latency_ms=250,
    order_value=300.0,
    maker_fee_bps=0.5,
    placebo_draws=6,
    seed=3,
    away_sigma=2.0,
    beyond_sigma=1.5,
)


def expect_same_scores(
    publications: list[Publication],
    path: PricePath,
    tables: ScoreTables,
    rules: ScoringRules,
    shown: slow_scorer.Shown = slow_scorer.nothing_shown,
) -> int:
    """Compare the tables of a run with the slow scorer's; returns the number of ideas."""
    tape = path.tape
    columns = tape.time_ns, path.seq, tape.price_e8, tape.quantity_e8, tape.sign
    trades = [slow_scorer.Trade(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    ideas = slow_scorer.ideas_of(publications)
    newest = slow_scorer.newest_of(trades)
    own = [slow_scorer.try_zone(n, idea, 0, trades, newest, rules, shown) for n, idea in enumerate(ideas)]
    drawn = slow_scorer.shifts_of(ideas, common_unit(path.price_e8), rules.placebo_draws, rules.seed)
    others = [slow_scorer.try_zone(n, ideas[n], shift, trades, newest, rules, shown) for n, shift in drawn]
    names = ("side", "low_e8", "high_e8", "outcome", "touch_ns", "minutes", "last_published_ns")
    assert [tuple(row[n] for n in names) for row in tables.episodes.to_pylist()] == [
        (i.zone.side, i.zone.low_e8, i.zone.high_e8, t.outcome, t.touch_ns, i.minutes, i.last_ns)
        for i, t in zip(ideas, own, strict=True)
    ]
    orders = [order | {"idea": t.idea} for t in own for order in t.orders]
    order_names = ("episode", "price_e8", "quantity_e8", "weight", "marketable", "ahead_e8")
    assert [tuple(row[name] for name in order_names) for row in tables.orders.to_pylist()] == [
        tuple(o[name] for name in ("idea", "price", "quantity", "weight", "marketable", "ahead")) for o in orders
    ]
    fills = {(row["model"], row["order"]): row for row in tables.fills.to_pylist()}
    for n, order in enumerate(orders):
        for model in slow_scorer.QUEUES:
            row = fills.pop((model, n), None)
            assert (row and (row["quantity_e8"], row["first_ns"], row["filled_ns"])) == order[model], (model, n)
            if row is not None:
                assert [row[f"markout_{h}s_bps"] for h in slow_scorer.HORIZONS_S] == order[f"{model} markouts"]
    assert not fills
    expect_same_figures(tables.scores.to_pylist(), slow_scorer.figures_of(ideas, own, others))
    return len(ideas)


def expect_same_figures(rows: list[dict[str, Any]], figures: dict[tuple[str, str], Any]) -> None:
    compared = {(r["metric"], r["model"] or ""): r for r in rows if r["blocks"] is not None and r["metric"] != "brier"}
    ranges = {
        metric: row
        for (metric, model), row in list(compared.items())
        if model == "all" and compared.pop((metric, model))
    }
    of_fills = [figures.pop((ADVERSE_SELECTION, model)) for model in slow_scorer.QUEUES]
    middle = sorted(slow.difference for slow in of_fills if slow.blocks)
    adverse = ranges.pop(ADVERSE_SELECTION)["difference"]
    assert adverse == (pytest.approx(middle[(len(middle) - 1) // 2], abs=2e-6) if middle else None)
    assert set(compared) == set(figures)
    for metric, row in ranges.items():
        expect_range(row, [compared[metric, model] for model in slow_scorer.QUEUES])
    for name, slow in figures.items():
        row = compared[name]
        assert row["blocks"] == slow.blocks
        for one, two in zip((row[n] for n in ("advice", "placebo", "difference")), slow.means, strict=True):
            assert (one is None) == (two is None), name
            assert one is None or one == pytest.approx(two, abs=2e-6), name
        if row["low"] is not None:
            half = (row["high"] - row["low"]) / 2
            assert half / slow.error == pytest.approx(half_width_in_errors(slow.degrees), rel=1e-3), name


def expect_range(row: dict[str, Any], of_models: list[dict[str, Any]]) -> None:
    """What is said of all models: the widest interval, and the mean of the one in the middle."""
    for end, widest in (("low", min), ("high", max)):
        ends = [r[end] for r in of_models]
        assert row[end] == (None if None in ends else widest(ends))
    middle = sorted(r["difference"] for r in of_models if r["difference"] is not None)
    assert row["difference"] == (middle[(len(middle) - 1) // 2] if middle else None)
    if row["p"] is not None and min(middle) <= 0 <= max(middle):
        assert row["p"] == 1.0


def half_width_in_errors(degrees: int) -> float:
    """Quantiles of Student's t from a table, by degrees of freedom."""
    table = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604)
    return table[degrees - 1]


def a_market(seed: int, hours: int, zones: int) -> tuple[list[Publication], PricePath]:
    """Prices without memory, a trade every twenty seconds, and zones that stand, flicker and move."""
    chance = np.random.default_rng(seed)
    n = hours * 180
    price = np.round(100 + np.cumsum(chance.normal(0, 0.03, n)), 2)
    seconds = np.arange(n) * 20.0 + chance.uniform(0, 5, n)
    sizes = np.exp(chance.uniform(np.log(1e6), np.log(2e8), n)).astype(np.int64)
    path = a_path(
        [f"{p:.2f}" for p in price], np.round(seconds, 3).tolist(), quantity_e8=sizes,
        buyer_is_maker=chance.random(n) < 0.5,
    )  # fmt: skip
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


class DrawnBook:
    """Sizes of levels that change by chance, known from a minute on; as the scorer reads them, and as they are."""

    def __init__(self, seed: int, path: PricePath) -> None:
        chance = np.random.default_rng([seed, 9])
        n = 40 * len(path)
        times = np.sort(chance.integers(path.at_ns[0], path.at_ns[-1], n))
        near = path.price_at(times) + chance.integers(-60, 61, n) * e8("0.01")
        self.rows = times, chance.integers(0, 2, n), near, chance.integers(0, 4, n) * e8(1)
        self.from_ns = int(path.at_ns[0]) + MINUTE_NS
        self.until_ns = int(path.at_ns[-1]) - 10 * MINUTE_NS

    def between(self, from_ns: int, to_ns: int, price_e8: I64) -> DisplayedBook:
        """All of it, whatever the stretch."""
        rows = LevelRows(price_e8)
        times, sides, prices, sizes = self.rows
        for side in (0, 1):
            own = sides == side
            rows.add_changes(times[own], side, prices[own], sizes[own])
        span = [np.array([value], np.int64) for value in (self.from_ns, self.until_ns, 0, 2**62)]
        return DisplayedBook.from_level_rows(rows, (span[0], span[1], span[2], span[3]), sampled=False)

    def shown(self, price: int, is_bid: bool, at_ns: int) -> list[tuple[int, int]] | None:
        """A level's sizes, where they are known."""
        if not self.from_ns <= at_ns < self.until_ns:
            return None
        times, sides, prices, sizes = self.rows
        own = (prices == price) & (sides == (0 if is_bid else 1))
        return list(zip(times[own].tolist(), sizes[own].tolist(), strict=True))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 40))
def test_short_markets(seed: int, hours: int, zones: int) -> None:
    """A few hours of any advice, ticks without σ and zones at the price included."""
    advice, path = a_market(seed, hours, zones)
    expect_same_scores(advice, path, score(advice, path, RULES), RULES)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 30))
def test_short_markets_with_books(seed: int, hours: int, zones: int) -> None:
    """The same, with queues that are known for most of the time."""
    advice, path = a_market(seed, hours, zones)
    book = DrawnBook(seed, path)
    expect_same_scores(advice, path, score(advice, path, RULES, books=book), RULES, book.shown)


@pytest.mark.slow
def test_a_day_with_intervals() -> None:
    """Eighteen hours: enough blocks for every interval, whose width is the table's t times the slow error."""
    advice, path = a_market(7, 18, 12)
    tables = score(advice, path, RULES)
    assert expect_same_scores(advice, path, tables, RULES) > 40
    assert sum(row["low"] is not None for row in tables.scores.to_pylist()) >= 10
