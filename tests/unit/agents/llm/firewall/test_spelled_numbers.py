"""Numbers spelled in words are found in both languages; words that only look like them are not."""

import pytest

from agents.llm.firewall.spelled_numbers import find_spelled_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("stop at six four nine five zero", ("six four nine five zero",)),
        ("ninety-nine point seven one", ("ninety-nine point seven one",)),
        ("nine point five", ("nine point five",)),
        ("six, four, nine", ("six, four, nine",)),
        ("level 64.9 thousand", ("64.9 thousand",)),
        ("at 99 point 71", ("99 point 7",)),
        ("六四点九五千", ("六四点九五千",)),
        ("支撑在九十九点七一附近", ("九十九点七一",)),
        ("八万三千", ("八万三千",)),
        ("九 九 点 七", ("九 九 点 七",)),
        ("九十九次，一百", ("九十九", "一百")),
    ],
)
def test_spelled_numbers_are_found(text: str, numbers: tuple[str, ...]) -> None:
    """Two or more number words in a row, with or without a point."""
    assert find_spelled_numbers(text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "one point of control", "two one-sided hours", "a few thousand coins", "often tested, one or two times",
        "二十四小时", "三十分钟", "十二次", "一点支撑", "万一失守", "三点理由", "数百万", "两三次测试", "基点", "",
    ],
)  # fmt: skip
def test_other_words_are_not(text: str) -> None:
    """Single words, spans of time, whole numbers up to twelve and vague amounts."""
    assert find_spelled_numbers(text) == ()
