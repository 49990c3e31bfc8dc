"""A tiny market with one piece of advice, every figure of which was worked out by hand."""

from typing import Any

import numpy as np
import pytest

from agents.recommendation import Rung
from market.timestamps import HOUR_NS, MINUTE_NS, SECOND_NS
from replay.scoring.placebo import PlaceboPool
from replay.scoring.price_path import PricePath
from replay.scoring.scoring import ScoreTables, ScoringRules, score
from tests.market_builders import T0, a_path, a_zone, e8, published

RULES = ScoringRules(
    publish_delay_ms=0, latency_ms=1000, maker_fee_bps=1.0, placebo_draws=10, seed=1, away_sigma=2.0, beyond_sigma=2.0
)
BUY = a_zone("buy", "98.9", 99, weight=0.5, basis=("poc", "wall"), ladder=(Rung(e8(99), 0.25), Rung(e8("98.9"), 0.25)))
SELL = a_zone("sell", 101, "101.1", weight=0.5, ladder=(Rung(e8(101), 0.25), Rung(e8("101.1"), 0.25)))
PATH = a_path(
    [100, 98, 99, "98.85", 101, "101.05", "103.1", 102],
    [0, 0.5, 10, 20, 30, 40, 60, 100],
)
"""σ is 1: after 1 s of latency the buy zone is touched at 10 s and rejected at 30 s, the sell zone broken at 60 s."""

MOMENTS = PlaceboPool(
    np.array([T0, T0 + 35 * SECOND_NS]), np.array([0, 5]), np.array([e8(100), e8(101)]), np.array([0.01, 0.02])
)
"""At the second one σ is 2.02: placebos lie at 98.778–98.98 and 103.02–103.222."""


def score_all(path: PricePath = PATH, moments: PlaceboPool = MOMENTS) -> ScoreTables:
    return score([published(BUY, SELL, sigma=0.01)], moments, path, RULES)


def second(time_ns: int | None) -> float | None:
    return None if time_ns is None else (time_ns - T0) / SECOND_NS


def figure(tables: ScoreTables, metric: str, model: str | None = None, unit: str = "episode") -> dict[str, Any]:
    (row,) = (r for r in tables.scores.to_pylist() if (r["metric"], r["model"], r["unit"]) == (metric, model, unit))
    return row


def test_episodes_and_what_became_of_them() -> None:
    """One row a zone, with its basis, its first publication and the touching trade."""
    rows = score_all().episodes.to_pylist()
    assert [(r["side"], r["outcome"], second(r["touch_ns"])) for r in rows] == [
        ("buy", "rejected", 10.0),
        ("sell", "broken", 30.0),
    ]
    assert rows[0]["basis"] == "poc+wall"
    assert (rows[0]["low_e8"], rows[0]["high_e8"], rows[0]["weight"]) == (e8("98.9"), e8(99), 0.5)
    assert (rows[0]["published_ns"], rows[0]["last_published_ns"], rows[0]["minutes"]) == (T0, T0, 1)


def test_orders_rest_from_latency_to_the_end_of_the_advice() -> None:
    """Every rung is an order from publication plus latency until the hour is over."""
    rows = score_all().orders.to_pylist()
    assert [(r["order"], r["episode"], r["is_buy"], r["price_e8"] / e8(1)) for r in rows] == [
        (0, 0, True, 99.0), (1, 0, True, 98.9), (2, 1, False, 101.0), (3, 1, False, 101.1),
    ]  # fmt: skip
    assert {second(r["start_ns"]) for r in rows} == {1.0}
    assert {r["stop_ns"] for r in rows} == {T0 + 60 * MINUTE_NS}


def test_fills_under_both_models() -> None:
    """Touch fills at the price, through only beyond it; each fill carries its order's price."""
    rows = score_all().fills.to_pylist()
    assert [(r["model"], r["order"], second(r["filled_ns"])) for r in rows] == [
        ("touch", 0, 10.0), ("touch", 1, 20.0), ("touch", 2, 30.0), ("touch", 3, 60.0),
        ("through", 0, 20.0), ("through", 1, 20.0), ("through", 2, 40.0), ("through", 3, 60.0),
    ]  # fmt: skip
    assert [r["price_e8"] / e8(1) for r in rows[:4]] == [99.0, 98.9, 101.0, 101.1]


def test_markouts_of_fills() -> None:
    """Ten seconds after the first fill the price is 98.85, sixty seconds after it 103.1; five minutes are unknown."""
    first = score_all().fills.to_pylist()[0]
    assert first["markout_10s_bps"] == round((98.85 - 99) / 99 * 1e4 - 1, 4)
    assert first["markout_60s_bps"] == round((103.1 - 99) / 99 * 1e4 - 1, 4)
    assert first["markout_300s_bps"] is None


def test_figures_beside_their_placebo() -> None:
    """Both zones touched, one of two held; of the two placebos the upper one is touched and stays open."""
    tables = score_all()
    touches, rejections = figure(tables, "touched"), figure(tables, "rejected")
    assert (touches["advice"], touches["placebo"], touches["samples"], touches["placebo_samples"]) == (1.0, 0.5, 2, 2)
    assert (rejections["advice"], rejections["placebo"], rejections["samples"], rejections["placebo_samples"]) == (
        0.5,
        None,
        2,
        0,
    )
    assert (touches["blocks"], touches["low"], touches["p"]) == (1, None, None)


def test_first_rungs_beside_their_placebo() -> None:
    """Fill rates and markouts compare first rungs only: 99 and 101 against 98.98 and 103.02."""
    tables = score_all()
    for model in ("touch", "through"):
        fill_rate = figure(tables, "filled", model, "first rung")
        assert (fill_rate["advice"], fill_rate["placebo"], fill_rate["samples"], fill_rate["placebo_samples"]) == (
            1.0,
            0.5,
            2,
            2,
        )
    markout = figure(tables, "markout_10s_bps", "touch", "first rung")
    mine = [(98.85 - 99) / 99 * 1e4 - 1, -(101.05 - 101) / 101 * 1e4 - 1]
    assert markout["advice"] == pytest.approx(sum(mine) / 2, abs=1e-4)
    assert markout["placebo"] == pytest.approx(-(103.1 - 103.02) / 103.02 * 1e4 - 1, abs=1e-4)
    assert (markout["samples"], markout["placebo_samples"]) == (2, 1)


def test_every_minute_is_secondary() -> None:
    """Each zone of each recommendation as if it were new, without a placebo."""
    tables = score_all()
    touches = figure(tables, "touched", unit="every minute")
    assert (touches["advice"], touches["samples"], touches["placebo"]) == (1.0, 2, None)
    assert figure(tables, "rejected", unit="every minute")["advice"] == 0.5


def test_a_repeated_zone_is_one_episode_and_two_minutes() -> None:
    """Advised again a minute later the zone is still one episode, scored from its first publication."""
    again = score([published(BUY, sigma=0.01), published(BUY, minute=1, sigma=0.01)], MOMENTS, PATH, RULES)
    assert [(r["minutes"], second(r["touch_ns"])) for r in again.episodes.to_pylist()] == [(2, 10.0)]
    assert figure(again, "touched")["samples"] == 1
    both = figure(again, "touched", unit="every minute")
    assert (both["samples"], both["advice"]) == (2, 0.5)


def test_blocks_are_two_hours() -> None:
    """Samples of one two-hour block count as one block, whatever their number."""
    days = [published(BUY, minute=m, sigma=0.01) for m in (0, 100, 240)]
    moments = PlaceboPool(
        T0 + np.array([5, 6, 245]) * MINUTE_NS, np.array([0, 0, 0]), np.full(3, e8(100)), np.full(3, 0.01)
    )
    path = a_path([100, 100], [0, 300 * 60])
    assert figure(score(days, moments, path, RULES), "touched")["blocks"] == 2
    assert T0 % (2 * HOUR_NS) == 0


@pytest.mark.parametrize("path", [PATH, PricePath.from_batches([])])
def test_nothing_advised(path: PricePath) -> None:
    """No recommendations, or none with zones, give empty tables and figures without values."""
    nobody = PlaceboPool(*(np.empty(0, np.int64) for _ in range(3)), np.empty(0, np.float64))
    for publications in ([], [published()]):
        tables = score(publications, nobody, path, RULES)
        assert (tables.episodes.num_rows, tables.orders.num_rows, tables.fills.num_rows) == (0, 0, 0)
        assert all(r["advice"] is None and r["samples"] == 0 for r in tables.scores.to_pylist())


def test_no_trades_after_advice() -> None:
    """Advice at the end of the record is untouched and unfilled; nothing is NaN."""
    tables = score_all(PricePath.from_batches([]))
    assert tables.episodes.column("outcome").to_pylist() == ["untouched", "untouched"]
    assert tables.fills.num_rows == 0
    values = [v for r in tables.scores.to_pylist() for v in r.values() if isinstance(v, float)]
    assert not np.isnan(values).any()
