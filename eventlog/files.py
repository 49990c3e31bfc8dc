"""
Writing files so that a reader sees the old one or the new one, never half of one.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eventlog.errors import EventLogError, StoreFull


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turn an operating system's error about a path into one line that names the mend."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreFull(f"no room left to write {path}; free space and run again") from error
        reason = error.strerror or str(error)
        raise EventLogError(f"cannot use {error.filename or path}: {reason}") from error


def write_synced(path: Path, data: bytes) -> None:
    """Write a whole file, on disk under its name when this returns; an older file stays whole until then."""
    temporary = path.with_name(f".{path.name}.new")
    with told_plainly(path):
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
