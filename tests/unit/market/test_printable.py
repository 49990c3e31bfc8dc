"""Foreign text as one line that no terminal obeys."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.printable import printable

ANY_TEXT = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("deepseek-flash", "deepseek-flash"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\x7fb\x00", r"a\x7fb\x00"),
        ("one\r\ntwo\tthree", r"one\r\ntwo\tthree"),
        ("one\u2028two\u2029three\x85four", r"one\u2028two\u2029three\x85four"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\u2066a\u2069\u200b\u200d\ufeff\u00ad", r"\u2066a\u2069\u200b\u200d\ufeff\xad"),
        ("\ud800", r"\ud800"),
        ("\ue000\U000f0000", r"\ue000\U000f0000"),
        ("\U000e0041\U000e0100", r"\U000e0041\U000e0100"),
        ("a\u3164b\u2800", r"a\u3164b\u2800"),
        ("\u0378", r"\u0378"),
        (
            "限流 — レート制限 · ограничение · حد · é e\u0301 ☺\ufe0f",
            "限流 — レート制限 · ограничение · حد · é e\u0301 ☺\ufe0f",
        ),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
        (r"already \x1b", r"already \x1b"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, line: str) -> None:
    """Python's escapes stand for what a reader could not see; letters of all languages stay."""
    assert printable(text) == line


@pytest.mark.parametrize(
    ("text", "most", "line"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("ab\x1b", 6, r"ab\x1b"),
        ("ab\x1b", 5, "ab…"),
        ("\x1b\x1b", 7, r"\x1b…"),
        ("\x1b", 1, "…"),
        ("限流限流", 2, "限…"),
    ],
)
def test_a_long_text_is_cut_between_characters(text: str, most: int, line: str) -> None:
    """The bound holds with the sign of the cut in it, and no escape is torn."""
    assert printable(text, most) == line


@given(ANY_TEXT)
def test_any_text_is_one_visible_line(text: str) -> None:
    """Nothing that a terminal obeys or that hides is left, and a second call changes nothing."""
    line = printable(text)
    assert not {unicodedata.category(c) for c in line} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(line.splitlines()) <= 1
    assert printable(line) == line
    line.encode()


@given(ANY_TEXT, st.integers(1, 40))
def test_any_text_is_cut_to_the_bound(text: str, most: int) -> None:
    """A cut text begins as the whole one does."""
    full, cut = printable(text), printable(text, most)
    assert len(cut) <= most
    assert cut == full if len(full) <= most else cut.endswith("…") and full.startswith(cut[:-1])


def test_every_character_that_python_calls_printable_stays() -> None:
    """But for the blank ones, what `str.isprintable` lets through is what a reader may see."""
    escapes = {c for c in map(chr, range(sys.maxunicode + 1)) if c.isprintable() and printable(c) != c}
    assert len(escapes) == 8 + 15 + 240
