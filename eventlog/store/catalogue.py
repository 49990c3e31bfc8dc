"""
The catalogue of a log's Parquet files: which segments exist. Readers take the file list from here, never from a glob.

A catalogue is untrusted, as logs are copied between people: its form is checked, and each name in it must be that of a
file of this log in the same folder.
"""

import re
import shlex
from pathlib import Path

import msgspec

from eventlog.disk.files import write_atomic
from eventlog.disk.sealed_json import read_sealed, seal
from eventlog.errors import EventLogError, LogBroken, LogNotFound

FILE_NAME = "catalogue.json"

_NAME = re.compile(r"([0-9]{15,19})-([0-9]{15,19})\.([a-z][a-z_]{0,40})\.parquet")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST_SEQ = 2**62  # of a file's name; anything larger is damage


class FileRecord(msgspec.Struct, frozen=True):
    """One Parquet file: all entries of one kind in a segment."""

    kind: str
    name: str
    rows: int
    size: int
    sha256: str


class Segment(msgspec.Struct, frozen=True):
    """
    The entries first_seq to last_seq, both inclusive, of every kind.

    Attributes:
        first_recv_ns, last_recv_ns: smallest and largest arrival.
        first_agg_id, last_agg_id: smallest and largest trade, None without trades.
    """

    first_seq: int
    last_seq: int
    first_recv_ns: int
    last_recv_ns: int
    files: tuple[FileRecord, ...]
    first_agg_id: int | None = None
    last_agg_id: int | None = None


class RetiredFile(msgspec.Struct, frozen=True):
    """A file that was merged into another and is kept until its readers have finished."""

    name: str
    retired_ns: int


class Catalogue(msgspec.Struct, frozen=True):
    """The segments and retired files of a log's cold part."""

    log: str
    log_id: str
    version: int = 1
    segments: tuple[Segment, ...] = ()
    retired: tuple[RetiredFile, ...] = ()

    @property
    def last_seq(self) -> int:
        """The last archived seq, 0 for none."""
        return self.segments[-1].last_seq if self.segments else 0

    @property
    def last_recv_ns(self) -> int:
        """The largest arrival in any segment, 0 for none."""
        return max((s.last_recv_ns for s in self.segments), default=0)

    @property
    def names(self) -> set[str]:
        """The names of all its files, retired ones included."""
        return {f.name for s in self.segments for f in s.files} | {r.name for r in self.retired}

    def save(self, folder: Path) -> None:
        """Replace the catalogue in one step."""
        write_atomic(folder / FILE_NAME, seal(self))


def file_name(first_seq: int, last_seq: int, kind: str) -> str:
    """
    The name of a file of a segment.

    Args:
        first_seq, last_seq: the range of the segment, both inclusive.
        kind: of the file's entries.

    >>> file_name(1, 50_000, "diff")
    '000000000000001-000000000050000.diff.parquet'
    """
    return f"{first_seq:015d}-{last_seq:015d}.{kind}.parquet"


def parse_file_name(name: str) -> tuple[int, int, str] | None:
    """First seq, last seq and kind from a file's name; None where it is not the name of a segment's file."""
    parts = _NAME.fullmatch(name)
    if parts is None:
        return None
    first, last, kind = int(parts[1]), int(parts[2]), parts[3]
    return (first, last, kind) if file_name(first, last, kind) == name and 0 < first <= last <= _LARGEST_SEQ else None


def rebuild_command(folder: Path) -> str:
    """The command that rebuilds a catalogue, for messages; `folder` is `<storage>/<venue>/<symbol>/<stream>`."""
    storage, market = folder.parent.parent.parent, f"{folder.parent.parent.name}:{folder.parent.name}"
    options = f"--market {market} --storage {shlex.quote(str(storage))}"
    return f"`liquidity log rebuild-catalogue {options}` makes it anew from the files"


def load(folder: Path) -> Catalogue:
    """
    Read a log's catalogue.

    Raises:
        LogNotFound: there is none.
        LogBroken: it is unreadable, was changed since it was written, holds a name that no file of this log has, or its
            segments do not follow one another.
    """
    path = folder / FILE_NAME
    try:
        catalogue = read_sealed(path, Catalogue, rebuild_command(folder))
    except FileNotFoundError as error:
        raise LogNotFound(f"no log in {folder}; record or import one first, or check --market and --storage") from error
    except OSError as error:
        raise EventLogError(f"cannot read {path}: {error.strerror}") from error
    fault = _find_fault(catalogue)
    if fault is not None:
        raise LogBroken(f"{path}: {fault}; {rebuild_command(folder)}")
    return catalogue


def _find_fault(catalogue: Catalogue) -> str | None:
    """The first fault in a catalogue's content, None where there is none."""
    names: set[str] = set()
    expected = catalogue.segments[0].first_seq if catalogue.segments else 1
    for segment in catalogue.segments:
        if not segment.first_seq <= segment.last_seq <= _LARGEST_SEQ:
            return f"seq {segment.first_seq} to {segment.last_seq} is no segment"
        if segment.first_seq != expected and not _starts_with_gap(expected, segment):
            return f"after seq {expected - 1} comes {segment.first_seq}"
        expected = segment.last_seq + 1
        for file in segment.files:
            if parse_file_name(file.name) != (segment.first_seq, segment.last_seq, file.kind) or file.name in names:
                return f"{file.name[:80]!r} is not what a file of seq {segment.first_seq}-{segment.last_seq} is called"
            if not (file.rows > 0 and file.size > 0 and _DIGEST.fullmatch(file.sha256)):
                return f"{file.name} has no size, no rows or no digest"
            names.add(file.name)
    unknown = next((r.name for r in catalogue.retired if parse_file_name(r.name) is None or r.name in names), None)
    return None if unknown is None else f"{unknown[:80]!r} is no file that was merged away"


def _starts_with_gap(expected: int, segment: Segment) -> bool:
    """A segment may start later where it holds the gap that names the lost seqs; `check` proves it."""
    return segment.first_seq > expected and any(f.kind == "gap" for f in segment.files)
