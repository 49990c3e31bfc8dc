"""A recording as the fill engine takes it: trades, the displayed book, and the rows both were made of."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fills.displayed_book import DisplayedBook
from fills.trade_tape import TradeTape
from market.arrays import I64
from market.fixed_point import LARGEST_E8, parse_e8

MS_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """
    Attributes:
        changes: (4, n) time at the exchange ns, 1 for a bid, price 1e-8, size 1e-8, in the order of the messages.
    """

    tape: TradeTape
    book: DisplayedBook
    changes: I64


def recorded_market(paths: Sequence[Path]) -> RecordedMarket:
    """
    Read recordings of trades, diffs and one snapshot, by times at the exchange.

    Levels beyond the snapshot's count as empty until a diff names them, as hftbacktest has it: its 1,000 levels reach
    some tens of dollars, less far than the price moved.
    """
    lines = [line for path in paths for line in gzip.decompress(path.read_bytes()).splitlines()]
    messages = [json.loads(line.split(b" ", 1)[1]) for line in lines]
    snapshot = next(message for message in messages if "lastUpdateId" in message)
    data = [message["data"] for message in messages if "data" in message]
    diffs = [d for d in data if d.get("e") == "depthUpdate" and d["u"] > snapshot["lastUpdateId"]]
    trades = [d for d in data if d.get("e") == "trade"]
    began = (diffs[0]["E"] - 1) * MS_NS
    rows = _rows(began, snapshot["bids"], snapshot["asks"])
    for diff in diffs:
        rows += _rows(diff["E"] * MS_NS, diff["b"], diff["a"])
    changes = np.array(rows, np.int64).T.copy()
    until = diffs[-1]["E"] * MS_NS
    spans = tuple(np.array([value], np.int64) for value in (began, until, 0, LARGEST_E8))
    book = DisplayedBook.from_changes(changes[0], changes[1] == 1, changes[2], changes[3], spans)  # type: ignore[arg-type]
    columns = [
        [t["T"] * MS_NS for t in trades],
        [parse_e8(t["p"]) for t in trades],
        [parse_e8(t["q"]) for t in trades],
        [-1 if t["m"] else 1 for t in trades],
    ]
    return RecordedMarket(TradeTape.from_columns(*(np.array(c, np.int64) for c in columns)), book, changes)


def _rows(at_ns: int, bids: list[Any], asks: list[Any]) -> list[tuple[int, int, int, int]]:
    return [
        (at_ns, is_bid, parse_e8(price), parse_e8(size, allow_zero=True))
        for is_bid, side in ((1, bids), (0, asks))
        for price, size in side
    ]
