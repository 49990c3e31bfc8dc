"""
Which market a file's trades are of by its name, as Binance names archives and as users rename them.
"""

import re

_KIND = r"(?:aggtrades|trades|booktickers?|bookdepth|metrics|fundingrate|[0-9]{1,2}(?:s|m|h|d|w|mo))"
_SYMBOL = r"(?=[0-9]*[A-Z])[A-Z0-9]{2,30}(?:_PERP|_[0-9]{6})?|(?i:[a-z0-9]{2,30}(?=-aggtrades))"
_BINANCE_NAME = re.compile(rf"(?:^|[^A-Za-z0-9])({_SYMBOL})-(?i:{_KIND})-[0-9]{{4}}-[0-9]{{2}}")

_QUOTE = r"(?:USDT|USDC|FDUSD|TUSD|BUSD|DAI|BTC|ETH|BNB|EUR|TRY|BRL|JPY|ARS|MXN|PLN|ZAR|UAH)"
"""Quote coins."""
_DISTINCT_QUOTE = r"(?:USDT|USDC|FDUSD|TUSD|BUSD|BTC)"
"""Quote coins that no ordinary word ends in, as `entry` does in TRY: these mark a symbol in small letters too."""

_WORD = re.compile(r"[A-Za-z0-9]+")
_PAIR = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z0-9]+)[-_]([A-Za-z0-9]+))")
_BASE = r"(?=[0-9]*[A-Z])[A-Z0-9]{2,26}"
_LIKELY = re.compile(rf"{_BASE}{_QUOTE}|(?i:{_BASE}{_DISTINCT_QUOTE})")
_LIKELY_PAIR = re.compile(rf"{_BASE}-{_QUOTE}")


def find_symbol(name: str, symbol: str | None) -> str | None:
    """
    Find the symbol in a file's name, None where it has none.

    A word is a symbol if it equals `symbol`, or has capitals and ends in a quote coin; two words joined by `-` or `_`
    count as one. If the name contains `symbol`, nothing else in it counts.

    Args:
        name: of the file, without folder.
        symbol: the one that is expected, upper case; None for any.

    >>> find_symbol("BTCFDUSD-aggTrades-2026-01-05.zip", None)
    'BTCFDUSD'
    """
    match = _BINANCE_NAME.search(name)
    if match is not None:
        return match[1].upper()
    words = _WORD.findall(name)
    pairs = [(pair[1], pair[2]) for pair in _PAIR.finditer(name)]
    if symbol in {*(word.upper() for word in words), *((base + quote).upper() for base, quote in pairs)}:
        return symbol
    candidates = [base + quote for base, quote in reversed(pairs) if _LIKELY_PAIR.fullmatch(f"{base}-{quote}")]
    candidates += [word.upper() for word in words if _LIKELY.fullmatch(word)]
    return candidates[0] if candidates else None
