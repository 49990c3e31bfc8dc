"""
How a log is called: in storage, in Redis, at the command line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from market.instrument import Market

RESERVED_FILE = "reserved.json"
"""Beside a log's files: which seqs its writer may have used."""

SPILL_FILE = "spill.log"
"""Beside a log's files: what its recorder has taken and its server not yet."""

SPILL_POSITION_FILE = "spill.position.json"
"""Beside the spill: the byte up to which it is in the log."""


class Reserved(msgspec.Struct, frozen=True):
    """
    Seqs of a log up to `last` may have been used; they were not used beyond `last` for certain.

    Attributes:
        closed: whether the writer ended with all of them stored: none is free, and each must be somewhere.
    """

    last: int
    epoch: int
    log_id: str = ""
    closed: bool = False


class SpillPosition(msgspec.Struct, frozen=True):
    """Facts before byte `offset` are in the log, and were when its last seq was `after_seq`."""

    offset: int
    after_seq: int


@dataclass(frozen=True, slots=True)
class LogName:
    """One log: the `events` of a market, or the `decisions` made about it."""

    stream: Literal["events", "decisions"]
    market: Market

    @property
    def key(self) -> str:
        """The Redis stream; the braces keep all keys of a market on one cluster slot."""
        return f"{self.stream}:{{{self.market}}}"

    def folder(self, storage: Path) -> Path:
        """Where the Parquet files of this log lie."""
        return storage / self.market.venue / self.market.symbol / self.stream

    def __str__(self) -> str:
        return self.key
