"""
Which market the name of a file says its trades are of, as Binance names archives and as people rename them.
"""

import re

_KIND = r"(?:aggtrades|trades|booktickers?|bookdepth|metrics|fundingrate|[0-9]{1,2}(?:s|m|h|d|w|mo))"
_SYMBOL = r"(?=[0-9]*[A-Z])[A-Z0-9]{2,30}(?:_PERP|_[0-9]{6})?|(?i:[a-z0-9]{2,30}(?=-aggtrades))"
_VENUES_NAME = re.compile(rf"(?:^|[^A-Za-z0-9])({_SYMBOL})-(?i:{_KIND})-[0-9]{{4}}-[0-9]{{2}}")

_QUOTE = r"(?:USDT|USDC|FDUSD|TUSD|BUSD|DAI|BTC|ETH|BNB|EUR|TRY|BRL|JPY|ARS|MXN|PLN|ZAR|UAH)"
"""Coins that others are priced in."""
_IN_NO_WORD = r"(?:USDT|USDC|FDUSD|TUSD|BUSD|BTC)"
"""Those of them on which no ordinary word ends, as `entry` does on TRY: they tell a symbol in small letters too."""

_WORD = re.compile(r"[A-Za-z0-9]+")
_PAIR = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z0-9]+)[-_]([A-Za-z0-9]+))")
_BASE = r"(?=[0-9]*[A-Z])[A-Z0-9]{2,26}"
_LIKELY = re.compile(rf"{_BASE}{_QUOTE}|(?i:{_BASE}{_IN_NO_WORD})")
_LIKELY_PAIR = re.compile(rf"{_BASE}-{_QUOTE}")


def symbol_in(name: str, symbol: str | None) -> str | None:
    """
    The symbol that a file's name says, None where it says none.

    A word is one where it is `symbol`, or has capitals and ends in a coin that others are priced in; so are two that a
    `-` or `_` joins. What else the name says does not count beside `symbol`.
    """
    found = _VENUES_NAME.search(name)
    if found is not None:
        return found[1].upper()
    words = _WORD.findall(name)
    pairs = [(pair[1], pair[2]) for pair in _PAIR.finditer(name)]
    if symbol in {*(word.upper() for word in words), *((base + quote).upper() for base, quote in pairs)}:
        return symbol
    likely = [base + quote for base, quote in reversed(pairs) if _LIKELY_PAIR.fullmatch(f"{base}-{quote}")]
    likely += [word.upper() for word in words if _LIKELY.fullmatch(word)]
    return likely[0] if likely else None
