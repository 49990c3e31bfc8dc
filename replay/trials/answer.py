"""
What a model answered about a recorded minute, and which way of asking it answered.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.recorded import Cassette, RecordedMinute
from agents.llm.wire.api import Usage
from agents.llm.wire.shapes import FIXES
from market.printable import printable
from replay.runs.model_share import ModelShare
from runtime.analysts import MODEL

_LONGEST_COMPLAINT = 300


@dataclass(frozen=True, slots=True)
class Arm:
    """
    One way of asking about one market: what makes answers comparable with each other.

    Attributes:
        log_id: of the market's log. windows: of the projections. parameters: their digest.
        endpoint: where the model is asked. change: how the market was changed before it was looked at.
    """

    market: str
    log_id: str
    asking: ModelOptions
    variant: str
    language: str
    prompt_digest: str
    parameters: str
    windows: dict[str, int]
    endpoint: str
    change: str = ""

    def digest(self) -> str:
        """The name of the file; what the variant is called has no part in it, its text has."""
        fields = msgspec.to_builtins(self)
        del fields["variant"]
        return blake2b(msgspec.json.encode(fields, order="deterministic"), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """One request of an answer, by its digest, and what came back; see `Attempt` and `ModelCall`."""

    agent: str
    request: str
    attempt: int
    verdict: str
    sent_ns: int
    took_ms: int
    cost_usd_e12: int
    usage: Usage
    charged: Usage
    detail: str = ""
    reply: str | None = None
    model: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One conversation about one tick.

    Attributes:
        repeat: which time this tick was asked about, from 0. code: digest of the code that asked.
        whole: whether it ended; of one that was broken off, or came too late, only what it cost counts.
        fallback: why the rules answer in its place, None where the model's decision stands. cut: see `Outcome`.
    """

    seq: int
    as_of_ns: int
    repeat: int
    prompt_digest: str
    code: str
    whole: bool
    fallback: str | None
    took_ms: int
    calls: tuple[Call, ...] = ()
    model: str | None = None
    anomalies: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    numbers: int = 0
    ungrounded: int = 0
    cut: bool = False


@dataclass(slots=True)
class Totals:
    """What some answers amount to."""

    answers: int = 0
    fallbacks: int = 0
    calls: int = 0
    numbers: int = 0
    ungrounded: int = 0
    cost_usd_e12: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    models: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def share(self) -> ModelShare:
        """How many of them are the model's own, and why the others are not."""
        return ModelShare(self.answers, self.answers - self.fallbacks, ModelShare.from_fallbacks(self.reasons).fallback)

    def add(self, answer: Answer) -> None:
        """Count one more."""
        self.calls += len(answer.calls)
        for call in answer.calls:
            self.cost_usd_e12 += call.cost_usd_e12
            self.prompt_tokens += call.charged.prompt
            self.cached_tokens += call.charged.cache_hit
            self.completion_tokens += call.charged.completion
        if answer.whole:
            self.answers += 1
            self.fallbacks += answer.fallback is not None
            self.reasons += [] if answer.fallback is None else [answer.fallback]
            self.numbers += answer.numbers
            self.ungrounded += answer.ungrounded
            if answer.model is not None and answer.model not in self.models:
                self.models.append(answer.model)


def to_recorded_minute(answer: Answer) -> RecordedMinute:
    """An answer as a recorded minute."""
    replies = {call.request: call.reply for call in answer.calls if call.verdict == "ok" and call.reply is not None}
    mends = FIXES.intersection(answer.anomalies)
    return RecordedMinute(replies, True, MODEL, answer.prompt_digest, answer.fallback, answer.cut, mends)


def most_common_complaint(details: Iterable[str]) -> str:
    """What most failed calls were told, as one line; blank where none failed."""
    found = Counter(detail for detail in details if detail).most_common(1)
    return printable(found[0][0], _LONGEST_COMPLAINT) if found else ""


def cassette_digest(tape: Cassette, seqs: Iterable[int]) -> str:
    """What tells the recorded answers about some ticks from others."""
    digest = blake2b(digest_size=8)
    for seq in seqs:
        if seq in tape:
            minute = tape[seq]
            told = (
                seq,
                minute.decided,
                minute.prompt_digest,
                minute.fallback,
                minute.cut,
                sorted(minute.replies.items()),
            )
            digest.update(repr(told).encode())
    return digest.hexdigest()
