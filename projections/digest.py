"""
Digests of states: BLAKE2b over canonical little-endian int64, the same on every machine.
"""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np

from market.arrays import I64

SIZE = 16  # bytes: 2^64 tries for a chance of two alike


def of_columns(*columns: I64) -> bytes:
    """The digest of columns of equal or different lengths, lengths included."""
    digest = blake2b(digest_size=SIZE)
    digest.update(np.array([len(c) for c in columns], "<i8").tobytes())
    for column in columns:
        digest.update(np.ascontiguousarray(column, "<i8").data)
    return digest.digest()


def of_digests(parts: Iterable[bytes]) -> bytes:
    """The digest of digests, in order."""
    return blake2b(b"".join(parts), digest_size=SIZE).digest()
