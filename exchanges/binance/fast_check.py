"""
Cheap checks that a message looks as Binance usually writes it, so that the mapper can surely read it; pure.

Numbers with eight decimals, times in milliseconds. A message that fails may still be good: the mapper then decides.
"""

import re
from collections.abc import Iterable
from itertools import chain

_ID = range(2**62)  # an id beyond is no id, and would not fit
_TIME_MS = range(1_500_000_000_000, 4_000_000_000_000)  # 2017 to 2096: a stamp beyond is in another unit
_NUMBER = r"[0-9]{1,9}\.[0-9]{8}"
_NOT_ZERO = rf"(?=[0-9.]*[1-9]){_NUMBER}"
_LEVELS = re.compile(rf"(?:{_NOT_ZERO},{_NUMBER},)*")
_TRADE = re.compile(rf"{_NOT_ZERO},{_NOT_ZERO}")


def check_ids(first: int, last: int) -> bool:
    """Whether two ids are in order and fit 62 bits."""
    return first in _ID and last in _ID and first <= last


def check_time(stamp: int) -> bool:
    """Whether a timestamp is in milliseconds, of the years 2017 to 2096."""
    return stamp in _TIME_MS


def check_levels(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether all prices and quantities are numbers with eight decimals, no price zero."""
    texts = list(chain.from_iterable(pairs))
    text = ",".join((*texts, ""))
    return text.count(",") == len(texts) and _LEVELS.fullmatch(text) is not None


def check_trade(price: str, quantity: str) -> bool:
    """Whether price and quantity are numbers with eight decimals, neither zero."""
    return _TRADE.fullmatch(f"{price},{quantity}") is not None
