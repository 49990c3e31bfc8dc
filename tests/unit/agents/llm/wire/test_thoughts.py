"""Thoughts in front of an answer: taken away in every form that endpoints send, and nothing else with them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.wire.thoughts import strip_thoughts

JSON = '{"stance": "stand_aside"}'


@pytest.mark.parametrize(
    "thoughts",
    [
        "<think>a</think>",
        "<think>\nline\n\nline\n</think>\n\n",
        "<THINK>a</Think>\n",
        "<thinking>a</thinking> ",
        "<thought>a</thought>",
        "<reasoning>a</reasoning>",
        '<think duration="3">a</think>',
        "<seed:think>a</seed:think>",
        "[THINK]a[/THINK]",
        "◁think▷a◁/think▷",
        "< think >a< / think >",
        "<think></think>",
        "<think/>",
        "a, b and c</think>\n",
        "</think>",
        "<think>a<think>b</think>c</think>\n",
        "<think>a <think> b</think>\n",
        "<think>a</think>\n<think>b</think>\n",
        "<think>a</think>b</think>\n",
        f"<think>shall I say {JSON}? No.</think>\n",
        "<think>a <b> c < d > e</think>",
        "\n \n<think>a</think>",
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>",
        "<|start|>assistant<|channel|>analysis<|message|>a\nb<|end|><|channel|>final <|constrain|>json<|message|>",
        "<|channel|>final<|message|>",
    ],
)
def test_the_answer_stands_behind_the_thoughts(thoughts: str) -> None:
    """JSON and plain words alike."""
    assert strip_thoughts(thoughts + JSON).strip() == JSON
    assert strip_thoughts(thoughts + "Bids hold.").strip() == "Bids hold."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bids hold.",
        JSON,
        f"{JSON}\n<think>a</think>",
        '{"reason": "<think>a</think>"}',
        '{"reason": "a</think>b"}',
        f"```json\n{JSON}\n```",
        "I think <b>bids</b> hold",
        "Bids hold. <think>or do they?</think>",
        "a < b, c > d",
        "<thinker>a</thinker>",
    ],
)
def test_what_begins_with_an_answer_stays(text: str) -> None:
    """Thoughts behind or inside an answer are for the firewall to refuse."""
    assert strip_thoughts(text) == text


def test_the_end_of_a_channel_is_no_part_of_the_answer() -> None:
    """Nor is it taken from an answer that has no channels."""
    assert strip_thoughts(f"<|channel|>final<|message|>{JSON}<|return|>\n") == JSON
    assert strip_thoughts(f"{JSON}<|return|>") == f"{JSON}<|return|>"
    assert strip_thoughts("<|channel|>analysis<|message|>a<|end|>") == "<|channel|>analysis<|message|>a<|end|>"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"<think>a\nb\n{JSON}", JSON),
        (f"<think>a\n  {JSON}\n", f"  {JSON}\n"),
        (f"<think>a\n```json\n{JSON}\n```", f"```json\n{JSON}\n```"),
        ("<think>Bids hold.", "Bids hold."),
        (f"<think>a\n{JSON}\nno, rather\n{JSON}", f"{JSON}\nno, rather\n{JSON}"),
    ],
)
def test_a_block_that_is_never_closed(text: str, answer: str) -> None:
    """The answer is what begins with a line of JSON or a fence, up to the end; two objects stay two; else all of it."""
    assert strip_thoughts(text) == answer
    assert strip_thoughts(text, was_cut=True) == ""


def test_thoughts_alone_are_no_answer() -> None:
    """Nothing follows: nothing was said; a closing tag behind an answer is not the end of its thoughts."""
    assert strip_thoughts("<think>a</think>") == ""
    assert strip_thoughts("a</think>\n").strip() == ""
    assert strip_thoughts("<think>a</think>Bids hold.</think>") == "Bids hold.</think>"


@given(st.text(st.sampled_from('<>/thinkTHINK[]{}`~ \n"a'), max_size=60))
def test_what_is_left_is_the_end_of_the_text(text: str) -> None:
    """Whatever comes, nothing is added and nothing is moved."""
    assert strip_thoughts(text) in text


def test_a_hostile_text_takes_no_time() -> None:
    """A megabyte of tags, of blanks, or of half a tag: seconds of a core, not minutes."""
    for text in ("<think>" * 150_000, "</think>" * 130_000, "a</think>" * 110_000, "<" * 1_000_000,
                 "<think" + " " * 1_000_000, "<think>a</think>\n" * 60_000, "<think> " * 130_000,
                 "< think " * 130_000, "<|channel|>" * 90_000, "<|channel|>final" * 60_000, "<|end|> " * 120_000,
                 "<|channel|>final<|message|>" + " <|end|>" * 120_000,  "<think>" + "\n " * 500_000):  # fmt: skip
        start_s = time.thread_time()
        strip_thoughts(text)
        assert time.thread_time() - start_s < 5
