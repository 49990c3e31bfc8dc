"""
Checks that a file is as it was written: by its digest, computed again whenever the file's metadata changed.
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

_MAX_DIGESTS = 100_000  # in memory
_MIN_AGE_NS = 2 * SECOND_NS
"""Digests of younger files are not cached: a second write within one step of the file system's clock is not seen."""

_State = tuple[int, int, int, int, int]

_digests: dict[Path, tuple[_State, str]] = {}
"""Digests by path, with device, inode, size, and times of content and inode: a write changes at least one of them."""

_guard = Lock()


def expect_intact(path: Path, record: FileRecord) -> None:
    """
    Refuse a file whose digest differs from its record. Disk errors after the first check are found by the checksums of
    its pages, which every read verifies.

    Raises:
        LogBroken: it differs, is missing, or is a link. StoreUnavailable: it cannot be opened now.
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
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise LogBroken(f"{path} is no plain file; restore it from a backup")
        state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        entry = _digests.get(path)
        if entry is not None and entry[0] == state:
            return entry[1]
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if WallClock().now_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < _MIN_AGE_NS:
        return digest
    with _guard:
        if len(_digests) >= _MAX_DIGESTS:
            _digests.clear()
        _digests[path] = state, digest
    return digest
