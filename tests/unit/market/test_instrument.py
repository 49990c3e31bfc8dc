"""How markets are named and how many decimals their quantities keep."""

import pytest

from eventlog.names import LogName
from market.errors import BadMarket
from market.instrument import Market, quantity_decimals_for


def test_a_market_is_read_and_written_alike() -> None:
    """`venue:SYMBOL`, and the names of its logs follow from it."""
    market = Market.parse("binance:BTCFDUSD")
    assert (market.venue, market.symbol, str(market)) == ("binance", "BTCFDUSD", "binance:BTCFDUSD")
    assert LogName("events", market).key == "events:{binance:BTCFDUSD}"
    assert str(LogName("decisions", market)) == "decisions:{binance:BTCFDUSD}"


@pytest.mark.parametrize(
    "text", ["", "BTCFDUSD", "binance:btcfdusd", "Binance:BTC", "binance:", "binance:B", "binance:../X", "a:BTC\n"]
)
def test_another_text_is_no_market(text: str) -> None:
    """It could be a path or a key of somebody else's."""
    with pytest.raises(BadMarket, match="venue:SYMBOL"):
        Market.parse(text)


def test_coins_counted_in_trillions_keep_fewer_decimals() -> None:
    """Else a window's sum would not fit."""
    assert quantity_decimals_for(9_000, 5) == 8
    assert quantity_decimals_for(10**8 - 1, 0) == 8
    assert quantity_decimals_for(46_116_860_414, 0) == 0
    assert quantity_decimals_for(10**8, 2) == 2
