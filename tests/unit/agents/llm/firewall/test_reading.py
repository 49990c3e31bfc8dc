"""What may stand around a decision's JSON: marks, thoughts and one fence; prose and a second object may not."""

import json

import pytest

from agents.llm.firewall.reading import Malformed, read, strip_wrapping

DECISION = json.dumps({"reference": "100", "stance": "stand_aside", "reason": "nothing holds", "zones": []})


def words_of(content: str) -> tuple[str, list[str]]:
    """The bare text, and the words of its mends."""
    words: list[str] = []
    return strip_wrapping(content, words.append), words


@pytest.mark.parametrize(
    "content",
    [
        "```json\n{}\n```", "```\n{}\n```", "```JSON\n{}\n```", "```json5\n{}\n```", "```jsonc\n{}\n```",
        "```javascript\n{}\n```", "```c++\n{}\n```", "```json\r\n{}\r\n```", "```json {} ```", "```json{}```",
        "```{}```", "~~~json\n{}\n~~~", "````json\n{}\n````", "``` json \n\n{}\n\n```\n",
        "\n```json\n{}\n```\n\n", "```json\n{}", "{}\n```", "```json\n\ufeff{}\n```",
    ],
)  # fmt: skip
def test_one_fence_is_taken_away(content: str) -> None:
    """Of any language, with any line ends, on one line, or with one end missing."""
    text, words = words_of(content.replace("{}", DECISION))
    assert text == DECISION
    assert words[0] == "code_fence"
    assert read(text, 4).reason == "nothing holds"


def test_marks_and_thoughts_go_first() -> None:
    """And a fence may stand behind them."""
    text, words = words_of(f"\ufeff<think>hm</think>\n```json\n{DECISION}\n```")
    assert (text, words) == (DECISION, ["byte_order_mark", "thoughts_in_text", "code_fence"])


def test_a_bare_answer_stays() -> None:
    """Blanks around it aside."""
    assert words_of(f" {DECISION}\n") == (DECISION, [])


@pytest.mark.parametrize(
    "content",
    [
        "Here it is:\n{}",
        "{}\nGood luck!",
        "Here it is:\n```json\n{}\n```",
        "```json\n{}\n```\nGood luck!",
        "```json\n{}\n```\n```json\n{}\n```",
        "{}\n{}",
        "{}{}",
        "[{}]",
        "<think>hm</think>\nHere it is:\n{}",
        "<think>hm</think>{}<think>hm</think>{}",
        "<answer>{}</answer>",
        "<think>first {}\n{}\nthen\n{}",
        "```json\nHere it is: {}\n```",
        "`{}`",
        '"{}"',
        "json\n{}",
        "<!-- {} -->{}",
    ],
)
def test_prose_and_second_objects_are_refused(content: str) -> None:
    """What is no mark, thought or fence around one object is no form of a decision."""
    with pytest.raises(Malformed):
        read(words_of(content.replace("{}", DECISION))[0], 4)
