"""
Book diffs in order: what was missed is named, what came twice is dropped; pure. Depth cannot be fetched later.
"""

from eventlog.facts import GAP, Fact, Gap


class DiffSequencer:
    """Follows `U = previous u + 1`."""

    def __init__(self) -> None:
        self.last_update_id: int | None = None
        self.duplicates = 0
        self.missed = 0

    def take(self, first: int, last: int, fact: Fact, cause: str) -> list[Fact]:
        """What goes into the log for a diff of update ids first to last."""
        known = self.last_update_id
        if known is not None and last <= known:
            self.duplicates += 1
            return []
        self.last_update_id = last
        if known is None or first <= known + 1:
            return [fact]
        self.missed += 1
        return [Gap("update_ids", known + 1, first - 1, cause, "given_up").fact(GAP, fact.recv_ns), fact]
