"""
A model's answer about a recorded minute, and the arm of the experiment it belongs to.
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

_MAX_COMPLAINT = 300  # characters


@dataclass(frozen=True, slots=True)
class Arm:
    """
    One way of asking about one market: answers of the same arm are comparable with each other.

    Attributes:
        log_id: of the market's log. asking: the model and its options. variant: the name of its prompts.
        windows: of the projections. parameters: digest of the thresholds.
        endpoint: where the model is asked. change: how the market was changed before the analysis, empty for not.
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
        """The name of the file of answers; it depends on the text of the prompts, not on the variant's name."""
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
        whole: whether it is complete; of an aborted one, or one that came too late, only the cost counts.
        fallback: why the rules answer in its place, None where the model's decision stands. cut: see `Outcome`.
        numbers, ungrounded: numbers in its text, and those of them that it was not shown.
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
    """
    Sums over some answers.

    Attributes:
        calls, cost_usd_e12, tokens: of all answers; the other fields count complete ones only.
        models: names without repetition. reasons: of all fallbacks.
    """

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
        """The share of answers that are the model's own, and why the others are not."""
        return ModelShare(self.answers, self.answers - self.fallbacks, ModelShare.from_fallbacks(self.reasons).fallback)

    def add(self, answer: Answer) -> None:
        """Add one answer."""
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
    """Turn an answer into a recorded minute."""
    replies = {call.request: call.reply for call in answer.calls if call.verdict == "ok" and call.reply is not None}
    mends = FIXES.intersection(answer.anomalies)
    return RecordedMinute(replies, True, MODEL, answer.prompt_digest, answer.fallback, answer.cut, mends)


def most_common_complaint(details: Iterable[str]) -> str:
    """The most frequent of the details of failed calls, as one line; blank where none has any."""
    most_common = Counter(detail for detail in details if detail).most_common(1)
    return printable(most_common[0][0], _MAX_COMPLAINT) if most_common else ""


def cassette_digest(cassette: Cassette, seqs: Iterable[int]) -> str:
    """A digest of the recorded answers about some ticks; ticks without an answer have no part in it."""
    digest = blake2b(digest_size=8)
    for seq in seqs:
        if seq in cassette:
            minute = cassette[seq]
            content = (
                seq,
                minute.decided,
                minute.prompt_digest,
                minute.fallback,
                minute.cut,
                sorted(minute.replies.items()),
            )
            digest.update(repr(content).encode())
    return digest.hexdigest()
