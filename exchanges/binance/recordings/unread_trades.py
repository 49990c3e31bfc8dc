"""
What can be told of a message that nobody could read: whether it may have been a trade, and of which id; pure.
"""

import re
from typing import Any, NamedTuple

import msgspec

from eventlog.facts.market import AGG_TRADE
from exchanges.binance.messages import UNREADABLE, BadMessage
from exchanges.binance.recordings.recorded_messages import recognise
from exchanges.errors import BadFile

_LARGEST_ID = 2**63 - 1
_IDS = {"aggTrade": "a", "trade": "t"}
_EVENT = re.compile(rb'(?:"e"\s*:\s*"|@)([A-Za-z0-9]+)')
_SYMBOL = re.compile(rb'"s"\s*:\s*"([^"]*)"')
_MAKER = re.compile(rb'"[mM]"\s*:\s*(?:true|false)')
_DIGITS = re.compile(r"[0-9]{1,19}")


class Unread(NamedTuple):
    """Whether a message may have been a trade, and its agg id, None where nothing whole says one."""

    may_be_trade: bool
    agg_id: int | None = None


def unread(message: bytes, symbol: str, event: str) -> Unread:
    """
    What can be told of a message of a market, or of bytes that are none.

    Args:
        event: that trades of the recording are taken from, `aggTrade` or `trade`.
    """
    try:
        found = recognise(message)
    except BadFile:
        return Unread(False)
    except BadMessage:
        return _in_text(message, symbol, event)
    if found.kind != AGG_TRADE:
        return Unread(False)
    return Unread(True, found.number if found.number is not None else _id_of(found.body, found.event))


def _id_of(body: bytes, event: str) -> int | None:
    """An id that is written otherwise than the venue does, as text or with a point."""
    try:
        said: Any = msgspec.json.decode(body)[_IDS[event]]
    except (KeyError, *UNREADABLE):
        return None
    if isinstance(said, str) and _DIGITS.fullmatch(said):
        said = int(said)
    if isinstance(said, float) and said.is_integer():
        said = int(said)
    return said if type(said) is int and 0 <= said <= _LARGEST_ID else None


def _in_text(text: bytes, symbol: str, event: str) -> Unread:
    """Of a torn message, or of two on one line; of several ids the first, and none that may be torn itself."""
    symbols = _SYMBOL.findall(text)
    if symbols and symbol.encode() not in symbols:
        return Unread(False)
    events = {name.decode() for name in _EVENT.findall(text)}
    if event not in events:  # the start of a message names it; of its end the maker's side is left
        return Unread(not events and _MAKER.search(text) is not None)
    found = re.search(rb'"%s"\s*:\s*([0-9]{1,18})\s*[,}]' % _IDS[event].encode(), text)
    return Unread(True, int(found[1]) if found else None)
