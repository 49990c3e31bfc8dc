"""
The recorder's own book, kept from what it records: audits for the log, and requests for early snapshots.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from collector.sequencing.diff_sequencer import Ready
from eventlog.codec import Decode
from eventlog.facts.entry import Fact
from eventlog.facts.market import DIFF, SNAPSHOT
from market.timestamps import SECOND_NS
from projections.book.live_book import LiveBook

_FIRST_PAUSE_NS = 5 * SECOND_NS  # after an early snapshot; doubles with each, up to the longest
_LONGEST_PAUSE_NS = 80 * SECOND_NS  # bounds the doubling, and so how long a book can stay unproven


class BookAuditor:
    """
    Follows diffs and snapshots in the order in which they are logged.

    Args:
        decoders: of the exchange's facts, by kind.

    Attributes:
        snapshot_needed: set while a snapshot is needed before the next boundary.
        request_count: early snapshots requested so far.
    """

    def __init__(self, decoders: Mapping[str, Decode]) -> None:
        self.snapshot_needed = asyncio.Event()
        self.request_count = 0
        self._decoders = decoders
        self._live = LiveBook(decoders)
        self._previous_counts: tuple[int, ...] = (0, 0, 0)
        self._pause_ns = 0
        self._requested_ns = 0
        self._earliest_ns = 0

    def follow(self, ready: Sequence[Ready]) -> list[Fact]:
        """Apply facts to the book; return them in order, each followed by the audits and resets to log after it."""
        facts: list[Fact] = []
        for fact, first, last in ready:
            facts.append(fact)
            if fact.kind == DIFF and not last:
                continue  # it came too late to be part of the book
            if fact.kind in (DIFF, SNAPSHOT):
                facts += self._live.take(fact, first, last)
                self._update_need(fact)
        return facts

    def note_request(self, now_ns: int) -> None:
        """An early snapshot is requested now; the pause before the next one is doubled."""
        is_calm = now_ns - self._requested_ns > 2 * _LONGEST_PAUSE_NS
        self.request_count += 1
        self._requested_ns = now_ns
        self.snapshot_needed.clear()
        self._pause_ns = _FIRST_PAUSE_NS if is_calm else min(2 * self._pause_ns, _LONGEST_PAUSE_NS)
        self._earliest_ns = now_ns + self._pause_ns

    def pause_ns(self, now_ns: int) -> int:
        """Time until an early snapshot may be requested (ns)."""
        return min(max(0, self._earliest_ns - now_ns), self._pause_ns)

    def reset(self) -> None:
        """Begin with an empty book, because the log lost what it was built from."""
        self._previous_counts = self._counts()
        self._live = LiveBook(self._decoders)

    def status(self) -> dict[str, Any]:
        """The fields that `--status` shows."""
        audit = self._live.audit
        audits, unhealthy, resets = self._counts()
        return {
            "state": self._live.book.state,
            "healthy": audit.healthy if audit is not None else None,
            "audits": audits,
            "unhealthy_audits": unhealthy,
            "resets": resets,
            "snapshots_asked_at_once": self.request_count,
        }

    def _update_need(self, fact: Fact) -> None:
        """A diff that cannot be applied, or an audit with differences, makes a snapshot necessary."""
        book, audit = self._live.book, self._live.audit
        is_lost = book.state != "in_step" and fact.kind == DIFF
        if is_lost or (audit is not None and not audit.healthy):
            self.snapshot_needed.set()
        elif book.state == "in_step":
            self.snapshot_needed.clear()

    def _counts(self) -> tuple[int, ...]:
        live = self._live
        counts = (live.audits, live.unhealthy, live.resets)
        return tuple(previous + current for previous, current in zip(self._previous_counts, counts, strict=True))
