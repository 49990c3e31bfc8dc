"""
What a message looks like as a rule, so that a look is enough to know that the mapper can read it; pure.

Numbers with eight decimals, times in milliseconds. Whatever looks otherwise may be as good: then the mapper reads it.
"""

import re
from collections.abc import Iterable
from itertools import chain

_ID = range(2**62)
_TIME_MS = range(1_500_000_000_000, 4_000_000_000_000)
_NUMBER = r"[0-9]{1,9}\.[0-9]{8}"
_NOT_ZERO = rf"(?=[0-9.]*[1-9]){_NUMBER}"
_LEVELS = re.compile(rf"(?:{_NOT_ZERO},{_NUMBER},)*")
_TRADE = re.compile(rf"{_NOT_ZERO},{_NOT_ZERO}")


def ids(first: int, last: int) -> bool:
    """Whether ids are in order and of usual size."""
    return first in _ID and last in _ID and first <= last


def time(stamp: int) -> bool:
    """Whether a venue's stamp is plainly in milliseconds."""
    return stamp in _TIME_MS


def levels(changed: Iterable[tuple[str, str]]) -> bool:
    """Whether all prices and quantities are numbers as usual, no price zero."""
    texts = list(chain.from_iterable(changed))
    joined = ",".join((*texts, ""))
    return joined.count(",") == len(texts) and _LEVELS.fullmatch(joined) is not None


def trade(price: str, quantity: str) -> bool:
    """Whether both are numbers as usual, none zero."""
    return _TRADE.fullmatch(f"{price},{quantity}") is not None
