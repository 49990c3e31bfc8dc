"""
What a REST request asks for: query text to values, or the venue's refusal (binance-spot-api-docs: errors.md).
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

from simulators.exchange.errors import ApiError

DEPTH_NAMES = ("symbol", "limit")
AGG_TRADES_NAMES = ("symbol", "fromId", "startTime", "endTime", "limit")
EXCHANGE_INFO_NAMES = ("symbol",)

_SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
_NUMBER = r"^[0-9]{1,20}$"
_MAX_DEPTH, _MAX_TRADES = 5_000, 1_000
_LARGEST = 2**63 - 1
# Times below this are milliseconds, from it on microseconds.
_MICROSECONDS_FROM = 10**15


@dataclass(frozen=True, slots=True)
class AggTradesQuery:
    """Which aggTrades are asked for: from an id, or between two times (ns UTC, both included), or the latest."""

    from_id: int | None
    start_ns: int | None
    end_ns: int | None
    limit: int


def check_names(query: Mapping[str, str], names: tuple[str, ...]) -> None:
    """
    Refuse parameters the endpoint does not know.

    Raises:
        ApiError: -1101 where it takes none, else -1104.
    """
    known = sum(name in names for name in query)
    if known == len(query):
        return
    if not names:
        raise ApiError(-1101, f"Too many parameters; expected '0' and received '{len(query)}'.")
    raise ApiError(
        -1104, f"Not all sent parameters were read; read '{known}' parameter(s) but was sent '{len(query)}'."
    )


def symbol(query: Mapping[str, str], traded: Container[str]) -> str:
    """
    Which symbol is asked for, of those that are traded.

    Raises:
        ApiError: -1102 missing, -1100 malformed, -1121 unknown.
    """
    sent = query.get("symbol", "")
    if not sent:
        raise ApiError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    if not re.fullmatch(_SYMBOL, sent):
        raise ApiError(-1100, f"Illegal characters found in parameter 'symbol'; legal range is '{_SYMBOL}'.")
    if sent not in traded:
        raise ApiError(-1121, "Invalid symbol.")
    return sent


def depth_limit(query: Mapping[str, str]) -> int:
    """
    How many levels a side; 100 unless told, never above 5000.

    Raises:
        ApiError: for a limit that is no number above zero.
    """
    return _limit(query, 100, _MAX_DEPTH)


def depth_weight(query: Mapping[str, str]) -> int:
    """What a depth request costs; the least where its limit makes no sense."""
    try:
        limit = depth_limit(query)
    except ApiError:
        return 5
    return next(weight for most, weight in ((100, 5), (500, 25), (1_000, 50), (_MAX_DEPTH, 250)) if limit <= most)


def agg_trades_query(query: Mapping[str, str]) -> AggTradesQuery:
    """
    Which aggTrades; 500 unless told, never above 1000.

    Raises:
        ApiError: -1128 where an id and a time are sent together; -1100 or -1130 for a number that makes no sense.
    """
    from_id = whole_number(query, "fromId")
    start, end = whole_number(query, "startTime"), whole_number(query, "endTime")
    if from_id is not None and (start is not None or end is not None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    limit = _limit(query, 500, _MAX_TRADES)
    # An end in milliseconds covers its whole millisecond: trade times are whole milliseconds.
    return AggTradesQuery(from_id, _time_ns(start), _time_ns(end), limit)


def whole_number(query: Mapping[str, str], name: str) -> int | None:
    """
    A parameter that is a whole number; None where it was not sent.

    Raises:
        ApiError: -1105 empty, -1100 no number, -1130 too large.
    """
    sent = query.get(name)
    if sent is None:
        return None
    if not sent:
        raise ApiError(-1105, f"Parameter '{name}' was empty.")
    if not re.fullmatch(_NUMBER, sent, re.ASCII):
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{_NUMBER}'.")
    if int(sent) > _LARGEST:
        raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return int(sent)


def _limit(query: Mapping[str, str], default: int, most: int) -> int:
    limit = whole_number(query, "limit")
    if limit is None:
        return default
    if limit < 1:
        raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, most)


def _time_ns(stamp: int | None) -> int | None:
    if stamp is None:
        return None
    return min(stamp * (1_000 if stamp >= _MICROSECONDS_FROM else 1_000_000), _LARGEST)
