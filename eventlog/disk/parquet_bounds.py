"""
Checks of untrusted Parquet files: only regular files are opened, and the size they unpack to is bounded before they
are unpacked, as a few bytes can stand for any number of equal values.

The bound counts what the footer and the dictionaries say; a footer that contradicts its pages is not detected here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eventlog.disk.files import open_plain
from eventlog.disk.parquet_footer import BadFooter, row_groups
from eventlog.errors import LogBroken

UNREADABLE = (pa.ArrowException, BadFooter, OSError, KeyError, UnicodeDecodeError)
"""Errors of reading a damaged file; KeyError and UnicodeDecodeError are what Arrow's lookups of names raise."""

_PLENTY = 256 * 1024 * 1024  # bytes that any file may unpack to
_LARGEST_RATIO = 200
"""Recorded trades and books unpack to 5 to 20 times their size; below `_PLENTY` any ratio is allowed."""
_ROWS = 1 << 16  # rows in memory at once while texts are counted


@contextmanager
def open_for_arrow(path: Path) -> Iterator[pa.NativeFile]:
    """
    Open a regular file for Arrow, which would wait without end if the path were a pipe.

    It is Arrow's own file and none of Python's: threads that read ahead and call back into Python end a process that is
    about to exit with SIGABRT.

    Raises:
        OSError: it cannot be opened; ELOOP where it is a link. LogBroken: it is no plain file.
    """
    with open_plain(path), pa.OSFile(os.fsencode(path)) as file:  # as bytes: a name need not be UTF-8
        yield file


def expect_plausible(file: pa.NativeFile, path: Path) -> None:
    """
    Refuse a file that unpacks to far more than recorded ones do.

    Args:
        file: an open file; its position is 0 afterwards. path: for the message.

    Raises:
        LogBroken: it unpacks to more. One of `UNREADABLE`: it cannot be read.
    """
    max_bytes = max(_PLENTY, _LARGEST_RATIO * file.size())
    unpacked_bytes = 0
    for size in _sizes(file):
        unpacked_bytes += size
        if unpacked_bytes > max_bytes:
            raise LogBroken(
                f"{path} unpacks to more than {max_bytes:,} bytes, which no recorded file of its size does; it was "
                "made by other hands: remove it"
            )
    file.seek(0)


def _sizes(file: pa.NativeFile) -> Iterator[int]:
    """Bytes that the parts of a file take in memory: numbers, packed pages, texts."""
    texts: dict[str, int] = {}  # upper bound per column
    for group in row_groups(file):
        yield group.rows  # a column may claim fewer
        for column in group.columns:
            yield column.unpacked_bytes
            if column.is_text:
                texts[column.path] = texts.get(column.path, 0) + column.values * column.unpacked_bytes
            else:
                yield 8 * max(column.values, group.rows)
    if sum(texts.values()) > _PLENTY:
        for path in texts:
            yield from _text_sizes(file, path)


def _text_sizes(file: pa.NativeFile, name: str) -> Iterator[int]:
    """Bytes that the texts of a column take in memory, counted by its dictionary, which is never expanded."""
    file.seek(0)
    with pq.ParquetFile(file, read_dictionary=[name]) as file_with_dictionaries:
        for batch in file_with_dictionaries.iter_batches(_ROWS, columns=[name]):
            values = batch.column(0)
            while isinstance(values, pa.ListArray):
                values = values.flatten()
            if isinstance(values, pa.DictionaryArray):
                lengths = pc.fill_null(pc.binary_length(values.dictionary), 0).to_numpy(zero_copy_only=False)
                indices = values.indices.drop_null().to_numpy(zero_copy_only=False)
                yield int(lengths.astype(np.int64)[indices].sum())
            else:
                yield values.nbytes
