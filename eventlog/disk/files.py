"""
Files and folders of our own: readable by their owner alone, never opened through a link, replaced atomically.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from eventlog.errors import EventLogError, LogBroken, StoreFull, StoreUnavailable

OWNER_ONLY = 0o077
"""The umask of every process of ours: recordings, decisions and conversations are private to their owner."""

_FOLDER_MODE = 0o700  # the owner alone: a log tells what its owner trades
_FILE_MODE = 0o600  # the owner alone
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's error about a path into one of ours, whose message names the fix."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFull(f"no room left to write {path}; free space and run again") from error
        if error.errno in _NO_DESCRIPTORS:
            raise StoreUnavailable(
                f"no file descriptor left for {path}; close what holds them, or raise ulimit -n"
            ) from error
        if error.errno == errno.ELOOP:
            raise LogBroken(f"{error.filename or path} is a link; put the file itself in its place") from error
        reason = error.strerror or str(error)
        raise EventLogError(f"cannot use {error.filename or path}: {reason}") from error


def create_private_folder(folder: Path) -> None:
    """
    Make a folder and its missing parents, each for its owner alone; an existing folder is closed to other users.

    Raises:
        OSError: it cannot be made, or a file has its name.
    """
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir(mode=_FOLDER_MODE)
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if status.st_mode & OWNER_ONLY and status.st_uid == os.geteuid():
        folder.chmod(stat.S_IMODE(status.st_mode) & ~OWNER_ONLY)


def expect_no_link(root: Path, path: Path) -> None:
    """
    Refuse a path that leads through a link below a root: logs are copied between people, links with them.

    Args:
        root: the folder that the user named; it may be a link. path: below it.

    Raises:
        LogBroken: a part of the path is a link.
    """
    current = root
    for part in path.relative_to(root).parts:
        current = current / part
        if current.is_symlink():
            raise LogBroken(
                f"{current} is a link; a log holds files and folders of its own: put what it means in its place"
            )


def open_private(path: Path, flags: int = os.O_RDWR) -> int:
    """
    Open a file that is written in place, creating it where it is missing; returns its descriptor.

    Raises:
        OSError: it cannot be opened; ELOOP where it is a link.
        LogBroken: it is no plain file, or has another name somewhere that would change with it.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, _FILE_MODE)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise LogBroken(f"{path} is no plain file of its own; remove it, it is made anew")
    return descriptor


def read_plain(path: Path, max_bytes: int) -> bytes:
    """
    Read a small file that lies in a log's folder.

    Args:
        path: of the file. max_bytes: the longest that such a file may be.

    Raises:
        OSError: it cannot be read; ELOOP where it is a link.
        LogBroken: it is no regular file, or longer than `max_bytes`.
    """
    with open_plain(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise LogBroken(f"{path} is longer than {max_bytes:,} bytes, which no such file is")
    return data


def write_new(path: Path, data: bytes, synced: bool = True) -> None:
    """
    Write a new file; an existing file or link of that name is removed first.

    Args:
        path: of the file. data: all of its bytes.
        synced: whether the bytes are on disk when this returns.

    Raises:
        OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, _FILE_MODE)
    except FileExistsError:
        path.unlink()
        descriptor = os.open(path, flags, _FILE_MODE)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if synced:
            os.fsync(descriptor)


def write_atomic(path: Path, data: bytes, synced: bool = True) -> None:
    """
    Replace a file in one step: a reader sees the old file or the new one, never a part.

    Args:
        path: of the file. data: all of its bytes.
        synced: whether it is on disk under its name when this returns; False for files that may be lost in a crash.

    Raises:
        StoreFull, EventLogError: it could not be written; the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.new")
    with translate_errors(path):
        try:
            write_new(temporary, data, synced)
            os.replace(temporary, path)
        except OSError:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        if synced:
            sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_aside(path: Path, folder_name: str = "aside") -> Path:
    """
    Move a file into a folder beside it, under a name that is free there; no file is overwritten.

    Args:
        path: of the file. folder_name: of the folder, created where it is missing.

    Returns:
        The new path.
    """
    folder = path.parent / folder_name
    with translate_errors(folder):
        if folder.is_symlink():
            raise LogBroken(f"{folder} is a link; remove it")
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        target, number = folder / path.name, 0
        while target.exists() or target.is_symlink():
            number += 1
            target = folder / f"{path.name}.{number}"
        path.rename(target)
        sync_folder(folder)
        sync_folder(path.parent)
    return target


def file_digest(path: Path) -> str:
    """
    The sha256 of a file's bytes, in hex.

    Raises:
        OSError: it cannot be read; ELOOP where it is a link.
        LogBroken: it is no plain file.
    """
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_plain(path: Path) -> BufferedReader:
    """
    Open a regular file for reading; never a link, a pipe or a device, whose reader could be kept waiting.

    Raises:
        OSError: it cannot be opened; ELOOP where it is a link.
        LogBroken: it is no plain file.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise LogBroken(f"{path} is no plain file; remove it")
    return file
