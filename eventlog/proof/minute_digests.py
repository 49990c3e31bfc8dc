"""
A chain of digests over a day's entries, one link per minute: independent of how the log was cut into segments, and
different from the first minute on in which an entry differs.

A minute holds what arrived in it. Its digest is over each kind's columns: columns of fixed width as rows of
little-endian int64, texts and lists as their lengths in these rows and their bytes separately; BLAKE2b throughout.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from eventlog.facts.registry import SCHEMAS
from market.arrays import I64
from market.timestamps import MINUTE_NS

DIGEST_BYTES = 16  # as of `projections.digest`: 2^64 tries for a chance of two alike
_NULL_LENGTH = -1  # tells null from empty
Bytes = npt.NDArray[np.uint8]


class MinuteDigests:
    """
    Computes the chain from entries that are added in seq order per kind.

    Args:
        columns: which columns of each kind the digests cover; all columns of today's schema where a kind is not named.
    """

    def __init__(self, columns: Mapping[str, Sequence[str]] | None = None) -> None:
        self.columns: dict[str, Sequence[str]] = {}
        self._selection = columns or {}
        self._running: dict[int, dict[str, _Kind]] = {}

    def add(self, kind: str, table: pa.Table) -> None:
        """Add rows of one kind."""
        if table.num_rows == 0:
            return
        names = self.columns.setdefault(kind, self._selection.get(kind, SCHEMAS[kind].names))
        recv_ns = table.column("recv_ns").to_numpy()
        minutes = recv_ns - recv_ns % MINUTE_NS
        if np.any(np.diff(minutes) < 0):
            order = np.argsort(minutes, kind="stable")
            table, minutes = table.take(order), minutes[order]
        rows, variable = _encode(table, names)
        starts = np.append(0, np.flatnonzero(np.diff(minutes)) + 1)
        stops = np.append(starts[1:], len(minutes))
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            of_minute = self._running.setdefault(int(minutes[start]), {})
            of_minute.setdefault(kind, _Kind()).update(rows, variable, start, stop)

    def minutes(self) -> Iterator[tuple[int, int, bytes]]:
        """The minutes that hold entries, in order: start in ns, number of entries, digest."""
        for minute_ns in sorted(self._running):
            digest, count = blake2b(digest_size=DIGEST_BYTES), 0
            for kind, running in sorted(self._running[minute_ns].items()):
                digest.update(msgspec.json.encode([kind, running.count, list(self.columns[kind])]))
                digest.update(running.digest())
                count += running.count
            yield minute_ns, count, digest.digest()

    def chain(self, seed: str) -> list[tuple[int, int, str]]:
        """The minutes in order: start in ns, number of entries, digest of the digest before, the start and its own."""
        head = blake2b(seed.encode(), digest_size=DIGEST_BYTES).digest()
        links = []
        for minute_ns, count, digest in self.minutes():
            head = blake2b(
                head + np.int64(minute_ns).astype("<i8").tobytes() + digest, digest_size=DIGEST_BYTES
            ).digest()
            links.append((minute_ns, count, head.hex()))
        return links


class _Kind:
    """Running digests of one kind in one minute."""

    def __init__(self) -> None:
        self.count = 0
        self._rows = blake2b(digest_size=DIGEST_BYTES)
        self._variable: dict[str, Any] = {}

    def update(self, rows: I64, variable: Mapping[str, tuple[Bytes, I64]], start: int, stop: int) -> None:
        self.count += stop - start
        self._rows.update(rows[start:stop].data)
        for name, (data, offsets) in variable.items():
            part = data[offsets[start] : offsets[stop]]
            if len(part):
                if name not in self._variable:
                    self._variable[name] = blake2b(digest_size=DIGEST_BYTES)
                self._variable[name].update(part.data)

    def digest(self) -> bytes:
        parts = [self._rows.digest()]
        parts += [name.encode() + b"\0" + running.digest() for name, running in sorted(self._variable.items())]
        return b"".join(parts)


def _encode(table: pa.Table, names: Sequence[str]) -> tuple[I64, dict[str, tuple[Bytes, I64]]]:
    """The rows of fixed width, contiguous, and of each column of variable width its bytes and n + 1 offsets."""
    columns: list[I64] = []
    variable: dict[str, tuple[Bytes, I64]] = {}
    for name in names:
        column = table.column(name).combine_chunks()
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
            if table.schema.field(name).nullable:
                columns.append(array.is_valid().cast(pa.int64()).to_numpy())
                array = pc.fill_null(array, 0 if pa.types.is_integer(array.type) else False)
            columns.append(array.cast(pa.int64()).to_numpy())
        else:
            data, offsets, valid = _encode_variable(array)
            variable[name] = data, offsets
            columns.append(np.where(valid, np.diff(offsets), _NULL_LENGTH))
    return np.ascontiguousarray(np.stack(columns, axis=1), "<i8"), variable


def _encode_variable(array: pa.Array) -> tuple[Bytes, I64, npt.NDArray[np.bool_]]:
    """A column of texts, bytes or lists as bytes, n + 1 offsets and n validity flags; null has length 0."""
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_list(array.type) and pa.types.is_int64(array.type.value_type):
        offsets = array.offsets.to_numpy().astype(np.int64)
        values = np.ascontiguousarray(array.values.to_numpy(zero_copy_only=False), "<i8")
        return values.view(np.uint8), offsets * 8, valid
    if pa.types.is_list(array.type):
        array = pa.array([None if row is None else msgspec.json.encode(row) for row in array.to_pylist()], pa.binary())
    if array.null_count == len(array):
        return np.empty(0, np.uint8), np.zeros(len(array) + 1, np.int64), valid
    large = pc.fill_null(array, b"" if pa.types.is_binary(array.type) else "").cast(pa.large_binary())
    _, offset_buffer, data_buffer = large.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[large.offset : large.offset + len(large) + 1]
    return np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8), offsets, valid
