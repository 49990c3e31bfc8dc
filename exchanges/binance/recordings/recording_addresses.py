"""
What the address before a recorded message tells: its symbol, its stream, and the kind of market.

Source: binance-spot-api-docs and Binance's derivatives docs (July 2026), for the hosts, paths and names of streams.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

_FUTURES = re.compile(
    r"//(?:[a-z]+-)?[fdp](?:stream|api)(?:-[a-z-]+)?\.|//(?:[^/]+\.)?binancefuture\.|/[fdp]api/", re.I
)
_OPTIONS = re.compile(r"//(?:[a-z]+-)?(?:eapi|vstream|nbstream)\.|/eapi/", re.I)
_STREAM = re.compile(r"(?<![^/])([a-z0-9_]{2,40})@([a-z][\w@]*)", re.I)
_FEW_LEVELS = re.compile(r"depth[0-9]")


class Address(NamedTuple):
    """
    What an address tells of its messages.

    Attributes:
        symbol: of all its messages; None where it names none, or several.
        stream: of messages that do not name theirs; empty where it does not say.
        other_market: the kind of market where it is not spot, else empty.
    """

    symbol: str | None = None
    stream: str = ""
    other_market: str = ""


NO_ADDRESS = Address()


@lru_cache(maxsize=256)
def address_of(text: bytes) -> Address:
    """Parse an address; `NO_ADDRESS` for text that is none."""
    try:
        parts = urlsplit(unquote(text.decode("utf-8", "replace")))
    except ValueError:
        return NO_ADDRESS
    query = {name.lower(): values for name, values in parse_qs(parts.query).items()}
    names = [name.upper() for name in query.get("symbol", [])]
    streams = _STREAM.findall("/".join([parts.path, *query.get("streams", [])]))
    symbols = {*names, *(market.upper() for market, _ in streams)}
    symbol = symbols.pop() if len(symbols) == 1 else None
    return Address(symbol, _stream_of([kind for _, kind in streams]), _other_market(f"//{parts.netloc}{parts.path}"))


def _stream_of(kinds: list[str]) -> str:
    """The one stream; of several, a partial depth stream, whose messages do not name it themselves."""
    if len(set(kinds)) == 1:
        return kinds[0]
    return next((kind for kind in kinds if _FEW_LEVELS.match(kind)), "")


def _other_market(address: str) -> str:
    if _OPTIONS.search(address):
        return "an options market"
    return "a futures market" if _FUTURES.search(address) else ""
