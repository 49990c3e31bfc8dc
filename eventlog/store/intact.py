"""
Whether a file is as it was written: hashed whole, and again as soon as anything about it changed.
"""

import hashlib
import os
import stat
from pathlib import Path
from threading import Lock

from eventlog.clock import WallClock
from eventlog.disk.files import translate_errors
from eventlog.errors import LogBroken
from eventlog.store.catalogue import FileRecord
from market.timestamps import SECOND_NS

_MAX_REMEMBERED = 100_000
_SETTLED_NS = 2 * SECOND_NS  # a second write within one step of the file system's clock would look like none

_State = tuple[int, int, int, int, int]

_known: dict[Path, tuple[_State, str]] = {}
"""What this process has hashed: device, inode, size, and times of content and inode; no write leaves all of them."""

_guard = Lock()


def expect_intact(path: Path, record: FileRecord) -> None:
    """
    Refuse a file whose bytes are not those on record. Disk errors later in this process are left to the pages' own
    checksums, which every read verifies.

    Raises:
        LogBroken: they are not; or it is missing, or a link. StoreUnavailable: it cannot be opened now.
    """
    with translate_errors(path):
        try:
            digest = _digest(path)
        except FileNotFoundError as error:
            raise LogBroken(
                f"{path.name} is in the catalogue but not in {path.parent}; restore it from a backup"
            ) from error
    if digest != record.sha256:
        raise LogBroken(f"{path} is not as it was written; restore it from a backup")


def _digest(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise LogBroken(f"{path} is no plain file; restore it from a backup")
        state = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        known = _known.get(path)
        if known is not None and known[0] == state:
            return known[1]
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if WallClock().now_ns() - max(about.st_mtime_ns, about.st_ctime_ns) < _SETTLED_NS:
        return digest
    with _guard:
        if len(_known) >= _MAX_REMEMBERED:
            _known.clear()
        _known[path] = state, digest
    return digest
