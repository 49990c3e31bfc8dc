"""
Facts that memory has no room for while the log's server is slow or away: an append-only file beside the log.

The file holds facts not yet numbered, each as `length crc32 payload`, and with the log it is always a prefix of what
was put: nothing between the log's end and the file's first fact is missing. `position.json` names the byte up to which
the facts are in the log, and the log's last seq at that moment. A process that died between storing a batch and saying
so leaves entries behind that seq: the next one counts them and begins that many facts later, so none is stored twice.
Bytes behind the last whole record are what a machine did not finish writing; they are moved aside.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import structlog

from eventlog.disk.files import move_aside, open_plain, open_private, sync_folder, translate_errors, write_atomic
from eventlog.disk.sealed_json import read_sealed, seal
from eventlog.errors import LogBroken, StoreFull
from eventlog.facts.entry import Fact
from eventlog.names import SPILL_FILE, SPILL_POSITION_FILE, SpillPosition

MAX_BYTES = 8 << 30
_LONGEST_RECORD = 1 << 28
_LONGEST_REST = 2 * _LONGEST_RECORD
"""Behind the last whole record: a write that was not finished is shorter."""
_HEAD = struct.Struct("<II")
_STAMP = struct.Struct("<qB")
_MEND = "restore it from a backup, or move it and spill.log away: the trades in it are fetched again"

_log = structlog.get_logger()


def named_seq(folder: Path) -> int:
    """A seq that a log's spill says was used, 0 where there is none; for who does not hold the log's lock yet."""
    with suppress(OSError, LogBroken):  # who opens the spill says what is wrong with it
        if (folder / SPILL_FILE).exists():
            return read_sealed(folder / SPILL_POSITION_FILE, SpillPosition, _MEND).after_seq
    return 0


class Spill:
    """
    The file of one log; used by the log's only writer, under its lock.

    Args:
        folder: of the log.
        most_bytes: the file's largest size.

    Raises:
        LogBroken: there is a file, but its position cannot be read.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = folder / SPILL_FILE
        self._position_path = folder / SPILL_POSITION_FILE
        self._max_bytes = max_bytes
        self._there = False
        self._at = SpillPosition(0, 0)
        self._end = 0
        self.unread = 0  # facts that are not in the log yet
        with translate_errors(self.path):
            if self.path.is_symlink() or self._position_path.is_symlink():
                raise LogBroken(f"{self.path} or its position is a link; remove it")
            if self.path.exists():
                self._open_old()

    @property
    def is_open(self) -> bool:
        """Whether there is a file."""
        return self._there

    @property
    def after_seq(self) -> int:
        """The log's last seq when the waiting facts' predecessors were in it; 0 where there is no file."""
        return self._at.after_seq

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of the file are not in the log yet."""
        return self._end - self._at.offset

    def append(self, facts: Sequence[Fact], after_seq: int, limited: bool = True) -> None:
        """
        Add facts, on disk when this returns; all of them or none.

        Args:
            after_seq: the log's last seq, for the first facts of a file: the first of them comes right behind it.
            limited: whether the file's largest size holds; what memory cannot keep any longer may pass it.

        Raises:
            StoreFull: no room on the disk, or the file would pass its limit.
        """
        data = b"".join(_record(fact) for fact in facts)
        if limited and self._end + len(data) > self._max_bytes:
            raise StoreFull(f"{self.path} would grow beyond {self._max_bytes:,} bytes; bring the log's server back")
        with translate_errors(self.path):
            if self.unread == 0:  # first the position: a file without one says nothing
                self._say(SpillPosition(self._end, after_seq))
            _write(self.path, data, self._end)
            if not self._there:
                sync_folder(self.path.parent)
        self._there = True
        self._end += len(data)
        self.unread += len(facts)

    def next(self, count: int) -> list[Fact]:
        """
        The first facts that are not in the log yet, up to a number; the same ones until `done`.

        Raises:
            LogBroken: bytes that were written cannot be read back.
        """
        found = list(islice(self.waiting(), count))
        if len(found) < min(count, self.unread):
            raise LogBroken(f"{self.path} is damaged behind byte {self._at.offset}; start again, the rest is fetched")
        return found

    def waiting(self) -> Iterator[Fact]:
        """Every fact that is not in the log yet, in order."""
        if self._there:
            with translate_errors(self.path), open_plain(self.path) as file:
                for fact, _ in _records(file, self._at.offset, self._end):
                    yield fact

    def done(self, count: int, last_seq: int) -> None:
        """
        The first facts are in the log now.

        Args:
            last_seq: the log's last seq.
        """
        with translate_errors(self.path), open_plain(self.path) as file:
            ends = [end for _, end in islice(_records(file, self._at.offset, self._end), count)]
        self._say(SpillPosition(ends[-1] if ends else self._at.offset, last_seq))
        self.unread -= count

    def finish(self) -> None:
        """Everything is in the log: the file goes."""
        self._there, self._at, self._end, self.unread = False, SpillPosition(0, 0), 0, 0
        with translate_errors(self.path):
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
            self._position_path.unlink(missing_ok=True)

    def _say(self, position: SpillPosition) -> None:
        write_atomic(self._position_path, seal(position))
        self._at = position

    def _open_old(self) -> None:
        try:
            self._at = read_sealed(self._position_path, SpillPosition, _MEND)
        except FileNotFoundError as error:
            raise LogBroken(f"{self._position_path} is missing; {_MEND}") from error
        self._there = True
        self._end = self._at.offset
        with open_plain(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            for _, end in _records(file, self._at.offset, size):
                self._end = end
                self.unread += 1
        if self._end < size:
            self._cut_off()

    def _cut_off(self) -> None:
        """
        Bytes behind the last whole record are a write that was not finished, or damage: they are kept aside. What was
        in them is missing by its ids, so that it is asked for again, or named.
        """
        part = self.path.with_name(f"{self.path.name}.rest")
        with open_plain(self.path) as file:
            size = os.fstat(file.fileno()).st_size - self._end
            if size > _LONGEST_REST:
                raise LogBroken(f"{self.path} holds {size:,} bytes behind byte {self._end} that are no facts; {_MEND}")
            file.seek(self._end)
            rest = file.read(size)
        write_atomic(part, rest)
        kept = move_aside(part)
        _log.warning("the spill ends in bytes that are no facts", file=str(self.path), bytes=len(rest), kept=kept.name)
        descriptor = open_private(self.path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, self._end)
        finally:
            os.close(descriptor)


def _write(path: Path, data: bytes, offset: int) -> None:
    descriptor = open_private(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, offset)
        left, at = memoryview(data), offset
        while left:
            written = os.pwrite(descriptor, left, at)
            left, at = left[written:], at + written
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, offset)
        raise
    finally:
        os.close(descriptor)


def _record(fact: Fact) -> bytes:
    kind = fact.kind.encode()
    payload = _STAMP.pack(fact.recv_ns, len(kind)) + kind + fact.data
    return _HEAD.pack(len(payload), crc32(payload)) + payload


def _records(file: BinaryIO, start: int, end: int) -> Iterator[tuple[Fact, int]]:
    """Whole records from one byte to another, and where each ends; ends at the first that is not whole."""
    file.seek(start)
    at = start
    while at + _HEAD.size <= end:
        length, checksum = _HEAD.unpack(file.read(_HEAD.size))
        if not _STAMP.size <= length <= min(_LONGEST_RECORD, end - at - _HEAD.size):
            return
        payload = file.read(length)
        recv_ns, letters = _STAMP.unpack_from(payload)
        if crc32(payload) != checksum:
            return
        at += _HEAD.size + length
        body = _STAMP.size + letters
        yield Fact(payload[_STAMP.size : body].decode(), recv_ns, payload[body:]), at
