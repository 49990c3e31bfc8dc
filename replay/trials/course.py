"""
What asking a model about many ticks comes to: answers that are stored, refusals that are waited out, and an end.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from agents.llm.client.errors import NoReply
from replay.trials.answer import Answer
from replay.trials.answers import Answers

MAX_REFUSED = 5
"""Conversations whose requests are refused one after the other: beyond, it is not about the requests."""


@dataclass(slots=True)
class AskingResult:
    """
    How asking ended.

    Attributes:
        stopped: why it stopped before the end, for the operator; None where it did not.
        lasts: whether the same requests would be refused again.
    """

    stopped: str | None = None
    lasts: bool = False


class Course:
    """
    What asking comes to: a request that is refused where others are answered is that minute's answer, and a server that
    refuses them all ends the asking.
    """

    def __init__(self, answers: Answers, on_progress: Callable[[int], None]) -> None:
        self.asked = AskingResult()
        self._answers = answers
        self._on_progress = on_progress
        self._held: list[Answer] = []  # refused, and nothing was answered since
        self._refusal: NoReply | None = None
        self._works = False

    def add(self, answer: Answer, refusal: NoReply | None) -> None:
        """Store an answer, or hold it back where its request was refused, until another is answered."""
        if refusal is not None:
            self._held.append(answer)
            self._refusal = refusal
            if len(self._held) >= MAX_REFUSED:
                self.stop(refusal)
            return
        if not answer.cut:
            self._works = True
            self._release(whole=True)
        self._store(answer)

    def stop(self, fault: NoReply) -> None:
        """Ask no more; the first fault counts."""
        if self.asked.stopped is None:
            self.asked = AskingResult(fault.in_full, fault.lasts)

    def end(self) -> None:
        """What is still held back: the minutes' answers, or where nothing was ever answered no more than their cost."""
        if self._held and self._refusal is not None and not self._others_are_answered():
            self.stop(self._refusal)
        self._release(whole=self.asked.stopped is None)

    def _others_are_answered(self) -> bool:
        self._works = self._works or any(a.whole and not a.cut for a in self._answers.recording.all_answers())
        return self._works

    def _release(self, whole: bool) -> None:
        for answer in self._held:
            self._store(replace(answer, whole=whole))
        self._held.clear()

    def _store(self, answer: Answer) -> None:
        self._answers.add(answer)
        if answer.whole:
            self._on_progress(1)
