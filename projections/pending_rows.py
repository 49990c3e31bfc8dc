"""
Rows that wait to be folded until somebody asks; then neighbours of one table are joined.
"""

from collections.abc import Iterator

from eventlog.store.batch import Rows


class WaitingRows:
    """
    Rows in the order they came; `len` counts rows, not pieces.
    """

    def __init__(self) -> None:
        self._pieces: list[Rows] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Rows) -> None:
        """Some more."""
        self._pieces.append(rows)
        self._count += rows.stop - rows.start

    def take(self) -> Iterator[Rows]:
        """All of them, in as few pieces as there are; none waits any longer."""
        pieces, self._pieces, self._count = self._pieces, [], 0
        at = 0
        while at < len(pieces):
            first, stop = pieces[at], pieces[at].stop
            at += 1
            while at < len(pieces) and pieces[at].columns is first.columns and pieces[at].start == stop:
                stop = pieces[at].stop
                at += 1
            yield first if stop == first.stop else Rows(first.columns, first.start, stop)
