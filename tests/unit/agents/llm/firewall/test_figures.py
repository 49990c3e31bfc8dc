"""Every figure of a reason is weighed as a reader would read it, however its digits are parted."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.firewall.figures import ShownFigures
from agents.llm.firewall.grounding import Grounding

IDS = ["Wb0", "P60.poc", "P1440.hvn12", "F.ofi5"]


def a_material(reference: str, *figures: Any) -> ShownFigures:
    """What was shown of a market at a reference price, with some ids."""
    return ShownFigures(
        json.dumps({"reference": reference, "ids": IDS, "as_of": "2026-03-02T14:05:00Z", "seen": figures})
    )


PARTS = a_material("65000", "64.9", "64.1", "950.4", "50.2", "49.6", 97, "0.5")
"""A market where the halves of many an invented price happen to have been shown."""


@pytest.mark.parametrize(
    ("text", "strange"),
    [
        ("stop at 64 950", "64 950"),
        ("stop at 64'950", "64'950"),
        ("stop at 64_950", "64_950"),
        ("stop at 64\u2009950", "64 950"),
        ("stop at 64·950", "64·950"),
        ("stop at 64-950", "64-950"),
        ("stop at 64\u2060950", "64950"),
        ("stop at 6 4 9 5 0", "6 4 9 5 0"),
        ("stop at 6/4/9/5/0", "6/4/9/5/0"),
        ("stop at 64 . 950", "64 . 950"),
        ("stop at 64,95", "64,95"),
        ("stop 64950 min", "64950 min"),
        ("stop 64950 ms", "64950 ms"),
        ("holds 97 64", "97 64"),
        ("6495e1", "6495e1"),
        ("1e5 is no rounding of the reference", "1e5"),
        ("6万 neither", "6万"),
    ],
)
def test_parted_digits_are_one_number(text: str, strange: str) -> None:
    """Though each part of it was shown."""
    assert PARTS.ground(text) == Grounding(1, (strange,))


@pytest.mark.parametrize(
    ("text", "strange"),
    [
        ("stop at P3512", "3512"),
        ("stop at A351", "351"),
        ("stop 3512 s", "3512 s"),
        ("stop 3512 days", "3512 days"),
        ("stop 3512d", "3512d"),
        ("4321 min", "4321 min"),
        ("since 2035-10-12", "2035-10-12"),
        ("0xFDB6", "0xFDB6"),
        ("97% win rate", "97%"),
        ("47x", "47x"),
        ("13 bp", "13 bp"),
    ],
)
def test_no_unit_and_no_letter_hides_a_figure(text: str, strange: str) -> None:
    """At 3500: ids nobody gave, spans that are prices or longer than three days, dates, shares and multiples."""
    assert a_material("3500").ground(text) == Grounding(1, (strange,))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Wb0 and P60.poc, hvn12 of P1440, ofi5", 0),
        ("3 tests, 5 of 12, 3x, 5 bp, 2:1, 2-3", 0),
        ("at 14:05 of 2026-03-02", 0),
        ("60 min, 1440 minutes, 72小时, 2 days, 1h30min, 15m, 950 ms", 0),
        ("strength 0.71, share 35%, 0.62", 3),
        ("1.0132 held 3 times", 1),
        ("1.0132-1.0178, 1.0132~1.0178", 4),
        ("1.0132 25 bp", 2),
        ("1.0132，1.0178", 2),
    ],
)
def test_what_was_shown_is_grounded(text: str, count: int) -> None:
    """At a reference of 1: shares and strengths that were shown; what is no figure is not counted."""
    material = a_material("1.0", "1.0132", "1.0178", "0.7132", "0.35", "0.62", "25")
    assert material.ground(text) == Grounding(count, ())


def test_sixty_minutes_are_no_price_anywhere() -> None:
    """How long a decision holds may be said at 60 too; another span close to the price may not."""
    material = a_material("60")
    assert material.ground("valid 60 min").ungrounded == ()
    assert material.ground("valid 61 min").ungrounded == ("61 min",)


@given(
    st.lists(st.integers(0, 999), min_size=2, max_size=5),
    st.sampled_from([" ", "'", "’", "_", "·", "\u2009", "\u00a0", " ' ", "|", "\u200b"]),
)
def test_no_mark_between_digits_hides_an_invented_price(parts: list[int], mark: str) -> None:
    """Whatever parts of it were shown: the number they make together was not, and is the one that counts."""
    texts = ["7777", *map(str, parts)]
    text = mark.join(texts)
    assert a_material("65000", *texts).ground(f"stop at {text}").ungrounded != ()
    assert a_material("65000", "".join(texts)).ground(f"stop at {text}") == Grounding(1, ())


@given(st.text(max_size=300), st.text(max_size=200))
def test_any_text_is_weighed(text: str, material: str) -> None:
    """Nothing raises."""
    count = ShownFigures(material).ground(text)
    assert len(count.ungrounded) <= count.count
