"""Names of files: of which market they say that they are."""

from pathlib import Path

import pytest

from exchanges.binance.archives.archive import Archive
from exchanges.binance.archives.archive_names import find_symbol
from exchanges.errors import BadFile
from tests.builders import archive_csv, archive_row


@pytest.mark.parametrize(
    "name",
    [
        "ETHUSDT.csv",
        "ETHUSDT-2024-01-01.csv",
        "ETHUSDT_agg.csv",
        "ETH-USDT-trades.csv",
        "ETH_USDT.csv",
        "ETHUSDT-spot-aggTrades.csv",
        "binance ETHUSDT 2024.csv",
        "binance-ETH-USDT.zip",
        "ethusdt.csv",
        "Ethusdt_2024.csv",
        "ethusdt-trades-2024-01-01.csv",
        "ethusdt-1h-2024-01-01.csv",
    ],
)
def test_another_symbol_in_a_name_is_refused(tmp_path: Path, name: str) -> None:
    """Wherever it stands and whatever stands beside it; it is named, and what to do where the name is wrong."""
    symbol = r"is of ETHUSDT, the market is BTCUSDT; check --market, or rename the file if its name is wrong"
    with pytest.raises(BadFile, match=symbol):
        Archive(archive_csv(tmp_path / name, [archive_row(1)]), "BTCUSDT")


@pytest.mark.parametrize(
    "name",
    [
        "sorted_BTCUSDT.csv",
        "BTCUSDT.csv",
        "btc-usdt-trades.csv",
        "BTC_USDT.csv",
        "btcusdt.csv",
        "BTCUSDT-vs-ETHUSDT.csv",
    ],
)
def test_the_markets_own_symbol_in_a_name_is_enough(tmp_path: Path, name: str) -> None:
    """Nothing is said of it then, in whichever case and beside whatever else."""
    archive = Archive(archive_csv(tmp_path / name, [archive_row(1)]), "BTCUSDT")
    list(archive.blocks(8))
    assert archive.notes() == ()


@pytest.mark.parametrize(
    "name",
    [
        "entry_trades.csv",
        "industry-trades.csv",
        "industry-trades-2024-01-01.csv",
        "my-trades-2024-01.csv",
        "country.csv",
        "bars.csv",
        "all-btc-trades.csv",
        "my_eth.csv",
        "2024-BTC.csv",
        "BTC.csv",
        "trades-2024-01-01.csv",
        "x",
    ],
)
def test_an_ordinary_word_is_no_symbol(tmp_path: Path, name: str) -> None:
    """The file is taken for the market's, and that is said."""
    archive = Archive(archive_csv(tmp_path / name, [archive_row(1)]), "BTCUSDT")
    list(archive.blocks(8))
    assert [note.partition(":")[0] for note in archive.notes()] == ["no name in it says of which market it is"]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("SPOT_ETH_USDT.csv", "ETHUSDT"),
        ("ETHTRY.csv", "ETHTRY"),
        ("1000SATSFDUSD.csv", "1000SATSFDUSD"),
        ("a.csv", None),
    ],
)
def test_without_a_market_a_name_says_what_it_says(name: str, symbol: str | None) -> None:
    """Of several that are likely, the last of those that are written in two words."""
    assert find_symbol(name, None) == symbol
