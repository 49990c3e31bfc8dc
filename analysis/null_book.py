"""
Null books: a book with its bins shuffled among those at about the same distance, the control for what is found in it.

Structure that a shuffled book shows as often is none.
"""

from dataclasses import replace

import numpy as np

from analysis.book_side import BookSide


def shuffled(book: BookSide, chance: np.random.Generator) -> BookSide:
    """A side with its bins in random order inside each octave of distance from the mid; depth and sizes stay."""
    octave = np.frexp(book.distance_bp)[1].astype(np.int16)
    order = np.argsort(octave + chance.random(len(octave)))
    quantity = np.empty_like(book.quantity_e8)
    quantity[np.argsort(octave, kind="stable")] = book.quantity_e8[order]
    return replace(book, quantity_e8=quantity)
