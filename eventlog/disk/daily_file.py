"""
A file of lines that is rotated every UTC day: earlier days get their date in their name, and the oldest are removed.
Several processes may share one.
"""

import fcntl
import os
import time
from pathlib import Path

from eventlog.disk.files import create_private_folder, open_private, translate_errors
from market.timestamps import DAY_NS, day_of, parse_iso

_LINE_TIMEOUT_S = 0.05  # a line without an end that has not grown for so long is cut off: no process is writing it
_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


class DailyFile:
    """
    One file of lines.

    Args:
        path: holds today's lines; those of an earlier day are in `<path>.<date>`.
        keep_days: number of days before today that are kept.
    """

    def __init__(self, path: Path, keep_days: int) -> None:
        self.path = path
        self._keep_days = keep_days
        self._descriptor: int | None = None
        self._day = ""
        self._is_cut_off = False

    def append(self, lines: str, now_ns: int) -> None:
        """
        Append complete lines to the file of the day that `now_ns` lies in; if a full disk or a crash cut off the line
        before them, it is ended first.

        Args:
            lines: text that ends in a newline. now_ns: the current time, UTC.

        Raises:
            StoreFull, EventLogError: they cannot be written.
        """
        with translate_errors(self.path):
            descriptor = self._open_for_day(day_of(now_ns))
            text = lines.encode("utf-8", "backslashreplace")
            data = memoryview(b"\n" + text if self._is_cut_off else text)
            while data:
                data = data[os.write(descriptor, data) :]
                self._is_cut_off = len(data) > 0

    def close(self) -> None:
        """Close the file; the next `append` opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open_for_day(self, day: str) -> int:
        """The descriptor of a day's file, opened again where another process rotated or removed the file."""
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
            fcntl.flock(lock, fcntl.LOCK_EX)  # only one of several processes rotates the file
            if self.path.exists() and (last := self._last_day()) < day:
                self._rename_to_day(last)
                self._remove_before(day)
            return open_private(self.path, os.O_RDWR | os.O_APPEND)
        finally:
            os.close(lock)

    def _is_current(self, descriptor: int) -> bool:
        try:
            on_disk = os.stat(self.path)
        except FileNotFoundError:
            return False
        ours = os.fstat(descriptor)
        return (on_disk.st_dev, on_disk.st_ino) == (ours.st_dev, ours.st_ino)

    def _last_day(self) -> str:
        return day_of(self.path.stat().st_mtime_ns)

    def _rename_to_day(self, day: str) -> None:
        target = self.path.with_name(f"{self.path.name}.{day}")
        if not target.exists():
            self.path.rename(target)
            return
        with open(self.path, "rb") as lines, open(open_private(target, os.O_WRONLY | os.O_APPEND), "ab") as older:
            older.write(lines.read())
        self.path.unlink()

    def _remove_before(self, day: str) -> None:
        """Remove files older than the days that are kept; a file without a date in its name is never removed."""
        oldest = day_of(parse_iso(day) - self._keep_days * DAY_NS)
        for path in self.path.parent.glob(f"{self.path.name}.{_DATE}"):
            if path.name.removeprefix(f"{self.path.name}.") < oldest:
                path.unlink(missing_ok=True)


def _is_cut_off(descriptor: int) -> bool:
    """Whether a file's last line has no end, and no process is writing it."""
    previous_size = -1
    while True:
        size = os.fstat(descriptor).st_size
        if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
            return False
        if size == previous_size:
            return True
        previous_size = size
        time.sleep(_LINE_TIMEOUT_S)
