"""
What is worked out once per snapshot and kept while the snapshot is in the window.

A minute then costs what its own book costs, not what sixty do.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from analysis.book.book_side import SIDES, BookSide, Side, build_book_side
from analysis.parameters import Parameters
from projections.book.snapshot_window import Snapshot

T = TypeVar("T")

_SPARE_SNAPSHOTS = 64


class BookWindow:
    """
    Findings per snapshot, each a function of that snapshot alone.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._results: dict[int, dict[tuple[str, int], Any]] = {}

    def get_or_compute(self, name: str, snapshot: Snapshot, width_e8: int, compute: Callable[[], T]) -> T:
        """What `compute` gives for a snapshot and a bin width, found the first time it is asked for."""
        results = self._results.setdefault(snapshot.seq, {})
        key = (name, width_e8)
        if key not in results:
            results[key] = compute()
        result: T = results[key]
        return result

    def sides(self, snapshot: Snapshot, width_e8: int) -> dict[Side, BookSide]:
        """Both sides in bins; nothing where either is empty or where they cross."""

        def bin_sides() -> dict[Side, BookSide]:
            if snapshot.mid_e8 is None or snapshot.bid_price_e8[0] >= snapshot.ask_price_e8[0]:
                return {}
            books = ((side, build_book_side(snapshot, side, width_e8, self._parameters)) for side in SIDES)
            return {side: book for side, book in books if book is not None}

        return self.get_or_compute("sides", snapshot, width_e8, bin_sides)

    def prune(self, snapshots: Sequence[Snapshot]) -> None:
        """Forget what is no longer in the window; cheap enough to be called at every tick."""
        if len(self._results) > len(snapshots) + _SPARE_SNAPSHOTS:
            present = {s.seq for s in snapshots}
            self._results = {seq: results for seq, results in self._results.items() if seq in present}
