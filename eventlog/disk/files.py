"""
Files and folders of our own: for their owner alone, never through a link, and seen whole or not at all.
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
"""The umask of every process of ours: recordings, decisions and conversations are nobody else's to read."""

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's error about a path into one line that names the mend."""
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
    Make a folder and what is missing above it, each for its owner alone; one that is there is closed to others.

    Raises:
        OSError: it cannot be made, or its name is taken by something else.
    """
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=_FOLDER_MODE)
    about = folder.stat()
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if about.st_mode & OWNER_ONLY and about.st_uid == os.geteuid():
        folder.chmod(stat.S_IMODE(about.st_mode) & ~OWNER_ONLY)


def expect_no_link(root: Path, path: Path) -> None:
    """
    Refuse a path that leads through a link anywhere below a root: logs are handed on between people, links with them.

    Args:
        root: named by the user, who may have linked it himself.

    Raises:
        LogBroken: it does.
    """
    at = root
    for part in path.relative_to(root).parts:
        at = at / part
        if at.is_symlink():
            raise LogBroken(f"{at} is a link; a log holds files and folders of its own: put what it means in its place")


def open_private(path: Path, flags: int = os.O_RDWR) -> int:
    """
    A descriptor of a file that is written in place, made where it is missing.

    Raises:
        OSError: it cannot be opened; ELOOP where it is a link.
        LogBroken: it is no plain file, or has another name somewhere that would change with it.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, _FILE_MODE)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
        os.close(descriptor)
        raise LogBroken(f"{path} is no plain file of its own; remove it, it is made anew")
    return descriptor


def read_plain(path: Path, most_bytes: int) -> bytes:
    """
    All of a small file that lies in a log's folder.

    Raises:
        OSError: it cannot be read; ELOOP where it is a link.
        LogBroken: it is no plain file, or longer than any of its kind.
    """
    with open_plain(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise LogBroken(f"{path} is longer than {most_bytes:,} bytes, which no such file is")
    return data


def write_new(path: Path, data: bytes, synced: bool = True) -> None:
    """Write a file under a name of our own choice; what lies under that name, a link perhaps, goes first."""
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


def write_whole(path: Path, data: bytes, synced: bool = True) -> None:
    """
    Write a whole file; whoever reads meanwhile sees the older one, or this one.

    Args:
        synced: whether it is on disk under its name when this returns; what is only for looking at need not be.

    Raises:
        StoreFull, EventLogError: it could not be written; an older file is as it was.
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
    Move a file into a folder beside it, under a name that is free there; nothing is ever removed.

    Returns:
        Where it is now.
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


def digest_of(path: Path) -> str:
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
    A file to read, never by a link, and nothing that could keep its reader waiting.

    Raises:
        OSError: it cannot be opened; ELOOP where it is a link.
        LogBroken: it is no plain file.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise LogBroken(f"{path} is no plain file; remove it")
    return file
