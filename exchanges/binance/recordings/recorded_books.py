"""
Books of one update id in a recording: whether they contradict each other; pure.
"""

from typing import Any

Book = dict[str, Any]

LEVELS = tuple(f"{side}_{what}_e8" for side in ("bid", "ask") for what in ("price", "quantity"))
BOOK_COLUMNS = ("last_update_id", "limit", *LEVELS)
"""The columns of a book that are compared; levels stand best first."""


class Books:
    """The different books of one update id, and when each of them came."""

    def __init__(self) -> None:
        self._books: list[tuple[Book, set[int]]] = []

    def add(self, recv_ns: int, book: Book) -> None:
        """Add a book that came at `recv_ns`."""
        for other, times in self._books:
            if book == other:
                times.add(recv_ns)
                return
        self._books.append((book, {recv_ns}))

    def contains(self, recv_ns: int, book: Book) -> bool:
        """Whether an equal book came at the same time, so that this is the same line again."""
        return any(recv_ns in times and book == other for other, times in self._books)

    def contradicts(self, book: Book) -> bool:
        """Whether a book contradicts one of these."""
        return any(is_contradiction(book, other) for other, _ in self._books)


def is_contradiction(one: Book, other: Book) -> bool:
    """Whether two books of one update id differ in more than depth: a deeper one begins with the other's levels."""
    if one["limit"] == other["limit"]:
        return any(one[name] != other[name] for name in LEVELS)
    return any(a != b for name in LEVELS for a, b in zip(one[name], other[name], strict=False))
