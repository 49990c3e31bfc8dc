"""
What can be written into a log: a fact, the entry it becomes, and the bodies of the facts that are our own words.

The venue's facts (agg_trade, snapshot, diff, instrument) travel as the venue's bytes; their mapper reads them.
"""

from typing import Literal

import msgspec

AGG_TRADE = "agg_trade"
SNAPSHOT = "snapshot"
DIFF = "diff"
TICK = "tick"
INSTRUMENT = "instrument"
GAP = "gap"
SESSION = "session"
QUARANTINE = "quarantine"
BOOK_AUDIT = "book_audit"
BOOK_RESET = "book_reset"
CLOCK_OFFSET = "clock_offset"
ANALYZER_SESSION = "analyzer_session"
ANALYSIS = "analysis"
RECOMMENDATION = "recommendation"
MODEL_CALL = "model_call"
MODEL_DECISION = "model_decision"


class Fact(msgspec.Struct, frozen=True, gc=False):
    """Something that happened, not yet numbered: its kind, when it reached us, its bytes."""

    kind: str
    recv_ns: int
    data: bytes


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A fact at its place in the log."""

    seq: int
    kind: str
    recv_ns: int
    data: bytes


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the bodies that are our own words; written as JSON in field order."""

    def fact(self, kind: str, recv_ns: int) -> Fact:
        """This body as a fact of that kind."""
        return Fact(kind, recv_ns, msgspec.json.encode(self))


TradesState = Literal["live", "catching_up", "down"]
DepthState = Literal["live", "stale", "down"]


class Tick(Body, frozen=True):
    """
    An interval has closed.

    Attributes:
        boundary_ns: the end of the interval, a multiple of interval_ns.
        snapshot_seq: the newest snapshot in the log, None before the first.
        last_agg_id: the largest agg id in the log, None before the first.
        last_trade_recv_ns, last_depth_recv_ns: last arrival on each stream, None before the first.
    """

    boundary_ns: int
    interval_ns: int
    trades: TradesState
    depth: DepthState
    snapshot_seq: int | None = None
    last_agg_id: int | None = None
    last_trade_recv_ns: int | None = None
    last_depth_recv_ns: int | None = None


class Gap(Body, frozen=True):
    """
    Something is missing, and what became of it.

    Attributes:
        what: which numbers `first` to `last` (both inclusive) are.
        cause: disconnect, first_start, log_lost, not_in_file, venue_skipped, …
        state: open while a filler still tries, then filled or given_up; the newest word on a range holds.
    """

    what: Literal["agg_ids", "seqs", "update_ids", "snapshot"]
    first: int
    last: int
    cause: str
    state: Literal["open", "filled", "given_up"]


VENUE_SKIPPED = "venue_skipped"
"""The cause of a gap of numbers that the venue never gave to a trade: nothing is missing."""


class Session(Body, frozen=True):
    """A recorder or analyzer came, went, connected or was cut off; settings hold no secrets."""

    event: Literal["started", "connected", "disconnected", "stopped"]
    detail: str = ""
    code: str = ""
    settings: str = ""


class Quarantine(Body, frozen=True):
    """Bytes that could not be read, where they came from and why; `agg_id` where they close a trade's id."""

    reason: str
    source: str
    data: bytes
    agg_id: int | None = None


CONFLICT = "its id stands for another of its kind already"
"""The reason of a quarantined fact that contradicts another, which is in the log."""

UNREAD_TRADE = "import, may be a trade"
"""The source of a quarantined message whose id nobody could read, and which may have been a trade."""


class BookAudit(Body, frozen=True):
    """
    How the book rebuilt from updates compared with the venue's own.

    Attributes:
        snapshot_update_id: the id of the venue's snapshot. update_id: at which both were compared.
        compared: levels that either has, within what both know. excluded: levels left out, as an update that both have
            taken names them.
        missing, ghost, wrong_size: levels only the venue has, only the rebuilt book has, or of other quantities.
        on_bids: how many of these are bids. by_distance: how many lie below 1 bp from the mid, below 2, 4, … 4,096 bp,
            and beyond. by_age: how many last changed less than 1 s ago, 2, 4, … 64 s, and before.
        examples: the worst, in words.
    """

    snapshot_update_id: int
    update_id: int
    compared: int
    excluded: int
    missing: int
    ghost: int
    wrong_size: int
    on_bids: int
    by_distance: list[int]
    by_age: list[int]
    examples: list[str]
    healthy: bool


class BookReset(Body, frozen=True):
    """
    The book is not to be used until the next snapshot, as updates first_missing to last_missing are.

    Attributes:
        cause: diff_missing, or snapshot_too_old where a snapshot needs updates that are no longer kept.
    """

    cause: str
    first_missing: int
    last_missing: int


class ClockOffset(Body, frozen=True):
    """
    How far the venue's clock is ahead of ours; nothing is corrected with it.

    Attributes:
        offset_ns: the median of the round trips, within the bounds that all of them set; negative where it is behind.
        uncertainty_ns: how far the truth may be from it. round_trips: how many were made.
    """

    offset_ns: int
    uncertainty_ns: int
    round_trips: int


class AnalyzerSession(Body, frozen=True):
    """Under which settings, parameters and code the analyses that follow were made."""

    event: Literal["started", "stopped"]
    code: str
    lock_digest: str
    parameters_digest: str
    settings: str


class Analysis(Body, frozen=True):
    """What was seen at a tick: `body` is canonical JSON, computed from market entries up to `market_seq`."""

    market_seq: int
    as_of_ns: int
    body: str


class Recommendation(Body, frozen=True):
    """What was advised at a tick; never published where `published_ns` is None."""

    market_seq: int
    as_of_ns: int
    analyst: str
    published_ns: int | None
    published_seq: int | None
    body: str


class ModelCall(Body, frozen=True):
    """
    One request to a model, and what came of it. Holds no key.

    Attributes:
        agent: static, dynamic, decision or compact. request, reply: JSON as sent and as received.
        attempt: 1 for the first time this request was sent. verdict: how it went; detail: in words.
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
    How asking a model about one tick ended: one for every tick it might have been asked about.

    Attributes:
        fallback: why the rules' answer stands instead, None where the model's does.
        cut: whether it ended from outside, by time, money or a fault: no record of replies could tell.
        anomalies: what had to be mended on the way. refusals: why decisions were refused.
        numbers, ungrounded: how many numbers the model's texts held, and how many of them it had not been shown.
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


OWN_BODIES: dict[str, type[Body]] = {
    TICK: Tick,
    GAP: Gap,
    SESSION: Session,
    QUARANTINE: Quarantine,
    BOOK_AUDIT: BookAudit,
    BOOK_RESET: BookReset,
    CLOCK_OFFSET: ClockOffset,
    ANALYZER_SESSION: AnalyzerSession,
    ANALYSIS: Analysis,
    RECOMMENDATION: Recommendation,
    MODEL_CALL: ModelCall,
    MODEL_DECISION: ModelDecision,
}
