"""
Checks all figures of a decision's reasons against what its model was shown, more strictly than `grounding`.

Accepted: figures that were shown, exactly or rounded, whole numbers up to 12, ids of what was shown, times of day, and
spans of time of at most three days that are no price. Digits that only a blank or a mark parts are one number, however
they are written: "64 950", "64'950", "6 4 9 5 0". Two figures side by side need a word or a comma between them.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import pairwise

from agents.llm.firewall.grounding import (
    NUMBER,
    Grounding,
    Number,
    ShownNumbers,
    is_small,
    number_of,
    with_ascii_digits,
)
from agents.llm.firewall.plain_text import fold_text
from agents.llm.firewall.spelled_numbers import find_spelled_numbers

_MAX_LENGTH = 4_096  # bounds the work on one reason; `plain_text.MAX_LENGTH` refuses longer ones anyway
_MAX_SPAN_MIN = 3 * 24 * 60  # no window reaches further back, so a longer span is no time of the analysis
_VALID_FOR_MIN = 60  # how long any decision holds: no price, whatever the market
_MAX_RANGE_RATIO = 5  # "3 to 5" is a range; two numbers further apart are two figures

_ID = re.compile(r"(?<![A-Za-z0-9_.])([A-Za-z]\w*)((?:\.[A-Za-z]\w*)?)(?![A-Za-z0-9_]|[.,·'’]\d)", re.ASCII)
_CLOCK = re.compile(r"(?<![\d.,:])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:Z(?![A-Za-z]))?(?![\d:]|\.\d)")
_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d-[01]\d-[0-3]\d(?!\d)T?")
_HEX = re.compile(r"(?<![A-Za-z0-9])0x ?[0-9a-f]{2,}", re.IGNORECASE)
_ZERO, _ONE = re.compile(r"(?<=\d)[OoОо](?![A-Za-z])"), re.compile(r"(?<=\d)[lI](?![A-Za-z])")
_JOINED = re.compile(r" ?['’‘´`_·•・∙⋅|*^\"] ?| +\. *|")
_RANGE = re.compile(r" ?[-\u2010-\u2015\u2212~] ?")
_BETWEEN_DIGITS = re.compile(r"[^\w]{1,3}")
# How a unit begins, and its length in minutes.
_MINUTES = (("s", "秒"), Decimal(1) / 60), (("h", "小", "个", "個"), Decimal(60)), (("d", "天", "日"), Decimal(1440))
_REFERENCE = re.compile(r'"reference":\s*"([0-9]+(?:\.[0-9]+)?)"')
_INTERVAL = re.compile(r'"low":\s*"([0-9]+(?:\.[0-9]+)?)",\s*"high":\s*"([0-9]+(?:\.[0-9]+)?)"')


@dataclass(frozen=True, slots=True)
class _Figure:
    number: Number
    digits: str
    fraction: str
    unit: str
    span_min: Decimal | None
    start: int
    end: int

    @property
    def value(self) -> Decimal:
        return self.number.readings[0][0][0]


@dataclass(frozen=True)
class ShownFigures:
    """The figures of a text that was shown, parsed once for several reasons."""

    text: str

    def ground(self, reason: str) -> Grounding:
        """The number of figures in a reason, and those that were not shown. Takes any text and never raises."""
        plain = self._without_names(_plain(reason[:_MAX_LENGTH]))
        ungrounded = [*(m[0] for m in _HEX.finditer(plain)), *find_spelled_numbers(fold_text(reason[:_MAX_LENGTH]))]
        total = len(ungrounded)
        plain = _HEX.sub("z", plain)
        for row in _rows(_figures(plain), plain):
            count, missing = self._check_row(row, plain)
            total += count
            ungrounded += missing
        return Grounding(total, tuple(ungrounded))

    @cached_property
    def intervals(self) -> Sequence[tuple[Decimal, Decimal]]:
        """The intervals that were shown, lowest and highest price."""
        return sorted({(Decimal(low), Decimal(high)) for low, high in _INTERVAL.findall(self.text)})

    @cached_property
    def _numbers(self) -> ShownNumbers:
        return ShownNumbers(self.text)

    @cached_property
    def _names(self) -> frozenset[str]:
        names = {part for m in _ID.finditer(self.text) for part in (m[0], m[1], m[2][1:])}
        return frozenset(name for name in names if any(c.isdigit() for c in name))

    @cached_property
    def reference(self) -> Decimal | None:
        """The reference price that was shown, None where none was."""
        match = _REFERENCE.search(self.text)
        return Decimal(match[1]) if match else None

    def _without_names(self, plain: str) -> str:
        plain = _ID.sub(self._mask_name, plain)
        plain = _CLOCK.sub("z", _DATE.sub(lambda m: "z" if m[0].rstrip("T") in self.text else m[0], plain))
        return _ONE.sub("1", _ZERO.sub("0", plain))

    def _mask_name(self, match: re.Match[str]) -> str:
        if match[0] in self._names:
            return "z"
        return f"z{match[2]}" if match[1] in self._names else match[0]

    def _check_row(self, row: Sequence[_Figure], plain: str) -> tuple[int, list[str]]:
        """The number of figures in a row, and those not shown; a row whose digits are one number is one figure."""
        if _is_spaced_out(row, plain) or not all(_are_two(a, b, plain[a.end : b.start]) for a, b in pairwise(row)):
            text = plain[row[0].start : row[-1].end]
            return 1, [] if self._holds_joined(row, plain) else [text.strip()]
        figures = [f for f in row if not self._is_free(f)]
        return len(figures), [f.number.text for f in figures if not self._holds(f.number)]

    def _is_free(self, figure: _Figure) -> bool:
        is_integer = not figure.fraction and (figure.digits == "0" or not figure.digits.startswith("0"))
        if is_integer and is_small(figure.number):
            return True
        span, reference = figure.span_min, self.reference
        if span is None or span > _MAX_SPAN_MIN:
            return False
        is_price = reference is not None and abs(figure.value - reference) <= reference / 10
        return not is_price or span == _VALID_FOR_MIN

    def _holds(self, number: Number) -> bool:
        value, unit = number.readings[0][0]
        if unit > 1:  # "1e5" is no rounding of 65000
            unit = min(unit, value / 50)
        return self._numbers.holds(Number(number.text, (((value, unit),),), number.unit))

    def _holds_joined(self, row: Sequence[_Figure], plain: str) -> bool:
        text = row[0].digits + row[0].fraction
        for before, after in pairwise(row):
            point = "." if "." in plain[before.end : after.start] else ""
            text += point + after.digits + after.fraction
        try:
            value = Decimal(text.replace(",", ""))
        except InvalidOperation:
            return False
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
        return self._numbers.holds(Number(text, (((value, Decimal((0, (1,), exponent))),),), False))


def _plain(text: str) -> str:
    visible = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Mn", "Me"))
    return " ".join(with_ascii_digits(visible.replace("，", ", ").replace("、", ", ")).split())


def _figures(plain: str) -> list[_Figure]:
    return [
        _Figure(
            number_of(m), m["digits"], m["fraction"] + m["power"], m["times"] or m["time"] or m["unit"] or "",
            _span_min(m), m.start(), m.end(),
        )
        for m in NUMBER.finditer(plain)
    ]  # fmt: skip


def _span_min(match: re.Match[str]) -> Decimal | None:
    unit = match["time"]
    if unit is None or match["power"] or len(match["digits"]) > 6:
        return None
    value = number_of(match).readings[0][0][0]
    if unit == "ms":
        return value / 60_000
    return next((value * minutes for starts, minutes in _MINUTES if unit.startswith(starts)), value)


def _rows(figures: Sequence[_Figure], plain: str) -> Iterator[Sequence[_Figure]]:
    """Group figures that only marks separate which may join digits to one number; others are rows of one."""
    row: list[_Figure] = []
    for figure in figures:
        if row and not _may_join(row[-1], figure, plain[row[-1].end : figure.start]):
            yield row
            row = []
        row.append(figure)
    if row:
        yield row


def _may_join(one: _Figure, other: _Figure, between: str) -> bool:
    near = between in (" ", ",") or _JOINED.fullmatch(between) or _RANGE.fullmatch(between)
    return bool(near) or (_is_digit(one) and _is_digit(other) and bool(_BETWEEN_DIGITS.fullmatch(between)))


def _is_digit(figure: _Figure) -> bool:
    return len(figure.digits) == 1 and not figure.fraction and not figure.unit


def _is_spaced_out(row: Sequence[_Figure], plain: str) -> bool:
    marks = {plain[a.end : b.start] for a, b in pairwise(row)}
    return len(row) > 2 and all(_is_digit(f) for f in row) and len([m for m in marks if "." not in m]) <= 1


def _are_two(one: _Figure, other: _Figure, between: str) -> bool:
    """Whether two adjacent figures are clearly two numbers."""
    if one.span_min is not None and other.span_min is not None:
        return True
    if between and (one.unit or (one.fraction and other.fraction)):
        return True
    if between == " ":
        return bool(other.unit) and (bool(one.fraction) or len(other.digits) != 3)
    if between == ",":
        return min(len(one.digits), len(other.digits)) >= 4
    if _RANGE.fullmatch(between):
        small = is_small(one.number) and is_small(other.number)
        return one.value < other.value and (small or other.value <= _MAX_RANGE_RATIO * one.value)
    return not _JOINED.fullmatch(between)
