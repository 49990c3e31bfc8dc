"""
Books of one update id in a recording: whether they may both be true; pure.
"""

from typing import Any

Book = dict[str, Any]

LEVELS = tuple(f"{side}_{what}_e8" for side in ("bid", "ask") for what in ("price", "quantity"))
BOOK_COLUMNS = ("last_update_id", "limit", *LEVELS)
"""The columns of a book that say what it holds, best level first."""


def contradict(one: Book, other: Book) -> bool:
    """Whether two books of one update cannot both be true: a deeper one begins with all levels of the other."""
    if one["limit"] == other["limit"]:
        return any(one[name] != other[name] for name in LEVELS)
    return any(a != b for name in LEVELS for a, b in zip(one[name], other[name], strict=False))
