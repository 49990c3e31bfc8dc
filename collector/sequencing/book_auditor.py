"""
The recorder's own book beside what it records: what the log says about it, and when a snapshot is wanted at once.
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

_FIRST_PAUSE_NS = 5 * SECOND_NS
_LONGEST_PAUSE_NS = 80 * SECOND_NS


class BookAuditor:
    """
    Follows diffs and snapshots in the order in which they are logged.

    Args:
        decoders: who reads the venue's facts.

    Attributes:
        wanted: set while a snapshot is wanted before its time.
        asked: how often one was asked for.
    """

    def __init__(self, decoders: Mapping[str, Decode]) -> None:
        self.wanted = asyncio.Event()
        self.asked = 0
        self._decoders = decoders
        self._live = LiveBook(decoders)
        self._before: tuple[int, ...] = (0, 0, 0)
        self._pause_ns = 0
        self._asked_ns = 0
        self._not_before_ns = 0

    def follow(self, ready: Sequence[Ready]) -> list[Fact]:
        """Facts as they go into the log, each with what the log should say after it."""
        out: list[Fact] = []
        for fact, first, last in ready:
            out.append(fact)
            if fact.kind == DIFF and not last:
                continue  # it came too late to be part of the book
            if fact.kind in (DIFF, SNAPSHOT):
                out += self._live.take(fact, first, last)
                self._look(fact)
        return out

    def asked_at(self, now_ns: int) -> None:
        """A snapshot is asked for now; the next one must wait twice as long as this one did."""
        calm = now_ns - self._asked_ns > 2 * _LONGEST_PAUSE_NS
        self.asked += 1
        self._asked_ns = now_ns
        self.wanted.clear()
        self._pause_ns = _FIRST_PAUSE_NS if calm else min(2 * self._pause_ns, _LONGEST_PAUSE_NS)
        self._not_before_ns = now_ns + self._pause_ns

    def pause_ns(self, now_ns: int) -> int:
        """How long a snapshot that is wanted must still wait."""
        return min(max(0, self._not_before_ns - now_ns), self._pause_ns)

    def forget(self) -> None:
        """The log lost what the book was made of."""
        self._before = self._counts()
        self._live = LiveBook(self._decoders)

    def status(self) -> dict[str, Any]:
        """What `--status` shows."""
        audit = self._live.audit
        audits, unhealthy, resets = self._counts()
        return {
            "state": self._live.book.state,
            "healthy": audit.healthy if audit is not None else None,
            "audits": audits,
            "unhealthy_audits": unhealthy,
            "resets": resets,
            "snapshots_asked_at_once": self.asked,
        }

    def _look(self, fact: Fact) -> None:
        """After a diff that cannot be used, or a snapshot that showed differences, another snapshot is wanted."""
        book, audit = self._live.book, self._live.audit
        lost = book.state != "in_step" and fact.kind == DIFF
        if lost or (audit is not None and not audit.healthy):
            self.wanted.set()
        elif book.state == "in_step":
            self.wanted.clear()

    def _counts(self) -> tuple[int, ...]:
        live = self._live
        counts = (live.audits, live.unhealthy, live.resets)
        return tuple(before + now for before, now in zip(self._before, counts, strict=True))
