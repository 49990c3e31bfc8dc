"""
What the recorder writes about its recording: ticks, gaps, sessions, quarantined bytes, checks of the book.
"""

from typing import Literal

from eventlog.facts.entry import Body
from eventlog.facts.kind import EVENTS, Kind

TICK = "tick"
GAP = "gap"
SESSION = "session"
QUARANTINE = "quarantine"
BOOK_AUDIT = "book_audit"
BOOK_RESET = "book_reset"
CLOCK_OFFSET = "clock_offset"

TradesState = Literal["live", "catching_up", "down"]
DepthState = Literal["live", "stale", "down"]

VENUE_SKIPPED = "venue_skipped"
"""The cause of a gap of numbers that the venue never gave to a trade: nothing is missing."""

CONFLICT = "its id stands for another of its kind already"
"""The reason of a quarantined fact that contradicts another, which is in the log."""

UNREAD_TRADE = "import, may be a trade"
"""The source of a quarantined message whose id could not be read, and which may have been a trade."""


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
    A range of numbers that is missing, and its state.

    Attributes:
        what: which numbers `first` to `last` (both inclusive) are.
        cause: disconnect, first_start, log_lost, not_in_file, venue_skipped, …
        state: open while a filler still tries, then filled or given_up; the newest fact about a range counts.
    """

    what: Literal["agg_ids", "seqs", "update_ids", "snapshot"]
    first: int
    last: int
    cause: str
    state: Literal["open", "filled", "given_up"]


class Session(Body, frozen=True):
    """A recorder or analyzer started, stopped, connected or was disconnected; settings hold no secrets."""

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


CAPTURE_KINDS = (
    Kind(TICK, Tick, EVENTS, coverage_columns=("boundary_ns", "trades", "depth", "last_agg_id")),
    Kind(GAP, Gap, EVENTS, check_columns=("what", "first", "last", "cause", "state")),
    Kind(SESSION, Session, EVENTS),
    Kind(QUARANTINE, Quarantine, EVENTS, check_columns=("agg_id", "reason", "source")),
    Kind(BOOK_AUDIT, BookAudit, EVENTS, coverage_columns=("recv_ns", "snapshot_update_id", "healthy")),
    Kind(BOOK_RESET, BookReset, EVENTS, coverage_columns=("recv_ns",)),
    Kind(CLOCK_OFFSET, ClockOffset, EVENTS),
)
