"""Price levels as the venue writes them."""

import pytest

from exchanges.binance.instruments import encode_inferred_instrument, parse_instrument
from exchanges.binance.levels import parse_book_side, parse_levels
from market.errors import BadNumber


def test_changed_levels_keep_their_order_and_zeros() -> None:
    """Whatever order the venue wrote them in."""
    prices, quantities = parse_levels([("2", "0.00"), ("3", "1"), ("1", "0.5")])
    assert prices.tolist() == [200_000_000, 300_000_000, 100_000_000]
    assert quantities.tolist() == [0, 100_000_000, 50_000_000]
    assert [len(c) for c in parse_levels([])] == [0, 0]


def test_a_side_is_best_first() -> None:
    """Asks rise, bids fall; anything else is named by its row."""
    assert parse_book_side([("1", "1"), ("2", "1")], 8, +1)[0].tolist() == [100_000_000, 200_000_000]
    assert parse_book_side([("2", "1"), ("1", "1")], 8, -1)[0].tolist() == [200_000_000, 100_000_000]
    for levels, direction in (([("1", "1"), ("2", "1"), ("2", "1")], 1), ([("3", "1"), ("2", "1"), ("4", "1")], -1)):
        with pytest.raises(BadNumber, match="does not follow") as caught:
            parse_book_side(levels, 8, direction)
        assert caught.value.row == 2
    with pytest.raises(BadNumber, match="is zero"):
        parse_book_side([("1", "0")], 8, 1)


def test_an_inferred_grid_comes_back() -> None:
    """What an import saw is written and read as an instrument."""
    spans = parse_instrument(encode_inferred_instrument("BTCUSDT", 1_000_000, 1_000))
    assert (spans.symbol, spans.status, spans.source) == ("BTCUSDT", "unknown", "inferred")
    assert (spans.tick_size_e8, spans.step_size_e8, spans.quantity_decimals) == (1_000_000, 1_000, 8)
