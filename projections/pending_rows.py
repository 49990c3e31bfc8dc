"""
Rows that wait to be folded until a figure is read; neighbours of one table are then joined.
"""

from collections.abc import Iterator

from eventlog.store.batch import Rows


class PendingRows:
    """Rows in the order of their arrival; `len` counts rows, not pieces."""

    def __init__(self) -> None:
        self._pieces: list[Rows] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Rows) -> None:
        """Append rows."""
        self._pieces.append(rows)
        self._count += rows.stop - rows.start

    def take(self) -> Iterator[Rows]:
        """Remove and return all rows, in as few pieces as possible."""
        pieces, self._pieces, self._count = self._pieces, [], 0
        index = 0
        while index < len(pieces):
            first, stop = pieces[index], pieces[index].stop
            index += 1
            while index < len(pieces) and pieces[index].columns is first.columns and pieces[index].start == stop:
                stop = pieces[index].stop
                index += 1
            yield first if stop == first.stop else Rows(first.columns, first.start, stop)
