"""A tiny market with one piece of advice, every figure of which was worked out by hand."""

from typing import Any

import numpy as np
import pytest

from agents.recommendation import Rung
from market.timestamps import HOUR_NS, MINUTE_NS, SECOND_NS
from replay.recorded.price_path import PricePath
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables
from replay.scoring.scoring import expected_rejection, score
from tests.market_builders import T0, a_path, a_zone, e8, published

RULES = ScoringRules(
    publish_delay_ms=0,
    latency_ms=1000,
    order_value=1.0,
    maker_fee_bps=1.0,
    placebo_draws=10,
    seed=1,
    away_sigma=2.0,
    beyond_sigma=2.0,
)
BUY = a_zone("buy", "98.9", 99, weight=0.5, basis=("poc", "wall"), ladder=(Rung(e8(99), 0.25), Rung(e8("98.9"), 0.25)))
SELL = a_zone("sell", 101, "101.1", weight=0.5, ladder=(Rung(e8(101), 0.25), Rung(e8("101.1"), 0.25)))
PATH = a_path(
    [100, 98, "99.5", 99, "98.85", 101, "101.05", "103.1", 102],
    [0, 0.5, 0.8, 10, 20, 30, 40, 60, 100],
)
"""σ is 1: after 1 s of latency the buy zone is touched at 10 s and rejected at 30 s, the sell zone broken at 60 s."""


def score_all(path: PricePath = PATH) -> ScoreTables:
    return score([published(BUY, SELL, sigma=0.01)], path, RULES)


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
    """Every rung is an order; its request and, when the hour is over, its cancel take as long as the latency."""
    rows = score_all().orders.to_pylist()
    assert [(r["order"], r["episode"], r["is_buy"], r["price_e8"] / e8(1)) for r in rows] == [
        (0, 0, True, 99.0), (1, 0, True, 98.9), (2, 1, False, 101.0), (3, 1, False, 101.1),
    ]  # fmt: skip
    assert {second(r["start_ns"]) for r in rows} == {1.0}
    assert {r["stop_ns"] for r in rows} == {T0 + 60 * MINUTE_NS + SECOND_NS}


def test_fills_under_both_bounds() -> None:
    """Touch fills at the price, through only beyond it; each fill carries its order's price."""
    rows = [row for row in score_all().fills.to_pylist() if row["model"] in ("touch", "through")]
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


def test_figures_of_zones() -> None:
    """Both zones touched, one of two held; a single zone a side has no other distance, so there is no placebo."""
    tables = score_all()
    touches, rejections = figure(tables, "touched"), figure(tables, "rejected")
    assert (touches["advice"], touches["samples"], touches["placebo"]) == (1.0, 2, None)
    assert (rejections["advice"], rejections["samples"], rejections["placebo"], rejections["placebo_samples"]) == (
        0.5,
        2,
        None,
        0,
    )
    assert figure(tables, "open", unit="touched episode")["advice"] == 0.0


def test_rejection_beside_a_price_without_memory() -> None:
    """Width 0.1, 2 either way: touched at the edge both times, so 2.1 of 4.1; the trades went 0 past it."""
    row = figure(score_all(), "rejected_martingale")
    assert row["placebo"] == pytest.approx(2.1 / 4.1, abs=1e-6)
    assert (row["advice"], row["blocks"], row["low"]) == (0.5, 1, None)


def test_the_expectation_by_hand() -> None:
    """The vectors of docs/decisions/0020, and sides of different length: what lies towards the break counts."""
    assert expected_rejection(np.array([0.4]), np.array([2.0]), np.array([2.0]), np.array([0.15]))[0] == pytest.approx(
        0.5114, abs=5e-5
    )
    assert expected_rejection(np.array([0.0]), np.array([1.0]), np.array([3.0]), np.array([0.0]))[0] == 0.75
    assert expected_rejection(np.array([0.1]), np.array([1.0]), np.array([1.0]), np.array([5.0]))[0] == 0.0


def test_placebos_are_tested_like_zones() -> None:
    """
    Two buy zones of two recommendations, 1 and 3 below the price at σ 2: each is the other's placebo. Price falls to
    98.9 and is back at 104: the near one is touched and held, as zone and as placebo; the far one is not touched.
    """
    zones = [a_zone("buy", "98.8", 99), a_zone("buy", "96.8", 97)]
    advice = [published(zone, minute=n, sigma=0.02) for n, zone in enumerate(zones)]
    path = a_path([100, 100, "98.9", 104], [0, 90, 100, 120])
    tables = score(advice, path, RULES)
    rejections = figure(tables, "rejected")
    assert (rejections["advice"], rejections["samples"]) == (1.0, 1)
    assert (rejections["placebo"], rejections["placebo_samples"]) == (1.0, 1)
    value = figure(tables, "value_10s_bps", "touch", "order")
    own = (98.9 - 99) / 99 * 1e4 - 1
    assert (value["advice"], value["samples"]) == (pytest.approx(own / 2, abs=1e-4), 2)
    assert (value["placebo"], value["placebo_samples"]) == (pytest.approx(own / 2, abs=1e-4), 2)


def test_an_order_that_never_fills_is_worth_nothing() -> None:
    """Weights count: 0.75 of a rung that fills, 0.25 of one that does not, against the markout of the fill alone."""
    zone = a_zone("buy", 90, 99, ladder=(Rung(e8(99), 0.75), Rung(e8(90), 0.25)))
    tables = score([published(zone, sigma=0.01)], a_path([100, 99, 98], [0, 10, 20]), RULES)
    gain = (98 - 99) / 99 * 1e4 - 1
    assert figure(tables, "filled", "touch", "order")["advice"] == 0.75
    assert figure(tables, "markout_10s_bps", "touch", "filled order")["advice"] == pytest.approx(gain, abs=1e-4)
    assert figure(tables, "value_10s_bps", "touch", "order")["advice"] == pytest.approx(0.75 * gain, abs=1e-4)


def test_what_would_trade_on_arrival_is_refused() -> None:
    """A buy order at 99 when the last price is 98.5 is marketable: it never fills, and is counted."""
    tables = score([published(BUY, sigma=0.01)], a_path([100, "98.5", "98.4"], [0, 0.5, 10]), RULES)
    assert figure(tables, "marketable", unit="order")["advice"] == 1.0
    assert tables.orders.column("marketable").to_pylist() == [True, True]
    assert tables.fills.num_rows == 0
    assert figure(tables, "value_10s_bps", "touch", "order")["advice"] == 0.0


def test_every_minute_is_secondary() -> None:
    """Each zone of each recommendation as if it were new, without a placebo."""
    tables = score_all()
    touches = figure(tables, "touched", unit="every minute")
    assert (touches["advice"], touches["samples"], touches["placebo"]) == (1.0, 2, None)
    assert figure(tables, "rejected", unit="every minute")["advice"] == 0.5


def test_a_repeated_zone_is_one_episode_and_two_minutes() -> None:
    """Advised again a minute later the zone is still one episode, scored from its first publication."""
    again = score([published(BUY, sigma=0.01), published(BUY, minute=1, sigma=0.01)], PATH, RULES)
    assert [(r["minutes"], second(r["touch_ns"])) for r in again.episodes.to_pylist()] == [(2, 10.0)]
    assert figure(again, "touched")["samples"] == 1
    both = figure(again, "touched", unit="every minute")
    assert (both["samples"], both["advice"]) == (2, 0.5)


def test_blocks_are_two_hours() -> None:
    """Samples of one two-hour block count as one block, whatever their number."""
    advice = [published(a_zone("buy", 90 + n, 90 + n), minute=m, sigma=0.01) for n, m in enumerate((0, 100, 240))]
    path = a_path([100, "100.01", 100], [0, 1, 360 * 60])
    assert figure(score(advice, path, RULES), "value_10s_bps", "touch", "order")["blocks"] == 2
    assert T0 % (2 * HOUR_NS) == 0


def test_every_p_is_corrected_for_all() -> None:
    """A figure's corrected p is not below its own, and there is one wherever there is a p."""
    chance = np.random.default_rng(1)
    price = 100 + np.cumsum(chance.normal(0, 0.02, 24 * 3600)).round(2)
    advice = [
        published(a_zone("buy", f"{p - 0.5 - d:.2f}", f"{p - 0.4 - d:.2f}"), minute=m, reference_e8=e8(f"{p:.2f}"),
                  sigma=0.004)
        for m, p, d in ((m, price[m * 60], chance.uniform(0, 0.5)) for m in range(0, 1300, 10))
    ]  # fmt: skip
    rows = score(advice, a_path([f"{p:.2f}" for p in price]), RULES).scores.to_pylist()
    p_values = [(r["p"], r["p_corrected"]) for r in rows if r["p"] is not None]
    assert len(p_values) == 8
    assert all(corrected >= p for p, corrected in p_values)
    assert all((r["p"] is None) == (r["p_corrected"] is None) for r in rows)
    figures = [r for r in rows if r["p"] is not None]
    assert all(r["effective"] is None or 1 <= r["effective"] <= r["samples"] for r in figures)
    assert all(r["days_for_half"] == pytest.approx(4 * r["blocks"] / 12, abs=0.1) for r in figures)


@pytest.mark.parametrize("path", [PATH, PricePath.from_batches([])])
def test_nothing_advised(path: PricePath) -> None:
    """No recommendations, or none with zones, give empty tables and figures without values."""
    for publications in ([], [published()]):
        tables = score(publications, path, RULES)
        assert (tables.episodes.num_rows, tables.orders.num_rows, tables.fills.num_rows) == (0, 0, 0)
        assert all(r["advice"] is None and r["samples"] == 0 for r in tables.scores.to_pylist())


def test_no_trades_after_advice() -> None:
    """Advice at the end of the record is untouched and unfilled; nothing is NaN."""
    tables = score_all(PricePath.from_batches([]))
    assert tables.episodes.column("outcome").to_pylist() == ["untouched", "untouched"]
    assert tables.fills.num_rows == 0
    values = [v for r in tables.scores.to_pylist() for v in r.values() if isinstance(v, float)]
    assert not np.isnan(values).any()
