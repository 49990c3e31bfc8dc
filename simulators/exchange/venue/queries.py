"""
Parses the query of a REST request into values, or refuses it as Binance does (binance-spot-api-docs: errors.md).
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
_MAX_DEPTH, _MAX_TRADES = 5_000, 1_000  # as the exchange documents them
_LARGEST = 2**63 - 1  # what 64 bits hold
# Times below this are milliseconds, from it on microseconds.
_MICROSECONDS_FROM = 10**15


@dataclass(frozen=True, slots=True)
class AggTradesQuery:
    """Which aggTrades a request asks for: from an id, or between two times (ns UTC, both included), or the latest."""

    from_id: int | None
    start_ns: int | None
    end_ns: int | None
    limit: int


def check_names(query: Mapping[str, str], names: tuple[str, ...]) -> None:
    """
    Refuse parameters that are not among the names of the endpoint.

    Raises:
        ApiError: -1101 where it takes none, else -1104.
    """
    count = sum(name in names for name in query)
    if count == len(query):
        return
    if not names:
        raise ApiError(-1101, f"Too many parameters; expected '0' and received '{len(query)}'.")
    raise ApiError(
        -1104, f"Not all sent parameters were read; read '{count}' parameter(s) but was sent '{len(query)}'."
    )


def parse_symbol(query: Mapping[str, str], symbols: Container[str]) -> str:
    """
    The symbol of a request, one of those that are traded.

    Raises:
        ApiError: -1102 missing, -1100 malformed, -1121 unknown.
    """
    sent = query.get("symbol", "")
    if not sent:
        raise ApiError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    if not re.fullmatch(_SYMBOL, sent):
        raise ApiError(-1100, f"Illegal characters found in parameter 'symbol'; legal range is '{_SYMBOL}'.")
    if sent not in symbols:
        raise ApiError(-1121, "Invalid symbol.")
    return sent


def parse_depth_limit(query: Mapping[str, str]) -> int:
    """
    Number of levels per side; 100 by default, at most 5000.

    Raises:
        ApiError: the limit is not a number above zero.
    """
    return _limit(query, 100, _MAX_DEPTH)


def depth_weight(query: Mapping[str, str]) -> int:
    """The weight of a depth request; the lowest where its limit is not valid."""
    try:
        limit = parse_depth_limit(query)
    except ApiError:
        return 5
    return next(weight for levels, weight in ((100, 5), (500, 25), (1_000, 50), (_MAX_DEPTH, 250)) if limit <= levels)


def parse_agg_trades(query: Mapping[str, str]) -> AggTradesQuery:
    """
    The parameters of an aggTrades request; the limit is 500 by default, at most 1000.

    Raises:
        ApiError: -1128 where an id and a time are sent together; -1100 or -1130 for a number that is not valid.
    """
    from_id = parse_integer(query, "fromId")
    start, end = parse_integer(query, "startTime"), parse_integer(query, "endTime")
    if from_id is not None and (start is not None or end is not None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    limit = _limit(query, 500, _MAX_TRADES)
    # An end in milliseconds covers its whole millisecond: trade times are whole milliseconds.
    return AggTradesQuery(from_id, _time_ns(start), _time_ns(end), limit)


def parse_integer(query: Mapping[str, str], name: str) -> int | None:
    """
    A parameter that is a whole number; None where it is not sent.

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


def _limit(query: Mapping[str, str], default: int, maximum: int) -> int:
    limit = parse_integer(query, "limit")
    if limit is None:
        return default
    if limit < 1:
        raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, maximum)


def _time_ns(stamp: int | None) -> int | None:
    if stamp is None:
        return None
    return min(stamp * (1_000 if stamp >= _MICROSECONDS_FROM else 1_000_000), _LARGEST)
