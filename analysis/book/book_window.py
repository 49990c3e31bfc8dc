"""
Results that are computed once per snapshot and cached while the snapshot is in the window.

The cost of a minute is then that of its own book, not of all sixty.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from analysis.book.book_side import SIDES, BookSide, Side, build_book_side
from analysis.parameters import Parameters
from projections.book.snapshot_window import Snapshot

T = TypeVar("T")

_SPARE_SNAPSHOTS = 64  # pruned only when this many have left the window, so that most ticks cost one comparison


class BookWindow:
    """A cache of results per snapshot, each a function of that snapshot alone."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._results: dict[int, dict[tuple[str, int], Any]] = {}

    def get_or_compute(self, name: str, snapshot: Snapshot, width_e8: int, compute: Callable[[], T]) -> T:
        """
        The cached result for a snapshot and a bin width, computed at the first call.

        Args:
            name: of the result; one name for one function.
            snapshot: what the result depends on; its seq is the key.
            width_e8: width of a bin, 1e-8 quote.
            compute: called without arguments where nothing is cached.
        """
        results = self._results.setdefault(snapshot.seq, {})
        key = (name, width_e8)
        if key not in results:
            results[key] = compute()
        result: T = results[key]
        return result

    def sides(self, snapshot: Snapshot, width_e8: int) -> dict[Side, BookSide]:
        """Both sides in bins; empty where either side is empty or where they cross."""

        def bin_sides() -> dict[Side, BookSide]:
            if snapshot.mid_e8 is None or snapshot.bid_price_e8[0] >= snapshot.ask_price_e8[0]:
                return {}
            books = ((side, build_book_side(snapshot, side, width_e8, self._parameters)) for side in SIDES)
            return {side: book for side, book in books if book is not None}

        return self.get_or_compute("sides", snapshot, width_e8, bin_sides)

    def prune(self, snapshots: Sequence[Snapshot]) -> None:
        """Drop results of snapshots that have left the window; cheap enough to be called at every tick."""
        if len(self._results) > len(snapshots) + _SPARE_SNAPSHOTS:
            present = {s.seq for s in snapshots}
            self._results = {seq: results for seq, results in self._results.items() if seq in present}
