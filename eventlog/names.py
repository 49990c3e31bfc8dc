"""
Names of a log in storage, in Redis and at the command line; names and contents of the small files beside it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from market.errors import BadMarket
from market.instrument import Market

_STREAM = re.compile(r"[a-z][a-z0-9_]{0,31}")

RESERVED_FILE = "reserved.json"
"""The file that reserves seqs for a log's writer; it lies beside the log's files."""

SPILL_FILE = "spill.log"
"""The file of facts that the log's server has not stored yet; it lies beside the log's files."""

SPILL_POSITION_FILE = "spill.position.json"
"""The file that holds the byte up to which the spill is in the log."""


class Reservation(msgspec.Struct, frozen=True):
    """
    Seqs of a log that are reserved for its writer: those up to `last` may have been used, those beyond were not.

    Attributes:
        closed: whether the writer ended with all of them stored: each must then be in the log.
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
            raise BadMarket(f"{self.stream!r} is no name of a log: use lower-case letters, digits and _")

    @property
    def key(self) -> str:
        """The Redis stream; the braces keep all keys of a market on one cluster slot."""
        return f"{self.stream}:{{{self.market}}}"

    def folder(self, storage: Path) -> Path:
        """The folder of this log's Parquet files."""
        return storage / self.market.venue / self.market.symbol / self.stream

    def __str__(self) -> str:
        return self.key
