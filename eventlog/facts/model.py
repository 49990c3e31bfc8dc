"""
Requests to a model, its replies, and the outcome of each tick.
"""

from eventlog.facts.entry import Body
from eventlog.facts.kind import DECISIONS, Kind

MODEL_CALL = "model_call"
MODEL_DECISION = "model_decision"


class ModelCall(Body, frozen=True):
    """
    One request to a model and its outcome. Holds no API key.

    Attributes:
        agent: static, dynamic, decision or compact. request, reply: JSON as sent and as received.
        attempt: 1 for the first time this request was sent. verdict: the outcome, detail: in words.
        status: of HTTP. model, fingerprint: what the reply says answered it.
        cost_usd_e12: what it cost, 1e-12 USD.
    """

    market_seq: int
    as_of_ns: int
    analyst: str
    agent: str
    prompt_digest: str
    request_digest: str
    request: str
    attempt: int
    sent_ns: int
    took_ms: int
    verdict: str
    detail: str
    status: int | None
    reply: str | None
    model: str | None
    fingerprint: str | None
    prompt_tokens: int
    cache_hit_tokens: int
    cache_miss_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost_usd_e12: int


class ModelDecision(Body, frozen=True):
    """
    The outcome of one tick: one fact for every tick that a model might have been asked about.

    Attributes:
        fallback: why the rules' answer stands instead, None where the model's does.
        cut: whether it was aborted from outside, by time, money or a fault, which no record of replies shows.
        anomalies: what had to be corrected in the replies. refusals: why decisions were refused.
        numbers, ungrounded: how many numbers the model's texts held, and how many of them its input did not contain.
    """

    market_seq: int
    as_of_ns: int
    analyst: str
    model: str | None
    prompt_digest: str
    fallback: str | None
    cut: bool
    anomalies: list[str]
    refusals: list[str]
    numbers: int
    ungrounded: int


MODEL_KINDS = (
    Kind(MODEL_CALL, ModelCall, DECISIONS),
    Kind(MODEL_DECISION, ModelDecision, DECISIONS),
)
