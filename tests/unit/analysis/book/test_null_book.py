"""A null book holds what the book holds, at about the same distance, in random order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.book.book_side import build_book_side
from analysis.book.null_book import shuffle_side
from analysis.parameters import Parameters
from market.fixed_point import ONE_E8
from tests.market_builders import a_snapshot

RULES = Parameters()


def chance(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 400), st.sampled_from(["bid", "ask"]))
def test_depth_and_octaves_keep_their_contents(seed: int, bins: int, side: str) -> None:
    """Each octave of distance holds the same sizes as before, the whole side the same depth, the rest is untouched."""
    sizes = np.random.default_rng(seed).integers(1, 1000, bins).tolist()
    book = a_snapshot(
        [(99_999.5 - i, q) for i, q in enumerate(sizes)], [(100_000.5 + i, q) for i, q in enumerate(sizes)]
    )
    full = build_book_side(book, side, ONE_E8, RULES)  # type: ignore[arg-type]
    assert full is not None
    mix = shuffle_side(full, chance(seed))
    octave = np.floor(np.log2([(i + 0.5) / 10 for i in range(bins)]))
    for octave_value in np.unique(octave):
        assert sorted(mix.quantity_e8[octave == octave_value]) == sorted(full.quantity_e8[octave == octave_value])
    assert mix.quantity_e8.sum() == full.quantity_e8.sum()
    assert (mix.low_e8, mix.corridor, mix.reach_bp) == (full.low_e8, full.corridor, full.reach_bp)
    assert mix.distance_bp.tolist() == full.distance_bp.tolist()


def test_one_seed_one_order() -> None:
    """The same chance gives the same book, another one another, and the book itself stays as it was."""
    book = a_snapshot([(99_999.5, 1)], [(100_000.5 + i, 1 + i) for i in range(500)])
    side = build_book_side(book, "ask", ONE_E8, RULES)
    assert side is not None
    before = side.quantity_e8.tolist()
    one, same, other = (shuffle_side(side, chance(seed)).quantity_e8.tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert one != before
    assert side.quantity_e8.tolist() == before


def test_every_order_is_as_likely() -> None:
    """Over 3000 draws each of three bins of one octave holds each of three sizes about a third of the time."""
    book = a_snapshot([(99_999.5, 1)], [(100_000.5 + i, 1 + i) for i in range(7)])
    side = build_book_side(book, "ask", ONE_E8, RULES)
    assert side is not None
    octave = np.floor(np.log2(side.distance_bp)) == np.floor(np.log2(side.distance_bp[4]))
    assert octave.tolist() == [False, False, True, True, True, False, False]
    draws = np.array([shuffle_side(side, chance(seed)).quantity_e8[octave] // ONE_E8 for seed in range(3000)])
    shares = [[float(np.mean(draws[:, place] == size)) for size in (3, 4, 5)] for place in range(3)]
    assert np.abs(np.array(shares) - 1 / 3).max() < 0.035
