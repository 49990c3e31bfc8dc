"""
Parquet files of unknown hands: opened only where they are plain, and held to what they unpack to before they are
unpacked, as a few bytes can stand for any number of equal values.

What its footer and its dictionaries say is counted; a footer that contradicts its own pages is not found out here.
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
"""What reading a damaged file ends in; Arrow looks names up, and decodes them, without a word of its own."""

_PLENTY = 256 * 1024 * 1024
_LARGEST_RATIO = 200
"""Recorded trades and books unpack to 5 to 20 times their size; up to `_PLENTY` a file may be regular."""
_ROWS = 1 << 16


@contextmanager
def opened(path: Path) -> Iterator[pa.NativeFile]:
    """
    A plain file, opened for Arrow, which by itself would wait at a pipe for ever.

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
        file: open; left at its start. path: for the message.

    Raises:
        LogBroken: it does. One of `UNREADABLE`: it cannot be read.
    """
    most = max(_PLENTY, _LARGEST_RATIO * file.size())
    unpacked = 0
    for size in _sizes(file):
        unpacked += size
        if unpacked > most:
            raise LogBroken(
                f"{path} unpacks to more than {most:,} bytes, which no recorded file of its size does; it was made by "
                "other hands: remove it"
            )
    file.seek(0)


def _sizes(file: pa.NativeFile) -> Iterator[int]:
    """What parts of a file take, one after the other: numbers, packed pages, texts."""
    texts: dict[str, int] = {}  # the most that a column can take
    for group in row_groups(file):
        yield group.rows  # a column may claim fewer
        for column in group.columns:
            yield column.unpacked
            if column.is_text:
                texts[column.path] = texts.get(column.path, 0) + column.values * column.unpacked
            else:
                yield 8 * max(column.values, group.rows)
    if sum(texts.values()) > _PLENTY:
        for path in texts:
            yield from _text_sizes(file, path)


def _text_sizes(file: pa.NativeFile, name: str) -> Iterator[int]:
    """What the texts of a column take, counted by its dictionary, which is never multiplied out."""
    file.seek(0)
    with pq.ParquetFile(file, read_dictionary=[name]) as parts:
        for batch in parts.iter_batches(_ROWS, columns=[name]):
            values = batch.column(0)
            while isinstance(values, pa.ListArray):
                values = values.flatten()
            if isinstance(values, pa.DictionaryArray):
                lengths = pc.fill_null(pc.binary_length(values.dictionary), 0).to_numpy(zero_copy_only=False)
                indices = values.indices.drop_null().to_numpy(zero_copy_only=False)
                yield int(lengths.astype(np.int64)[indices].sum())
            else:
                yield values.nbytes
