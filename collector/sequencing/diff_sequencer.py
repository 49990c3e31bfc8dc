"""
Book diffs in order: what was missed is named, what came twice is dropped; pure. Depth cannot be fetched later.

Of two connections the second may bring what the first one lost, and one may be ahead of the other: a diff that would
leave a hole waits a moment for what belongs before it.
"""

from collections import deque
from typing import NamedTuple

from eventlog.facts.capture import GAP, QUARANTINE, Gap, Quarantine
from eventlog.facts.entry import Fact
from eventlog.facts.market import DIFF
from market.timestamps import SECOND_NS

LONGEST_WAIT_NS = 2 * SECOND_NS
MAX_WAITING = 500

_REMEMBERED = 500


class Ready(NamedTuple):
    """A fact that goes into the log now; its update ids where it is a diff that follows."""

    fact: Fact
    first: int = 0
    last: int = 0


class _Hole:
    """Ids first to last never came; `late` has those that came after they had been given up."""

    def __init__(self, first: int, last: int, cause: str) -> None:
        self.first = first
        self.last = last
        self.cause = cause
        self.late: set[int] = set()


class DiffSequencer:
    """
    Follows `U = previous u + 1`.

    Args:
        last_update_id: of the newest diff that the log holds, None before the first.

    Attributes:
        duplicates, missed, conflicts: diffs that came again, holes that were given up, other bytes under the same ids.
    """

    def __init__(self, last_update_id: int | None = None) -> None:
        self.last_update_id = last_update_id
        self.duplicates = 0
        self.missed = 0
        self.conflicts = 0
        self._waiting: dict[tuple[int, int], Fact] = {}
        self._since_ns = 0
        self._cause = ""
        self._renewed = False
        self._recent: dict[tuple[int, int], int] = {}
        self._holes: deque[_Hole] = deque(maxlen=_REMEMBERED)

    @property
    def waiting(self) -> int:
        """How many diffs wait behind a hole."""
        return len(self._waiting)

    def renewed(self) -> None:
        """The feed begins again: what is missing before its next diff will not come."""
        self._renewed = True

    def take(self, first: int, last: int, fact: Fact, cause: str, now_ns: int) -> list[Ready]:
        """
        What goes into the log for a diff of update ids first to last.

        Args:
            cause: why something may be missing before it, for the record.
        """
        known, renewed = self.last_update_id, self._renewed
        self._renewed = False
        if known is not None and last <= known:
            return self._again_or_late(first, last, fact)
        if known is not None and first > known + 1:
            if (first, last) in self._waiting:
                return self._again(first, last, fact)
            if not self._waiting:
                self._since_ns, self._cause = now_ns, cause
            self._waiting[first, last] = fact
            return self.give_up(now_ns) if renewed else self.overdue(now_ns)
        return [self._follows(first, last, fact), *self._drain()]

    def overdue(self, now_ns: int) -> list[Ready]:
        """Give up waiting where it lasted too long: the hole is named, what waited goes on."""
        if not self._waiting:
            return []
        too_long = not 0 <= now_ns - self._since_ns <= LONGEST_WAIT_NS
        return self.give_up(now_ns) if too_long or len(self._waiting) > MAX_WAITING else []

    def give_up(self, now_ns: int) -> list[Ready]:
        """Nothing more will come of what is missing: the holes are named, everything that waited goes on."""
        out: list[Ready] = []
        while self._waiting:
            known, (first, last) = self.last_update_id or 0, min(self._waiting)
            self.missed += 1
            hole = _Hole(known + 1, first - 1, self._cause)
            self._holes.append(hole)
            gap = Gap("update_ids", hole.first, hole.last, hole.cause, "given_up")
            out += [Ready(gap.fact(GAP, now_ns)), self._follows(first, last, self._waiting.pop((first, last)))]
            out += self._drain()
        return out

    def _follows(self, first: int, last: int, fact: Fact) -> Ready:
        self.last_update_id = last
        self._remember(first, last, fact)
        return Ready(fact, first, last)

    def _drain(self) -> list[Ready]:
        """What waited and now follows."""
        out: list[Ready] = []
        for first, last in sorted(self._waiting):
            known = self.last_update_id or 0
            if first > known + 1:
                break
            fact = self._waiting.pop((first, last))
            if last > known:
                out.append(self._follows(first, last, fact))
            else:
                self.duplicates += 1
        return out

    def _remember(self, first: int, last: int, fact: Fact) -> None:
        self._recent[first, last] = hash(fact.data)
        while len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def _again_or_late(self, first: int, last: int, fact: Fact) -> list[Ready]:
        hole = next((h for h in self._holes if h.first <= first and last <= h.last), None)
        ids = range(first, last + 1)
        if hole is None or not hole.late.isdisjoint(ids):
            return self._again(first, last, fact)
        hole.late.update(ids)
        self._remember(first, last, fact)
        if len(hole.late) <= hole.last - hole.first:
            return [Ready(fact)]
        self._holes.remove(hole)
        filled = Gap("update_ids", hole.first, hole.last, hole.cause, "filled")
        return [Ready(fact), Ready(filled.fact(GAP, fact.recv_ns))]

    def _again(self, first: int, last: int, fact: Fact) -> list[Ready]:
        waits = self._waiting.get((first, last))
        held = hash(waits.data) if waits is not None else self._recent.get((first, last))
        if held is None or held == hash(fact.data):
            self.duplicates += 1
            return []
        self.conflicts += 1
        reason = f"another {DIFF} of update ids {first} to {last} came before"
        return [Ready(Quarantine(reason, "stream", fact.data[:65_536]).fact(QUARANTINE, fact.recv_ns))]
