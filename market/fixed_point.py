"""
Exact numbers: prices and quantities as int64 counts of 1e-8, parsed from the venue's text without rounding.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

from market.arrays import I64
from market.compiled import compiled
from market.errors import BadNumber

DECIMALS = 8  # of every price and quantity: the exchange sends eight
ONE_E8 = 10**DECIMALS  # one coin, or one unit of quote
LARGEST_E8 = 2**62  # two of them still fit into 64 bits: a sum can be tested after it was taken
_CACHED_NUMBERS = 1 << 14  # prices repeat from one analysis to the next; bounds the memory of the cache, a few MB

_PLAIN = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?")

# By the codes of `_parse_texts`.
_REASONS = {
    1: "is empty",
    2: "is not a plain decimal number (digits, at most one point, no sign, no exponent)",
    3: "has more decimals than the {decimals} this market keeps",
    4: "is too large",
    5: "is zero",
}


@lru_cache(_CACHED_NUMBERS)
def parse_e8(text: str, *, decimals: int = DECIMALS, allow_zero: bool = False) -> int:
    """
    Parse a venue's decimal text into the exact count of 10^-decimals.

    Args:
        text: digits with at most one point, e.g. "110000.25".
        decimals: of the count; beyond them only zeros are accepted, and never more than eight in all.
        allow_zero: whether "0.00" is accepted (a deleted book level) or an error (a price).

    Raises:
        BadNumber: sign, exponent, NaN, blanks, too many decimals, too large, a zero that makes no sense.

    >>> parse_e8("110000.25")
    11000025000000
    """
    if _PLAIN.fullmatch(text) is None:
        raise BadNumber(text, _REASONS[2 if text else 1])
    integer, _, fraction = text.partition(".")
    if len(fraction) > max(DECIMALS, decimals) or fraction[decimals:].strip("0"):
        raise BadNumber(text, _REASONS[3].format(decimals=decimals))
    fraction = fraction[:decimals]
    value = int(integer + fraction) * 10 ** (decimals - len(fraction))
    if value > LARGEST_E8:
        raise BadNumber(text, _REASONS[4])
    if value == 0 and not allow_zero:
        raise BadNumber(text, _REASONS[5])
    return value


def parse_column(
    texts: Sequence[str] | pa.Array | pa.ChunkedArray, *, decimals: int = DECIMALS, allow_zero: bool = False
) -> I64:
    """
    Parse n decimal texts into exact counts of 10^-decimals; see `parse_e8`.

    Args:
        texts: n strings, or an Arrow string array without nulls.
        decimals: of the counts.
        allow_zero: whether "0.00" is accepted.

    Returns:
        int64 of shape (n,).

    Raises:
        BadNumber: for the first text that is refused; `row` is its index.
    """
    if isinstance(texts, pa.ChunkedArray):
        parts: list[I64] = []
        offset = 0
        for chunk in texts.chunks:
            parts.append(_parse_array(chunk, decimals, allow_zero, offset))
            offset += len(chunk)
        return np.concatenate(parts) if parts else np.empty(0, np.int64)
    array = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    return _parse_array(array, decimals, allow_zero, 0)


@lru_cache(_CACHED_NUMBERS)
def format_e8(value: int, decimals: int = DECIMALS) -> str:
    """
    Format a count of 10^-decimals as the shortest plain decimal text.

    >>> format_e8(11000025000000)
    '110000.25'
    """
    if value < 0:
        return f"-{format_e8(-value, decimals)}"
    digits = str(value)
    if decimals == 0 or value == 0:
        return digits
    if len(digits) <= decimals:
        digits = digits.zfill(decimals + 1)
    tail = digits[-decimals:].rstrip("0")
    return f"{digits[:-decimals]}.{tail}" if tail else digits[:-decimals]


def common_unit(values: I64) -> int:
    """The largest whole number that divides every value; 1 for none or only zeros."""
    return int(np.gcd.reduce(values)) or 1 if len(values) else 1


def decimals_of(step_e8: int) -> int:
    """The number of decimals that a step of 1e-8 counts needs: 1000000 (0.01) needs 2."""
    text = str(step_e8)
    return max(0, DECIMALS - (len(text) - len(text.rstrip("0"))))


def _parse_array(array: pa.Array, decimals: int, allow_zero: bool, row_offset: int) -> I64:
    if len(array) == 0:
        return np.empty(0, np.int64)
    if array.null_count:
        row = next(i for i, v in enumerate(array) if not v.is_valid)
        raise BadNumber("", "is missing", row_offset + row)
    texts = array.cast(pa.string())
    _, offsets_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    values = np.empty(len(array), np.int64)
    row, code = _parse_texts(data, offsets, decimals, allow_zero, values)
    if code:
        raise BadNumber(array[row].as_py(), _REASONS[code].format(decimals=decimals), row_offset + row)
    return values


@compiled
def _parse_texts(data, offsets, decimals, allow_zero, out):  # type: ignore[no-untyped-def]
    for row in range(len(out)):
        start, stop = offsets[row], offsets[row + 1]
        if start == stop:
            return row, 1
        value = np.int64(0)
        fraction = -1
        digits = 0
        for index in range(start, stop):
            byte = data[index]
            if 48 <= byte <= 57:
                if fraction >= 0:
                    fraction += 1
                    if fraction > decimals:
                        if fraction > max(DECIMALS, decimals) or byte != 48:
                            return row, 3
                        continue
                if value > 461168601842738790:
                    return row, 4
                value = value * 10 + (byte - 48)
                digits += 1
            elif byte == 46 and fraction < 0 and digits > 0:
                fraction = 0
            else:
                return row, 2
        if fraction == 0:
            return row, 2
        for _ in range(decimals - min(max(fraction, 0), decimals)):
            if value > 461168601842738790:
                return row, 4
            value *= 10
        if value == 0 and not allow_zero:
            return row, 5
        out[row] = value
    return 0, 0
