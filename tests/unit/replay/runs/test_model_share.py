"""A model's part: counted, told in a line, and refused where there is none."""

import unicodedata

import pytest

from replay.errors import NothingDecided
from replay.runs.model_share import ModelShare


def test_reasons_are_counted_by_their_kind() -> None:
    """What stands before the first colon; the most frequent first, then by name."""
    share = ModelShare.from_fallbacks(
        [None, "no_choice: no message in it", "no_choice: no message in it", "timeout: no reply before the deadline",
         "the decision was refused twice: zones[0] (60000.1)", "the decision was refused twice: zones[1] (7)", "late"]
    )  # fmt: skip
    assert share.as_json() == {
        "asked": 7,
        "decided": 1,
        "fallback": {"no_choice": 2, "the decision was refused twice": 2, "late": 1, "timeout": 1},
    }
    assert list(share.fallback) == ["no_choice", "the decision was refused twice", "late", "timeout"]
    assert share.sentence == (
        "model decided 1 of 7; at the others the rules stood in: "
        "no_choice 2, the decision was refused twice 2, late 1, timeout 1"
    )


def test_a_model_that_decided_all_needs_no_reasons() -> None:
    """And thousands are told apart."""
    share = ModelShare.from_fallbacks([None] * 1_440)
    assert share.sentence == "model decided 1,440 of 1,440"
    assert share.as_json() == {"asked": 1440, "decided": 1440, "fallback": {}}
    share.expect_any("", "")


def test_many_kinds_of_reasons_are_summed() -> None:
    """The line stays a line."""
    share = ModelShare.from_fallbacks(f"reason {n}" for n in range(100))
    assert share.fallback["other reasons"] == 92
    assert sum(share.fallback.values()) == share.asked == 100
    assert len(share.sentence) < 300


@pytest.mark.parametrize("fallbacks", [["no_choice: no message in it"] * 3, []])
def test_a_model_that_decided_nothing_is_refused(fallbacks: list[str]) -> None:
    """With how much it decided, why, what its server said, and what cannot be had."""
    with pytest.raises(NothingDecided) as caught:
        ModelShare.from_fallbacks(fallbacks).expect_any("HTTP 200: \x1b[31mno\u202e", "Nothing is the model's: mend it")
    line = str(caught.value)
    assert line.startswith(f"model decided 0 of {len(fallbacks)}")
    assert "; its server said: HTTP 200: \\x1b[31mno\\u202e. Nothing is the model's" in line
    assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf")]


def test_hostile_reasons_are_one_visible_line() -> None:
    """They may come from a log that somebody else wrote."""
    share = ModelShare.from_fallbacks(["\x1b[2J\n<script>: x", "a" * 500])
    assert all(len(reason) <= 60 and reason.isprintable() for reason in share.fallback)
