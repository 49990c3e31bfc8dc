"""
Files of JSON lines that are only ever appended to, by one process at a time, each line on disk before it counts.
"""

import fcntl
import os
import time
import warnings
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import msgspec

from eventlog.disk.files import open_plain, open_private, sync_folder, translate_errors
from replay.errors import BadLedger

_PAUSE_S = 0.02  # between attempts to lock the file
_MAX_BYTES = 64 * 1024 * 1024  # of a ledger: bounds the memory for a file from elsewhere


class Versioned(msgspec.Struct, forbid_unknown_fields=True):
    """A line with the version of its fields, another of which is not read."""

    v: int


T = TypeVar("T", bound=Versioned)


class LedgerFile(Generic[T]):
    """
    A ledger on disk.

    Args:
        path: of the file, there or not.
        line: what a line is. version: of its fields. noun: what it is called in errors.
        wait_s: how long to wait for another process, seconds.
    """

    def __init__(self, path: Path, line: type[T], version: int, noun: str, wait_s: float = 10.0) -> None:
        self.path = path
        self._line = line
        self._version = version
        self._noun = noun
        self._wait_s = wait_s

    def append(self, line: T) -> None:
        """
        Append a line.

        Raises:
            BadLedger: the file cannot be read, or another process has locked it.
        """
        encoded = msgspec.json.encode(line) + b"\n"
        with translate_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(open_private(self.path, os.O_RDWR | os.O_APPEND), "a+b") as file:
                self._lock(file, fcntl.LOCK_EX)
                file.seek(0)
                file.truncate(self._parse(self._data(file))[1])
                file.write(encoded)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self.path.parent)

    def lines(self) -> list[T]:
        """
        All lines, oldest first; an incomplete last one, as a crash may leave it, is ignored with a warning.

        Raises:
            BadLedger: a line is none of this kind, or one of a later version; or another process has locked the file.
        """
        with translate_errors(self.path):
            if not self.path.exists():
                return []
            with open_plain(self.path) as file:
                self._lock(file, fcntl.LOCK_SH)
                data = self._data(file)
        return self._parse(data)[0]

    def _data(self, file: BinaryIO) -> bytes:
        data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise BadLedger(f"{self.path} is longer than {_MAX_BYTES:,} bytes, which no ledger is; restore it")
        return data

    def _lock(self, file: BinaryIO, how: int) -> None:
        until = time.monotonic() + self._wait_s
        while True:
            try:
                return fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise BadLedger(f"{self.path} is locked by another process; run again when it is done") from None
            time.sleep(_PAUSE_S)

    def _parse(self, data: bytes) -> tuple[list[T], int]:
        """The lines, and the number of bytes that hold them."""
        end = data.rfind(b"\n") + 1
        if end < len(data):
            warnings.warn(f"{self.path}: its last line is incomplete and is ignored", stacklevel=3)
        return [self._read(n, line) for n, line in enumerate(data[:end].split(b"\n")[:-1], 1)], end

    def _read(self, number: int, line: bytes) -> T:
        try:
            parsed_line = msgspec.json.decode(line, type=self._line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadLedger(
                f"{self.path}, line {number} is no {self._noun}: {error}; restore it from a copy"
            ) from error
        if parsed_line.v != self._version:
            raise BadLedger(
                f"{self.path}, line {number} is of version {parsed_line.v}, this code knows {self._version}: update it"
            )
        return parsed_line
