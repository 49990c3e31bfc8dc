"""
Rows that wait to be folded until somebody asks; neighbours of one table are joined.
"""

from collections.abc import Iterator

from eventlog.batch import Rows


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
        last = self._pieces[-1] if self._pieces else None
        if last is not None and last.columns is rows.columns and last.stop == rows.start:
            self._pieces[-1] = Rows(rows.columns, last.start, rows.stop)
        else:
            self._pieces.append(rows)
        self._count += len(rows)

    def take(self) -> Iterator[Rows]:
        """All of them, piece by piece; none waits any longer."""
        pieces, self._pieces, self._count = self._pieces, [], 0
        return iter(pieces)
