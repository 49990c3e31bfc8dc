"""
The catalogue of a log's Parquet files: which segments exist. Readers take the file list from here, never from a glob.
"""

from pathlib import Path

import msgspec

from eventlog.errors import EventLogError, LogBroken, LogNotFound
from eventlog.files import write_synced

FILE_NAME = "catalogue.json"


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


class Retired(msgspec.Struct, frozen=True):
    """A file that was merged into another and waits for its readers to finish."""

    name: str
    retired_ns: int


class Catalogue(msgspec.Struct, frozen=True):
    """Everything a reader needs to know about a log's cold part."""

    log: str
    log_id: str
    version: int = 1
    segments: tuple[Segment, ...] = ()
    retired: tuple[Retired, ...] = ()

    @property
    def last_seq(self) -> int:
        """The last archived seq, 0 for none."""
        return self.segments[-1].last_seq if self.segments else 0

    @property
    def last_recv_ns(self) -> int:
        """The largest arrival in any segment, 0 for none."""
        return max((s.last_recv_ns for s in self.segments), default=0)

    def save(self, folder: Path) -> None:
        """Replace the catalogue in one step."""
        write_synced(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(self), indent=1))


def load(folder: Path) -> Catalogue:
    """
    Read a log's catalogue.

    Raises:
        LogNotFound: there is none.
        LogBroken: it is unreadable, or its segments do not follow one another.
    """
    path = folder / FILE_NAME
    try:
        catalogue = msgspec.json.decode(path.read_bytes(), type=Catalogue)
    except FileNotFoundError as error:
        raise LogNotFound(f"no log in {folder}; record or import one first, or check --market and --storage") from error
    except OSError as error:
        raise EventLogError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LogBroken(f"{path} is damaged ({error}); restore it from a backup") from error
    expected = catalogue.segments[0].first_seq if catalogue.segments else 1
    for segment in catalogue.segments:
        if segment.first_seq != expected and not _named_lost(catalogue, expected, segment):
            raise LogBroken(f"{path}: after seq {expected - 1} comes {segment.first_seq}")
        expected = segment.last_seq + 1
    return catalogue


def _named_lost(catalogue: Catalogue, expected: int, segment: Segment) -> bool:
    """A segment may start later where it holds the gap that names the lost seqs; `check` proves it."""
    return segment.first_seq > expected and any(f.kind == "gap" for f in segment.files)
