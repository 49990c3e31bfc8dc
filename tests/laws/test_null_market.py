"""The simulated null market is a martingale beyond two seconds, and a planted edge is found with its size."""

import numpy as np
import pytest

from bench.null_market import (
    flow_products,
    jackknife,
    rejections,
    returns_by_second,
    simulate,
    simulate_edges,
    variance_ratios,
    zones_of,
    zones_without_knowledge,
)
from market.fixed_point import ONE_E8
from replay.recorded.price_path import PricePath
from tests.null_markets import a_martingale

SEEDS, HOURS = (31, 32, 33, 34), 12.0


def excess_of(paths: list[PricePath]) -> tuple[float, float]:
    """Rejections of zones without knowledge less a martingale's rate, and the standard error."""
    parts = [rejections(path, zones_without_knowledge(path, n)) for n, path in enumerate(paths)]
    difference = np.concatenate([rejected - expected for rejected, expected, _ in parts])
    block = np.concatenate([block + 1_000_000 * n for n, (*_, block) in enumerate(parts)])
    excess = jackknife(difference, block)
    return excess.mean, excess.error


@pytest.mark.slow
def test_the_null_market_is_a_martingale() -> None:
    """Past flow says nothing of returns from two seconds on; minutes neither trend nor return."""
    paths = [simulate(seed, HOURS) for seed in SEEDS[:2]]
    for span in (10, 60, 300):
        product = np.concatenate([flow_products(path, span) for path in paths])
        assert abs(product.sum() / (product**2).sum() ** 0.5) < 3.0
    ratios = np.array([variance_ratios(returns_by_second(path)) for path in paths]).mean(axis=0)
    assert ratios[1] == pytest.approx(1.0, abs=0.15)
    mean, error = excess_of(paths)
    assert abs(mean) < 3.0 * error + 0.02


def test_a_market_that_trends_is_no_martingale() -> None:
    """The planted failure: moves that go on for a minute break more levels than chance does."""
    path = a_martingale(3, 2)
    move = np.diff(np.log(path.price_e8.astype(np.float64)))
    trend = np.convolve(move, 0.05 * np.ones(60))[: len(move)] + move
    price = np.rint(40_000 * np.exp(np.cumsum(trend)) * 100).astype(np.int64) * (ONE_E8 // 100)
    trending = PricePath.from_tape(
        type(path.tape).from_columns(path.at_ns[1:], price, np.full(len(price), ONE_E8), path.tape.sign[1:]),
        path.seq[1:],
    )
    mean, error = excess_of([path])
    assert abs(mean) < 3.0 * error
    mean, error = excess_of([trending])
    assert mean < -3.0 * error
    assert variance_ratios(returns_by_second(trending))[1] < 0.8


@pytest.mark.slow
def test_a_planted_edge_has_its_size() -> None:
    """Zones that turn back four fifths of the touches that would break them, through the scores' own test of zones."""
    edge, parts = 0.8, []
    for seed in SEEDS:
        path, records = simulate_edges(seed, HOURS, edge)
        parts.append(rejections(path, zones_of(records, path)))
    rejected, expected = (np.concatenate([part[k] for part in parts]) for k in range(2))
    assert float((rejected - expected).mean()) == pytest.approx(edge * float((1 - expected).mean()), rel=0.35)
