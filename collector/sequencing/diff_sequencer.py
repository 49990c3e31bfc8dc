"""
Book diffs in order: gaps are logged, duplicates are dropped; pure. Diffs cannot be fetched later.

Of two connections the second may bring what the first one lost, and one may be ahead of the other: a diff that would
leave a gap waits a moment for what belongs before it.
"""

from collections import deque
from typing import NamedTuple

from eventlog.facts.capture import GAP, QUARANTINE, Gap, Quarantine
from eventlog.facts.entry import Fact
from eventlog.facts.market import DIFF
from market.timestamps import SECOND_NS

MAX_WAIT_NS = 2 * SECOND_NS  # of diffs behind a gap
MAX_PENDING = 500  # diffs behind a gap; bounds memory

_MAX_REMEMBERED = 500  # diffs and gaps that late and repeated diffs are compared with


class Ready(NamedTuple):
    """A fact to log now; first and last update id where it is a diff that extends the book, else 0."""

    fact: Fact
    first: int = 0
    last: int = 0


class _GivenUpGap:
    """Ids first to last were given up; `late` has those that came after that."""

    def __init__(self, first: int, last: int, cause: str) -> None:
        self.first = first
        self.last = last
        self.cause = cause
        self.late: set[int] = set()


class DiffSequencer:
    """
    Follows `U = previous u + 1`. Methods return the facts to log now, in order.

    Args:
        last_update_id: of the newest diff in the log, None before the first.

    Attributes:
        last_update_id: of the newest diff that was passed on.
        duplicates: diffs that came again.
        gap_count: gaps that were given up.
        conflicts: diffs with ids that came before with other content.
    """

    def __init__(self, last_update_id: int | None = None) -> None:
        self.last_update_id = last_update_id
        self.duplicates = 0
        self.gap_count = 0
        self.conflicts = 0
        self._pending: dict[tuple[int, int], Fact] = {}
        self._since_ns = 0
        self._cause = ""
        self._has_restarted = False
        self._recent: dict[tuple[int, int], int] = {}
        self._gaps: deque[_GivenUpGap] = deque(maxlen=_MAX_REMEMBERED)

    @property
    def pending_count(self) -> int:
        """Number of diffs that wait behind a gap."""
        return len(self._pending)

    def restart(self) -> None:
        """A new connection begins: what is missing before its first diff will not come."""
        self._has_restarted = True

    def take(self, first: int, last: int, fact: Fact, cause: str, now_ns: int) -> list[Ready]:
        """
        Add a diff.

        Args:
            first, last: its first and last update id.
            fact: the diff.
            cause: logged with a gap before it, e.g. disconnect.
            now_ns: the time.

        Returns:
            The facts to log now, in order.
        """
        last_id, has_restarted = self.last_update_id, self._has_restarted
        self._has_restarted = False
        if last_id is not None and last <= last_id:
            return self._add_late(first, last, fact)
        if last_id is not None and first > last_id + 1:
            if (first, last) in self._pending:
                return self._drop_duplicate(first, last, fact)
            if not self._pending:
                self._since_ns, self._cause = now_ns, cause
            self._pending[first, last] = fact
            return self.give_up(now_ns) if has_restarted else self.expire(now_ns)
        return [self._accept(first, last, fact), *self._drain()]

    def expire(self, now_ns: int) -> list[Ready]:
        """After too long a wait, or with too many pending diffs: see `give_up`."""
        if not self._pending:
            return []
        is_too_long = not 0 <= now_ns - self._since_ns <= MAX_WAIT_NS
        return self.give_up(now_ns) if is_too_long or len(self._pending) > MAX_PENDING else []

    def give_up(self, now_ns: int) -> list[Ready]:
        """Log all gaps as given up, and all pending diffs."""
        ready: list[Ready] = []
        while self._pending:
            last_id, (first, last) = self.last_update_id or 0, min(self._pending)
            self.gap_count += 1
            gap = _GivenUpGap(last_id + 1, first - 1, self._cause)
            self._gaps.append(gap)
            entry = Gap("update_ids", gap.first, gap.last, gap.cause, "given_up")
            ready += [Ready(entry.fact(GAP, now_ns)), self._accept(first, last, self._pending.pop((first, last)))]
            ready += self._drain()
        return ready

    def _accept(self, first: int, last: int, fact: Fact) -> Ready:
        self.last_update_id = last
        self._remember(first, last, fact)
        return Ready(fact, first, last)

    def _drain(self) -> list[Ready]:
        """Pending diffs that follow now."""
        ready: list[Ready] = []
        for first, last in sorted(self._pending):
            last_id = self.last_update_id or 0
            if first > last_id + 1:
                break
            fact = self._pending.pop((first, last))
            if last > last_id:
                ready.append(self._accept(first, last, fact))
            else:
                self.duplicates += 1
        return ready

    def _remember(self, first: int, last: int, fact: Fact) -> None:
        self._recent[first, last] = hash(fact.data)
        while len(self._recent) > _MAX_REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def _add_late(self, first: int, last: int, fact: Fact) -> list[Ready]:
        gap = next((g for g in self._gaps if g.first <= first and last <= g.last), None)
        ids = range(first, last + 1)
        if gap is None or not gap.late.isdisjoint(ids):
            return self._drop_duplicate(first, last, fact)
        gap.late.update(ids)
        self._remember(first, last, fact)
        if len(gap.late) <= gap.last - gap.first:
            return [Ready(fact)]
        self._gaps.remove(gap)
        closing = Gap("update_ids", gap.first, gap.last, gap.cause, "filled")
        return [Ready(fact), Ready(closing.fact(GAP, fact.recv_ns))]

    def _drop_duplicate(self, first: int, last: int, fact: Fact) -> list[Ready]:
        pending = self._pending.get((first, last))
        digest = hash(pending.data) if pending is not None else self._recent.get((first, last))
        if digest is None or digest == hash(fact.data):
            self.duplicates += 1
            return []
        self.conflicts += 1
        reason = f"another {DIFF} of update ids {first} to {last} came before"
        return [Ready(Quarantine(reason, "stream", fact.data[:65_536]).fact(QUARANTINE, fact.recv_ns))]
