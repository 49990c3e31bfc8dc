"""How long processes waited for a core: what a busy machine takes from them says nothing about the product."""

import os
from pathlib import Path

_COUNTED = 2


class Starved:
    """
    How long threads of processes were ready to run and did not; 0 where the system does not say.

    Of each process the two threads count that waited longest, the one that hears and the one that acts: what more of
    them waited at the same time was no longer for it.

    Args:
        pids: the processes; this one is always among them.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = (os.getpid(), *pids)
        self._first: dict[Path, int] = {}
        self._last: dict[Path, int] = {}
        self.look()

    def look(self) -> None:
        """Take note; threads that end are remembered as they were seen last."""
        for pid in self._pids:
            for path in Path("/proc").glob(f"{pid}/task/*/schedstat"):
                try:
                    waited_ns = int(path.read_text().split()[1])
                except (OSError, LookupError, ValueError):
                    continue
                self._first.setdefault(path, waited_ns)
                self._last[path] = waited_ns

    @property
    def seconds(self) -> float:
        """How long they waited since the beginning."""
        total_ns = 0
        for pid in self._pids:
            threads = (path for path in self._first if path.parts[2] == str(pid))
            total_ns += sum(sorted(self._last[path] - self._first[path] for path in threads)[-_COUNTED:])
        return total_ns / 1e9
