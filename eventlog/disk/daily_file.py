"""
A file that grows by lines and begins anew every UTC day: the days before lie beside it under their dates, and the
oldest go. Several processes may share one.
"""

import fcntl
import os
import time
from pathlib import Path

from eventlog.disk.files import create_private_folder, open_private, translate_errors
from market.timestamps import DAY_NS, day_of, parse_iso

_WRITTEN_S = 0.05  # another process that is in the middle of a line has written it by then
_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


class DailyFile:
    """
    One file of lines.

    Args:
        path: of today's lines; yesterday's are in `<path>.<date>`.
        keep_days: how many days before today stay.
    """

    def __init__(self, path: Path, keep_days: int) -> None:
        self.path = path
        self._keep_days = keep_days
        self._descriptor: int | None = None
        self._day = ""
        self._is_cut_off = False

    def append(self, lines: str, now_ns: int) -> None:
        """
        Add whole lines, each with its end, to the file of the day it is; a line that a full disk or a crash cut off
        before them is ended first.

        Raises:
            StoreFull, EventLogError: they cannot be written.
        """
        with translate_errors(self.path):
            descriptor = self._of_day(day_of(now_ns))
            text = lines.encode("utf-8", "backslashreplace")
            data = memoryview(b"\n" + text if self._is_cut_off else text)
            while data:
                data = data[os.write(descriptor, data) :]
                self._is_cut_off = len(data) > 0

    def close(self) -> None:
        """Let go of the file; another append opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _of_day(self, day: str) -> int:
        """The descriptor of a day's file; of the right one, too, where another process began the day or removed it."""
        if self._descriptor is None or day != self._day or not self._is_current(self._descriptor):
            self.close()
            self._descriptor = self._open(day)
            self._day = day
            self._is_cut_off = _is_cut_off(self._descriptor)
        return self._descriptor

    def _open(self, day: str) -> int:
        create_private_folder(self.path.parent)
        lock = open_private(self.path.with_name(f".{self.path.name}.lock"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one begins the day
            if self.path.exists() and (last := self._last_day()) < day:
                self._set_aside(last)
                self._remove_before(day)
            return open_private(self.path, os.O_RDWR | os.O_APPEND)
        finally:
            os.close(lock)

    def _is_current(self, descriptor: int) -> bool:
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        ours = os.fstat(descriptor)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _last_day(self) -> str:
        return day_of(self.path.stat().st_mtime_ns)

    def _set_aside(self, day: str) -> None:
        target = self.path.with_name(f"{self.path.name}.{day}")
        if not target.exists():
            self.path.rename(target)
            return
        with open(self.path, "rb") as lines, open(open_private(target, os.O_WRONLY | os.O_APPEND), "ab") as older:
            older.write(lines.read())
        self.path.unlink()

    def _remove_before(self, day: str) -> None:
        """Remove what is older than the days that stay; what has no date in its name is nobody's to remove."""
        oldest = day_of(parse_iso(day) - self._keep_days * DAY_NS)
        for path in self.path.parent.glob(f"{self.path.name}.{_DATE}"):
            if path.name.removeprefix(f"{self.path.name}.") < oldest:
                path.unlink(missing_ok=True)


def _is_cut_off(descriptor: int) -> bool:
    """Whether a file's last line has no end, and nobody is writing it."""
    seen = -1
    while True:
        size = os.fstat(descriptor).st_size
        if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
            return False
        if size == seen:
            return True
        seen = size
        time.sleep(_WRITTEN_S)
