"""
Corrupts messages: functions from bytes to bytes.
"""

import re

_VALUE = re.compile(rb'(?<=[\[:,])"([0-9]+\.[0-9]+)"')


def unquote_numbers(payload: bytes) -> bytes:
    """Write prices and quantities as JSON numbers instead of text."""
    return _VALUE.sub(rb"\1", payload)


def pad(payload: bytes, size: int) -> bytes:
    """Pad a JSON object to a size in bytes, with blanks before its last brace."""
    return payload[:-1] + b" " * max(0, size - len(payload)) + payload[-1:]


def break_json(payload: bytes) -> bytes:
    """Replace the first colon by an equals sign."""
    return payload.replace(b":", b"=", 1)


def truncate(payload: bytes, part: float) -> bytes:
    """
    Cut off the end: `part` of the bytes remain (0 to 1), and at least one byte less than there were.

    >>> truncate(b"0123456789", 0.5)
    b'01234'
    """
    return payload[: min(int(len(payload) * part), max(0, len(payload) - 1))]


def insert_invalid_utf8(payload: bytes) -> bytes:
    """Insert a byte that is never UTF-8 at the end of the first key."""
    return payload.replace(b'":', b'\xff":', 1)


def replace_symbol(payload: bytes, symbol: str) -> bytes:
    """The same event for another symbol."""
    return re.sub(rb'"s":"[^"]*"', b'"s":"' + symbol.encode() + b'"', payload, count=1)


def make_noise(size: int, number: int) -> bytes:
    """Bytes without meaning, `size` of them; the same for the same `number`."""
    return bytes((number * 31 + i * 97 + 128) % 256 for i in range(size))
