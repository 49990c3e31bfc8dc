"""
What can be told of an unreadable message: whether it may have been a trade, and its agg id; pure.
"""

import re
from typing import Any, NamedTuple

import msgspec

from eventlog.facts.market import AGG_TRADE
from exchanges.binance.messages import UNREADABLE, BadMessage
from exchanges.binance.recordings.recorded_messages import recognise
from exchanges.errors import BadFile

_MAX_ID = 2**63 - 1  # what the log's columns can hold
_IDS = {"aggTrade": "a", "trade": "t"}
_EVENT = re.compile(rb'(?:"e"\s*:\s*"|@)([A-Za-z0-9]+)')
_SYMBOL = re.compile(rb'"s"\s*:\s*"([^"]*)"')
_MAKER = re.compile(rb'"[mM]"\s*:\s*(?:true|false)')
_DIGITS = re.compile(r"[0-9]{1,19}")


class UnreadableMessage(NamedTuple):
    """Whether a message may have been a trade, and its agg id, None where no complete id is in it."""

    may_be_trade: bool
    agg_id: int | None = None


def inspect_unreadable(message: bytes, symbol: str, event: str) -> UnreadableMessage:
    """
    Inspect a message that could not be parsed, or bytes that are no message.

    Args:
        message: its bytes.
        symbol: of the market; a message of another one is no trade of this market.
        event: that trades of the recording are read from, `aggTrade` or `trade`.
    """
    try:
        content = recognise(message)
    except BadFile:
        return UnreadableMessage(False)
    except BadMessage:
        return _inspect_text(message, symbol, event)
    if content.kind != AGG_TRADE:
        return UnreadableMessage(False)
    return UnreadableMessage(
        True, content.number if content.number is not None else _find_id(content.body, content.event)
    )


def _find_id(body: bytes, event: str) -> int | None:
    """An id that is written in another way than Binance does, as text or with a decimal point."""
    try:
        value: Any = msgspec.json.decode(body)[_IDS[event]]
    except (KeyError, *UNREADABLE):
        return None
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MAX_ID else None


def _inspect_text(text: bytes, symbol: str, event: str) -> UnreadableMessage:
    """Inspect a torn message, or two on one line; of several ids the first, and none that may be torn itself."""
    symbols = _SYMBOL.findall(text)
    if symbols and symbol.encode() not in symbols:
        return UnreadableMessage(False)
    events = {name.decode() for name in _EVENT.findall(text)}
    if event not in events:  # the start of a message names it; of its end the maker's side is left
        return UnreadableMessage(not events and _MAKER.search(text) is not None)
    match = re.search(rb'"%s"\s*:\s*([0-9]{1,18})\s*[,}]' % _IDS[event].encode(), text)
    return UnreadableMessage(True, int(match[1]) if match else None)
