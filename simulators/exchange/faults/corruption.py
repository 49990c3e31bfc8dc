"""
Messages gone wrong, bytes to bytes.
"""

import re

_VALUE = re.compile(rb'(?<=[\[:,])"([0-9]+\.[0-9]+)"')


def with_json_numbers(payload: bytes) -> bytes:
    """Prices and quantities without their quotes."""
    return _VALUE.sub(rb"\1", payload)


def with_blanks(payload: bytes, size: int) -> bytes:
    """The same JSON, padded to a size with blanks before its last brace."""
    return payload[:-1] + b" " * max(0, size - len(payload)) + payload[-1:]


def malformed(payload: bytes) -> bytes:
    """An equals sign where the first colon was."""
    return payload.replace(b":", b"=", 1)


def cut(payload: bytes, part: float) -> bytes:
    """The first part of it, at least a byte short."""
    return payload[: min(int(len(payload) * part), max(0, len(payload) - 1))]


def with_invalid_utf8(payload: bytes) -> bytes:
    """A byte that no UTF-8 holds, where the first quote was closed."""
    return payload.replace(b'":', b'\xff":', 1)


def about(payload: bytes, symbol: str) -> bytes:
    """The same event about another symbol."""
    return re.sub(rb'"s":"[^"]*"', b'"s":"' + symbol.encode() + b'"', payload, count=1)


def noise(size: int, number: int) -> bytes:
    """Bytes that mean nothing, the same for the same message."""
    return bytes((number * 31 + place * 97 + 128) % 256 for place in range(size))
