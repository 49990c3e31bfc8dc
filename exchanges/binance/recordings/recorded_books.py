"""
Books of one update id in a recording: whether they may both be true; pure.
"""

from typing import Any

Book = dict[str, Any]

LEVELS = tuple(f"{side}_{what}_e8" for side in ("bid", "ask") for what in ("price", "quantity"))
BOOK_COLUMNS = ("last_update_id", "limit", *LEVELS)
"""The columns of a book that say what it holds, best level first."""


class Books:
    """The books of one update, and when each came."""

    def __init__(self) -> None:
        self._books: list[tuple[Book, set[int]]] = []

    def add(self, recv_ns: int, book: Book) -> None:
        """Take one that came at a time."""
        for other, times in self._books:
            if book == other:
                times.add(recv_ns)
                return
        self._books.append((book, {recv_ns}))

    def hold(self, recv_ns: int, book: Book) -> bool:
        """Whether one is there that came at the same time: the same line again."""
        return any(recv_ns in times and book == other for other, times in self._books)

    def contradict(self, book: Book) -> bool:
        """Whether one is there that cannot be true beside another."""
        return any(contradict(book, other) for other, _ in self._books)


def contradict(one: Book, other: Book) -> bool:
    """Whether two books of one update cannot both be true: a deeper one begins with all levels of the other."""
    if one["limit"] == other["limit"]:
        return any(one[name] != other[name] for name in LEVELS)
    return any(a != b for name in LEVELS for a, b in zip(one[name], other[name], strict=False))
