"""
Whether the numbers of a text were shown to its author.

A number is grounded if it was shown, exactly or rounded to the decimals it is written with. Signs are ignored: "10 bp
below" is −10. Not counted are integers up to 12, clock times, dates, spans of time ("60 min") and ids ("Wb0",
"P60.poc"). Short numbers often match by chance, so the share of ungrounded ones is a lower bound. Numbers spelled in
words are not read. This checks verdicts; a decision's reasons are checked more strictly by `figures`.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

MAX_TEXT = 16_384  # bounds the work on one text

_LARGEST_SMALL = 12  # counts of legs, tests, hours: true of so much that they prove nothing
_MAX_NUMBER = 40  # bounds a number in a message

_NUMBER = r"""(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)|\d++|(?=\.\d))(?P<fraction>(?:\.\d++)?)
      (?P<power>(?:[eE][+-]?\d{1,2}(?!\d))?)
      (?:\ ?(?:(?P<times>%|‰|[kK](?![A-Za-z])|[万萬亿億千])
         |(?P<time>m(?:in(?:ute)?s?|s)?|h(?:(?:ou)?rs?)?|s(?:ec(?:ond)?s?)?|d(?:ays?)?
            |分[钟鐘]|[个個]?小[时時]|秒|天|日)(?![A-Za-z])
         |(?P<unit>bps?|σ|sigma|x|times|基[点點]|[倍次])(?![A-Za-z])))?"""
NUMBER = re.compile(_NUMBER, re.VERBOSE)
_TOKEN = re.compile(
    rf"""
    (?<!\d)(?:19|20)\d\d-[01]\d-[0-3]\d(?:T[0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d++)?)?Z?)?(?!\d)
    | (?<![\d.,:])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?![\d:])
    | (?<![A-Za-z0-9_])(?:P\d{{1,4}}|[A-Z][a-z]?\d{{1,3}})(?:\.[a-z]+\d{{0,2}})?(?![A-Za-z0-9])(?![.,]\d)
    | {_NUMBER}
    """,
    re.VERBOSE,
)
_TIMES = {"%": "0.01", "‰": "0.001", "k": "1E3", "K": "1E3", "千": "1E3", "万": "1E4", "萬": "1E4",
          "亿": "1E8", "億": "1E8"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Number:
    """
    A number as a text writes it.

    Attributes:
        text: as written. unit: whether a unit follows that no price has.
        readings: the possible meanings, two where a comma may separate two numbers; each holds values with the unit of
            their last digit.
    """

    text: str
    readings: tuple[tuple[tuple[Decimal, Decimal], ...], ...]
    unit: bool


@dataclass(frozen=True, slots=True)
class Grounding:
    """The number of figures in a text, and those that were not shown, as written."""

    count: int
    ungrounded: tuple[str, ...]


@dataclass(frozen=True)
class ShownNumbers:
    """The numbers of a text that was shown, parsed once for several texts."""

    material: str

    def holds(self, number: Number) -> bool:
        """Whether a number was shown in one of its readings."""
        return any(all(self._near(value, unit) for value, unit in reading) for reading in number.readings)

    @cached_property
    def _values(self) -> Sequence[Decimal]:
        numbers = [reading for number in _numbers(self.material) for reading in number.readings]
        return sorted({value for reading in numbers for value, _ in reading})

    def _near(self, value: Decimal, unit: Decimal) -> bool:
        index = bisect_left(self._values, value - unit / 2)
        return index < len(self._values) and self._values[index] <= value + unit / 2


def numbers_in(text: str) -> tuple[Number, ...]:
    """The counted numbers of a text, in order; of a long text those of its first 16,384 characters."""
    return tuple(number for number in _numbers(text[:MAX_TEXT]) if not is_small(number))


def ground(text: str, material: str) -> Grounding:
    """Check the numbers of a text against the shown material, a text too, such as JSON of results and candidates."""
    shown_numbers, numbers = ShownNumbers(material), numbers_in(text)
    return Grounding(len(numbers), tuple(n.text for n in numbers if not shown_numbers.holds(n)))


def with_ascii_digits(text: str) -> str:
    """Normalise a text (NFKC) and make all decimal digits ASCII, as `NUMBER` expects."""
    return "".join(
        str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c
        for c in unicodedata.normalize("NFKC", text)
    )


def _numbers(text: str) -> list[Number]:
    matches = _TOKEN.finditer(with_ascii_digits(text))
    return [number_of(m) for m in matches if m["digits"] is not None and not _is_span(m)]


def _is_span(match: re.Match[str]) -> bool:
    return match["time"] is not None and len(match["digits"]) <= 4 and not match["power"]


def number_of(match: re.Match[str]) -> Number:
    """Build a number from a match of `NUMBER`."""
    fraction, power = match["fraction"], match["power"]
    scale = Decimal(_TIMES[match["times"]]) if match["times"] else Decimal(1)
    *groups, last = str(match["digits"]).split(",")
    tail = f"{last}{fraction}{power}"
    readings: list[tuple[tuple[Decimal, Decimal], ...]] = [(_value("".join(groups) + tail, scale),)]
    if groups:
        readings.append((*(_value(part, Decimal(1)) for part in groups), _value(tail, scale)))
    unit = match["unit"] is not None or match["times"] in ("%", "‰")
    return Number(match[0].strip()[:_MAX_NUMBER], tuple(readings), unit)


def _value(text: str, scale: Decimal) -> tuple[Decimal, Decimal]:
    value = Decimal("0" + text if text.startswith(".") else text)
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return value * scale, Decimal((0, (1,), exponent)) * scale


def is_small(number: Number) -> bool:
    """Whether it is an integer up to 12, as counts are."""
    value, unit = number.readings[0][0]
    return unit == 1 and value <= _LARGEST_SMALL
