"""
An append-only file beside the log, for facts that do not fit in memory while the log's server is slow or away.

The file holds facts not yet numbered, each as `length crc32 payload`, and log and file together are always a prefix
of the facts that were put: no fact between the log's end and the file's first is missing. `spill.position.json` names
the byte up to which the facts are in the log, and the log's last seq at that moment. A process that died after storing
a batch and before writing the position leaves entries after that seq: the next process counts them and skips that many
facts, so that none is stored twice. Bytes after the last complete record, an unfinished write, are moved aside.
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

MAX_BYTES = 8 << 30  # the largest file, by default
_MAX_RECORD_BYTES = 1 << 28  # a longer length is damage
_MAX_REST_BYTES = 2 * _MAX_RECORD_BYTES
"""The most bytes after the last complete record: an unfinished write is shorter."""
_HEAD = struct.Struct("<II")
_STAMP = struct.Struct("<qB")
_FIX = "restore it from a backup, or move it and spill.log away: the trades in it are fetched again"

_log = structlog.get_logger()


def read_spill_seq(folder: Path) -> int:
    """Read a seq that was used according to a log's spill, 0 where there is no spill; needs no lock of the log."""
    with suppress(OSError, LogBroken):  # `Spill` reports the fault
        if (folder / SPILL_FILE).exists():
            return read_sealed(folder / SPILL_POSITION_FILE, SpillPosition, _FIX).after_seq
    return 0


class Spill:
    """
    The file of one log; used by the log's only writer, under its lock.

    Args:
        folder: of the log.
        max_bytes: the file's largest size.

    Attributes:
        pending_count: number of facts in the file that are not in the log yet.

    Raises:
        LogBroken: there is a file, but its position cannot be read.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = folder / SPILL_FILE
        self._position_path = folder / SPILL_POSITION_FILE
        self._max_bytes = max_bytes
        self._exists = False
        self._position = SpillPosition(0, 0)
        self._end = 0
        self.pending_count = 0
        with translate_errors(self.path):
            if self.path.is_symlink() or self._position_path.is_symlink():
                raise LogBroken(f"{self.path} or its position is a link; remove it")
            if self.path.exists():
                self._open_existing()

    @property
    def is_open(self) -> bool:
        """Whether there is a file."""
        return self._exists

    @property
    def after_seq(self) -> int:
        """The log's last seq once all facts before the pending ones were in it; 0 where there is no file."""
        return self._position.after_seq

    @property
    def pending_bytes(self) -> int:
        """The number of bytes of the file that are not in the log yet."""
        return self._end - self._position.offset

    def append(self, facts: Sequence[Fact], after_seq: int, has_limit: bool = True) -> None:
        """
        Append facts, all or none; they are on disk when this returns.

        Args:
            facts: in the order in which they will be stored.
            after_seq: the log's last seq; used where no fact is pending: the first fact follows it.
            has_limit: whether the file's largest size applies; False for facts that would be lost otherwise.

        Raises:
            StoreFull: no room on the disk, or the file would pass its limit.
        """
        data = b"".join(_record(fact) for fact in facts)
        if has_limit and self._end + len(data) > self._max_bytes:
            raise StoreFull(f"{self.path} would grow beyond {self._max_bytes:,} bytes; bring the log's server back")
        with translate_errors(self.path):
            if self.pending_count == 0:  # first the position: a file without one cannot be read
                self._write_position(SpillPosition(self._end, after_seq))
            _write(self.path, data, self._end)
            if not self._exists:
                sync_folder(self.path.parent)
        self._exists = True
        self._end += len(data)
        self.pending_count += len(facts)

    def next(self, count: int) -> list[Fact]:
        """
        Read up to `count` facts that are not in the log yet, from the first one; the same ones until `mark_stored`.

        Raises:
            LogBroken: a fact cannot be read back.
        """
        facts = list(islice(self.read_pending(), count))
        if len(facts) < min(count, self.pending_count):
            raise LogBroken(
                f"{self.path} is damaged behind byte {self._position.offset}; start again, the rest is fetched"
            )
        return facts

    def read_pending(self) -> Iterator[Fact]:
        """All facts that are not in the log yet, in order."""
        if self._exists:
            with translate_errors(self.path), open_plain(self.path) as file:
                for fact, _ in _records(file, self._position.offset, self._end):
                    yield fact

    def mark_stored(self, count: int, last_seq: int) -> None:
        """
        Record that the first pending facts are in the log.

        Args:
            count: their number. last_seq: the log's last seq.
        """
        with translate_errors(self.path), open_plain(self.path) as file:
            ends = [end for _, end in islice(_records(file, self._position.offset, self._end), count)]
        self._write_position(SpillPosition(ends[-1] if ends else self._position.offset, last_seq))
        self.pending_count -= count

    def finish(self) -> None:
        """Remove the file: all of its facts are in the log."""
        self._exists, self._position, self._end, self.pending_count = False, SpillPosition(0, 0), 0, 0
        with translate_errors(self.path):
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
            self._position_path.unlink(missing_ok=True)

    def _write_position(self, position: SpillPosition) -> None:
        write_atomic(self._position_path, seal(position))
        self._position = position

    def _open_existing(self) -> None:
        try:
            self._position = read_sealed(self._position_path, SpillPosition, _FIX)
        except FileNotFoundError as error:
            raise LogBroken(f"{self._position_path} is missing; {_FIX}") from error
        self._exists = True
        self._end = self._position.offset
        with open_plain(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            for _, end in _records(file, self._position.offset, size):
                self._end = end
                self.pending_count += 1
        if self._end < size:
            self._move_rest_aside()

    def _move_rest_aside(self) -> None:
        """
        Move the bytes after the last complete record, an unfinished write or damage, into a file of their own. Facts in
        them are found missing by their ids, and requested again or named by a gap.
        """
        rest_path = self.path.with_name(f"{self.path.name}.rest")
        with open_plain(self.path) as file:
            size = os.fstat(file.fileno()).st_size - self._end
            if size > _MAX_REST_BYTES:
                raise LogBroken(f"{self.path} holds {size:,} bytes behind byte {self._end} that are no facts; {_FIX}")
            file.seek(self._end)
            rest = file.read(size)
        write_atomic(rest_path, rest)
        moved_path = move_aside(rest_path)
        _log.warning(
            "the spill ends in bytes that are no facts", file=str(self.path), bytes=len(rest), kept=moved_path.name
        )
        descriptor = open_private(self.path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, self._end)
        finally:
            os.close(descriptor)


def _write(path: Path, data: bytes, offset: int) -> None:
    descriptor = open_private(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, offset)
        remaining, position = memoryview(data), offset
        while remaining:
            count = os.pwrite(descriptor, remaining, position)
            remaining, position = remaining[count:], position + count
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
    """Complete records from one byte to another, and where each ends; stops at the first incomplete or damaged one."""
    file.seek(start)
    position = start
    while position + _HEAD.size <= end:
        length, checksum = _HEAD.unpack(file.read(_HEAD.size))
        if not _STAMP.size <= length <= min(_MAX_RECORD_BYTES, end - position - _HEAD.size):
            return
        payload = file.read(length)
        recv_ns, kind_length = _STAMP.unpack_from(payload)
        if crc32(payload) != checksum:
            return
        position += _HEAD.size + length
        body = _STAMP.size + kind_length
        yield Fact(payload[_STAMP.size : body].decode(), recv_ns, payload[body:]), position
