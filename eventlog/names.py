"""
How a log is called: in storage, in Redis, at the command line.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from market.errors import BadMarket
from market.instrument import Market

_STREAM = re.compile(r"[a-z][a-z0-9_]{0,31}")

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
    """
    One log of a market: its `events`, the `decisions` made about it, or another stream of facts.

    Args:
        stream: lower-case letters, digits and underscores; it names a folder and a Redis key.

    Raises:
        BadMarket: no such name.
    """

    stream: str
    market: Market

    def __post_init__(self) -> None:
        if not _STREAM.fullmatch(self.stream):
            raise BadMarket(f"{self.stream!r} names no log: lower-case letters, digits and _ are what it is made of")

    @property
    def key(self) -> str:
        """The Redis stream; the braces keep all keys of a market on one cluster slot."""
        return f"{self.stream}:{{{self.market}}}"

    def folder(self, storage: Path) -> Path:
        """Where the Parquet files of this log lie."""
        return storage / self.market.venue / self.market.symbol / self.stream

    def __str__(self) -> str:
        return self.key
