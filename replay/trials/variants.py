"""
The ledger of all comparisons ever made: among many variants one looks good by chance, so each comparison counts.

JSON lines, one for each comparison, only ever appended, each on disk before `record` returns.
"""

import fcntl
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from eventlog.disk.files import open_plain, open_private, sync_folder, translate_errors
from replay.errors import BadLedger
from replay.inference.blocks import holm

_VERSION = 1  # raised when a line's fields change; others are not read
_PAUSE_S = 0.02  # between attempts to lock the file
_MAX_BYTES = 64 * 1024 * 1024  # of a ledger: bounds the memory for a file from elsewhere


@dataclass(frozen=True, slots=True)
class Variant:
    """
    The analyst of one side.

    Attributes:
        prompt: digest of its prompts, empty for rules. model: by name. mode: staged or compact, with thinking or
            without. settings: digest of whatever else changes its answers.
    """

    prompt: str
    model: str
    mode: str
    settings: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two variants, scored once by one metric.

    Attributes:
        from_ns, to_ns: the recorded range. repeats: answers for each minute and side. at_ns: when it was made.
        p: uncorrected; None where there were too few minutes. cost_usd_e12: of both sides, 1e-12 USD.
    """

    a: Variant
    b: Variant
    metric: str
    market: str
    from_ns: int
    to_ns: int
    repeats: int
    at_ns: int
    p: float | None
    cost_usd_e12: int

    @property
    def key(self) -> str:
        """A digest that is the same for a comparison run again, or with its sides swapped."""
        sides = sorted(msgspec.json.encode(side).decode() for side in (self.a, self.b))
        look = [*sides, self.metric, self.market, self.from_ns, self.to_ns, self.repeats]
        return blake2b(msgspec.json.encode(look), digest_size=16).hexdigest()


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    comparison: Comparison


class Ledger:
    """
    A file of comparisons; one process at a time writes it.

    Args:
        path: of the file, there or not.
        wait_s: how long to wait for another process, seconds.
    """

    def __init__(self, path: Path, wait_s: float = 10.0) -> None:
        self.path = path
        self._wait_s = wait_s

    def record(self, comparison: Comparison) -> None:
        """
        Append a comparison; one that was recorded before stays as well, and both count as one.

        Raises:
            BadLedger: it cannot be read, or another process has locked it.
        """
        line = msgspec.json.encode(_Line(_VERSION, comparison)) + b"\n"
        with translate_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(open_private(self.path, os.O_RDWR | os.O_APPEND), "a+b") as file:
                self._lock(file, fcntl.LOCK_EX)
                file.seek(0)
                file.truncate(self._parse_lines(self._data(file))[1])
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self.path.parent)

    def comparisons(self) -> list[Comparison]:
        """
        All comparisons, oldest first; one that was run again is there again.

        An incomplete last line, as a crash may leave it, is ignored with a warning.

        Raises:
            BadLedger: a line is no comparison, or one of a later version; or another process has locked the file.
        """
        with translate_errors(self.path):
            if not self.path.exists():
                return []
            with open_plain(self.path) as file:
                self._lock(file, fcntl.LOCK_SH)
                data = self._data(file)
        return self._parse_lines(data)[0]

    def count_comparisons(self, metric: str) -> int:
        """The number of different comparisons of one metric."""
        return len({c.key for c in self.comparisons() if c.metric == metric})

    def cost_usd_e12(self) -> int:
        """The cost of all comparisons, 1e-12 USD, repeated ones included."""
        return sum(c.cost_usd_e12 for c in self.comparisons())

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

    def _parse_lines(self, data: bytes) -> tuple[list[Comparison], int]:
        """The comparisons, and the number of bytes that hold them."""
        end = data.rfind(b"\n") + 1
        if end < len(data):
            warnings.warn(f"{self.path}: its last line is incomplete and is ignored", stacklevel=3)
        return [self._read(n, line) for n, line in enumerate(data[:end].split(b"\n")[:-1], 1)], end

    def _read(self, number: int, line: bytes) -> Comparison:
        try:
            parsed_line = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadLedger(f"{self.path}, line {number} is no comparison: {error}; restore it from a copy") from error
        if parsed_line.v != _VERSION:
            raise BadLedger(
                f"{self.path}, line {number} is of version {parsed_line.v}, this code knows {_VERSION}: update it"
            )
        return parsed_line.comparison


def correct_p_values(comparisons: Sequence[Comparison], ledger: Sequence[Comparison]) -> list[float | None]:
    """
    The p-values of comparisons, corrected for all that were ever made (Holm), of every metric and range.

    Args:
        comparisons: n comparisons.
        ledger: the entries of the ledger, with these or without; of one that was run again the latest p counts.

    Returns:
        n p-values, None where there were too few minutes.
    """
    latest = {c.key: c.p for c in (*ledger, *comparisons)}
    p_by_key = dict(zip(latest, holm(list(latest.values())), strict=True))
    return [p_by_key[c.key] for c in comparisons]
