"""
Loads what the statistics are computed from: simulated markets, the recorded day, and the recorded ten minutes.
"""

import gzip
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

from market.fixed_point import ONE_E8, parse_e8
from simulators.exchange.calibration.prints import Prints
from simulators.exchange.calibration.walls import BookSide
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.flow.mechanisms import Mechanisms
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.trades import join_trades

DAY = Path("aggtrades") / "BTCUSDT-aggTrades-2024-01-01.zip"
RECORDINGS = tuple(Path("recordings") / f"btcusdt-spot-2024-08-{day}.gz" for day in ("08", "09"))

_PRICE_E8, _RATE = 42_500 * ONE_E8, 10.0  # the price and the aggTrades per second of the recorded day
# Its quarter hours make 1.9 % a day and its minutes 1.7 %: it trends, while a martingale has one volatility.
_DAILY_VOLATILITY = 0.02
_STEPS_PER_MINUTE = 600  # of 100 ms
_MINUTE_MS = 60_000
_LEVELS = 5_000  # of a side of a book, as the exchange gives
_E8 = 1e8  # quantities in coins are exact to eight decimals


@dataclass(frozen=True, slots=True)
class Sample:
    """
    A market to measure.

    Attributes:
        prints: its trades. minutes: bids and asks a minute apart; empty where there are none.
    """

    prints: Prints
    minutes: list[tuple[BookSide, BookSide]]


def simulate(seed: int, hours: float, mechanisms: Mechanisms | None = None) -> Sample:
    """
    Simulate a market at the price, rate and volatility of the recorded day.

    Args:
        seed: of the market.
        hours: its length.
        mechanisms: what it is made of; None for all.
    """
    parameters = MarketParameters(
        start_price_e8=_PRICE_E8,
        trades_per_second=_RATE,
        daily_volatility=_DAILY_VOLATILITY,
        mechanisms=mechanisms or Mechanisms(),
    )
    engine = MarketEngine(parameters, np.random.default_rng(seed), 0)
    parts, minutes = [], []
    for _ in range(round(hours * 60)):
        parts += [step.trades for step in engine.run(_STEPS_PER_MINUTE)]
        _, bids, asks = engine.snapshot(_LEVELS)
        minutes.append((BookSide(*bids), BookSide(*asks)))
    trades = join_trades(parts)
    prints = Prints(
        trades.time_ns // 1_000_000, trades.price_e8, trades.quantity_e8 / _E8, trades.buyer_is_maker.astype(bool)
    )
    return Sample(prints, minutes)


def load_day(folder: Path) -> Sample:
    """Load the recorded day's aggTrades; there are no books of that day."""
    with zipfile.ZipFile(folder / DAY) as file:
        text = file.read(file.namelist()[0])
    day = pcsv.read_csv(pa.BufferReader(text), read_options=pcsv.ReadOptions(autogenerate_column_names=True))
    price_e8 = np.rint(day.column(1).to_numpy() * _E8).astype(np.int64)
    seller = day.column(6).to_numpy(zero_copy_only=False).astype(bool)
    return Sample(Prints(day.column(5).to_numpy(), price_e8, day.column(2).to_numpy(), seller), [])


def load_recording(folder: Path) -> Sample:
    """Load the trades of the 2024 recording, and its book every minute from the snapshot on."""
    messages = list(_messages(folder / name for name in RECORDINGS))
    rows = [(m["T"], parse_e8(m["p"]), parse_e8(m["q"]) / _E8, m["m"]) for m in messages if m.get("e") == "trade"]
    columns = list(zip(*rows, strict=True))
    prints = Prints(
        np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2]), np.array(columns[3], bool)
    )
    return Sample(prints, list(_minutes(messages)))


def _messages(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        with gzip.open(path, "rt") as file:
            for line in file:
                message = json.loads(line.split(" ", 1)[1])
                yield message.get("data", message)


def _minutes(messages: list[dict[str, Any]]) -> Iterator[tuple[BookSide, BookSide]]:
    snapshot = next(m for m in messages if "lastUpdateId" in m)
    books = [dict[int, int](), dict[int, int]()]
    _apply(books, snapshot["bids"], snapshot["asks"])
    boundary_ms = None
    for message in messages:
        if message.get("e") != "depthUpdate" or message["u"] <= snapshot["lastUpdateId"]:
            continue
        if boundary_ms is None:
            boundary_ms = message["E"]
        while message["E"] >= boundary_ms:
            yield _side(books[0], -1), _side(books[1], 1)
            boundary_ms += _MINUTE_MS
        _apply(books, message["b"], message["a"])


def _apply(books: list[dict[int, int]], bids: list[list[str]], asks: list[list[str]]) -> None:
    for book, levels in zip(books, (bids, asks), strict=True):
        for price, quantity in levels:
            book[parse_e8(price)] = round(float(quantity) * _E8)  # zero removes a level


def _side(book: dict[int, int], direction: int) -> BookSide:
    levels = sorted((direction * price, quantity) for price, quantity in book.items() if quantity)
    price = np.array([level[0] for level in levels], np.int64) * direction
    return BookSide(price, np.array([level[1] for level in levels], np.int64))
