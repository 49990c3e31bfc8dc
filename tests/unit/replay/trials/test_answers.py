"""The file of answers: nothing paid for is lost, nothing is asked twice, nobody writes beside another."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.wire.api import Usage
from replay.errors import BadAnswers
from replay.trials.answer import Answer, Arm, Call, Totals, cassette_digest
from replay.trials.answers import Answers, read_cassette, read_recording

SIDE = Arm("binance:TESTUSDT", "log", ModelOptions("m"), "default", "en", "p", "q", {"slots": 20}, "http://localhost")


def a_call(**changed: Any) -> Call:
    """A request that was answered."""
    fields: dict[str, Any] = {
        "agent": "static", "request": "r1", "attempt": 1, "verdict": "ok", "sent_ns": 5, "took_ms": 9,
        "cost_usd_e12": 40, "usage": Usage(10, 4, 6, 3), "charged": Usage(10, 4, 6, 3), "reply": "{}",
    }  # fmt: skip
    return Call(**fields | changed)


def an_answer(seq: int = 10, repeat: int = 0, **changed: Any) -> Answer:
    """A whole answer whose decision stands."""
    fields: dict[str, Any] = {
        "as_of_ns": 60, "prompt_digest": "p", "code": "c", "whole": True, "fallback": None, "took_ms": 1500,
        "calls": (a_call(),), "model": "m-1", "numbers": 8, "ungrounded": 2,
    }  # fmt: skip
    return Answer(seq, repeat=repeat, **fields | changed)


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    """Answers are read back as they were, by tick and repeat, while open and after."""
    one, two = an_answer(10), an_answer(20, 1, fallback="blank: nothing")
    with Answers(tmp_path, SIDE) as answers:
        answers.add(one)
        answers.add(two)
        assert answers.recording.answer(10, 0) == one
        path = answers.path
    assert path.name == f"{SIDE.digest()}.jsonl"
    assert list(read_recording(path).answers([10, 20, 30], [0, 1])) == [one, two]


def test_only_the_missing_is_named(tmp_path: Path) -> None:
    """A tick is missing as often as it was not answered; what was broken off is missing, too."""
    with Answers(tmp_path, SIDE) as answers:
        answers.add(an_answer(10, 0))
        answers.add(an_answer(10, 2))
        answers.add(an_answer(20, 0, whole=False))
        assert answers.missing_repeats([10, 20, 30], 3) == {10: [1], 20: [0, 1, 2], 30: [0, 1, 2]}
        answers.add(an_answer(10, 1))
        assert answers.missing_repeats([10], 3) == {}


def test_a_tape_holds_what_the_recorded_analyst_needs(tmp_path: Path) -> None:
    """Replies by the digest of their request, only those of attempts that came to something, and how it ended."""
    calls = (a_call(verdict="rate_limited", reply=None), a_call(request="r2", reply='{"a":1}'))
    with Answers(tmp_path, SIDE) as answers:
        answers.add(an_answer(10, 0, calls=calls))
        answers.add(an_answer(10, 1, fallback="timeout"))
        path = answers.path
    minute = read_cassette(path, 0)[10]
    assert (minute.replies, minute.decided, minute.prompt_digest, minute.fallback) == (
        {"r2": '{"a":1}'},
        True,
        "p",
        None,
    )
    assert read_cassette(path, 1)[10].fallback == "timeout"
    assert list(read_cassette(path, 2)) == []


def test_a_later_answer_stands_for_an_earlier(tmp_path: Path) -> None:
    """Asked again, the newest answer counts; both were paid for."""
    with Answers(tmp_path, SIDE) as answers:
        answers.add(an_answer(10, took_ms=1))
        answers.add(an_answer(10, took_ms=2))
        path = answers.path
    recording = read_recording(path)
    assert recording.answer(10, 0).took_ms == 2
    assert sorted(a.took_ms for a in recording.all_answers()) == [1, 2]


def test_a_torn_line_is_asked_again(tmp_path: Path) -> None:
    """A line that a dying process left unfinished is dropped with a warning; the file goes on whole."""
    with Answers(tmp_path, SIDE) as answers:
        answers.add(an_answer(10))
        answers.add(an_answer(20))
        path = answers.path
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.warns(UserWarning, match="line 3 is incomplete"):
        answers = Answers(tmp_path, SIDE)
    with answers:
        assert answers.missing_repeats([10, 20], 1) == {20: [0]}
        answers.add(an_answer(20, took_ms=3))
    assert [a.took_ms for a in read_recording(path).answers([10, 20], [0])] == [1500, 3]


def test_one_process_writes(tmp_path: Path) -> None:
    """A second writer is refused in one line; when the first is done it may write."""
    with Answers(tmp_path, SIDE), pytest.raises(BadAnswers, match="another process is asking"):
        Answers(tmp_path, SIDE)
    with Answers(tmp_path, SIDE) as answers:
        answers.add(an_answer())
        assert answers.missing_repeats([10], 1) == {}


@pytest.mark.parametrize("content", ["{}\n", '{"digest":"0"}\n', "x\n", "HEAD{}\n", "HEADx\n"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    """A first line that names another side, or a line that is no answer: one line that says which."""
    path = tmp_path / f"{SIDE.digest()}.jsonl"
    path.write_text(content.replace("HEAD", f'{{"digest":"{SIDE.digest()}"}}\n'))
    with pytest.raises(BadAnswers, match=r"line 1 does not begin|line 2 is no answer"):
        Answers(tmp_path, SIDE)


def test_no_file_is_said_so(tmp_path: Path) -> None:
    """Reading what was never asked names the way to ask."""
    with pytest.raises(BadAnswers, match="ask for them with --analyst deepseek"):
        read_cassette(tmp_path / "none.jsonl", 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"market": "binance:X"}, {"log_id": "other"}, {"asking": ModelOptions("m", thinking=True)},
        {"prompt_digest": "r"}, {"parameters": "s"}, {"windows": {"slots": 21}}, {"endpoint": "http://other"},
        {"change": "1"}, {"language": "zh"},
    ],
)  # fmt: skip
def test_a_side_is_named_by_all_that_is_asked(changed: dict[str, Any]) -> None:
    """Whatever changes a question, or where it is asked, makes another side."""
    assert replace(SIDE, **changed).digest() != SIDE.digest()


def test_what_a_variant_is_called_does_not_matter() -> None:
    """The same prompts under another name are the same side."""
    assert replace(SIDE, variant="other").digest() == SIDE.digest()


def test_totals() -> None:
    """Answers, fallbacks, tokens, money and numbers add up; each model is named once."""
    totals = Totals()
    totals.add(an_answer())
    totals.add(an_answer(fallback="blank", calls=(a_call(), a_call())))
    assert (totals.answers, totals.fallbacks, totals.calls) == (2, 1, 3)
    assert (totals.cost_usd_e12, totals.prompt_tokens, totals.cached_tokens, totals.completion_tokens) == (
        120,
        30,
        12,
        9,
    )
    assert (totals.numbers, totals.ungrounded, totals.models) == (16, 4, ["m-1"])


def test_a_tape_is_named_by_its_content(tmp_path: Path) -> None:
    """Another reply, another ending or another tick gives another digest; ticks that are not asked for do not count."""
    with Answers(tmp_path, SIDE) as answers:
        answers.add(an_answer(10))
        answers.add(an_answer(20))
        answers.add(an_answer(10, 1, fallback="blank"))
        answers.add(an_answer(10, 2, calls=(a_call(reply='{"b":2}'),)))
        tapes = [answers.recording.cassette(n) for n in range(3)]
    digests = {cassette_digest(tape, [10]) for tape in tapes} | {cassette_digest(tapes[0], [10, 20])}
    assert len(digests) == 4
    assert cassette_digest(tapes[0], [10, 99]) == cassette_digest(tapes[0], [10])
