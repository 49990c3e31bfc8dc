"""
Storing the answers of a model that is asked about many ticks, and deciding when refusals end the asking.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from agents.llm.client.errors import NoReply
from replay.trials.answer import Answer
from replay.trials.answers import Answers

MAX_REFUSED = 5
"""Consecutive conversations with refused requests: from that number on, the cause is not the requests."""


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
    Stores answers and decides when to stop: a request that is refused while others are answered is that minute's
    answer, and a server that refuses them all ends the asking.

    Attributes:
        result: how asking ended, so far.
    """

    def __init__(self, answers: Answers, on_progress: Callable[[int], None]) -> None:
        self.result = AskingResult()
        self._answers = answers
        self._on_progress = on_progress
        self._pending: list[Answer] = []  # refused, and nothing was answered since
        self._refusal: NoReply | None = None
        self._works = False

    def add(self, answer: Answer, refusal: NoReply | None) -> None:
        """Store an answer, or hold it back where its request was refused, until another is answered."""
        if refusal is not None:
            self._pending.append(answer)
            self._refusal = refusal
            if len(self._pending) >= MAX_REFUSED:
                self.stop(refusal)
            return
        if not answer.cut:
            self._works = True
            self._release(is_complete=True)
        self._store(answer)

    def stop(self, fault: NoReply) -> None:
        """Stop asking; the first fault is the reason."""
        if self.result.stopped is None:
            self.result = AskingResult(fault.full_text, fault.lasts)

    def end(self) -> None:
        """Store the answers still held back; as incomplete, for their cost, where nothing was ever answered."""
        if self._pending and self._refusal is not None and not self._others_are_answered():
            self.stop(self._refusal)
        self._release(is_complete=self.result.stopped is None)

    def _others_are_answered(self) -> bool:
        self._works = self._works or any(a.whole and not a.cut for a in self._answers.recording.all_answers())
        return self._works

    def _release(self, is_complete: bool) -> None:
        for answer in self._pending:
            self._store(replace(answer, whole=is_complete))
        self._pending.clear()

    def _store(self, answer: Answer) -> None:
        self._answers.add(answer)
        if answer.whole:
            self._on_progress(1)
