"""
Proof that the files of a segment hold each of its entries once, without a catalogue.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eventlog.disk import parquet_files
from eventlog.disk.files import file_digest, translate_errors
from eventlog.errors import LogBroken, first_line
from eventlog.facts.capture import GAP
from eventlog.facts.market import AGG_TRADE
from eventlog.facts.registry import SCHEMAS
from eventlog.store.catalogue import FileRecord, Segment
from market.arrays import I64
from market.ranges import Range, remaining_ranges

MAX_NAMED = 3
"""The largest number of ranges, or of faults, that a message names."""

_MIX_SEQ, _MIX_TIME = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xC2B2AE3D27D4EB4F),
)  # odd: a product mod 2^64 loses no bits


@dataclass(frozen=True, slots=True)
class SegmentProof:
    """
    A segment whose files hold all of its entries.

    Attributes:
        lost_ranges: ranges of seqs that its gaps name as lost.
        marks: for each stretch between two cuts, by its first seq, a hash that is equal for equal entries.
    """

    segment: Segment
    lost_ranges: tuple[Range, ...]
    marks: Mapping[int, int]

    @property
    def span(self) -> int:
        """The number of seqs that it covers."""
        return self.segment.last_seq - self.segment.first_seq + 1


def prove_segment(first: int, last: int, files: Mapping[str, Path], cuts: I64) -> SegmentProof:
    """
    Read the files of one range of seqs and prove that they hold all of it.

    Args:
        first, last: the range, both inclusive.
        files: their paths by kind.
        cuts: rising seqs, int64; entries between two of them are compared with those of other segments.

    Raises:
        LogBroken: a file is damaged or not what its name says, or they do not hold every entry once.
    """
    seqs, arrivals, records, lost_ranges = [], [], [], []
    agg_ids: dict[str, int | None] = {"min": None, "max": None}
    for kind, path in sorted(files.items()):
        table = _table(kind, path)
        seqs.append(table.column("seq").to_numpy())
        arrivals.append(table.column("recv_ns").to_numpy())
        with translate_errors(path):
            records.append(FileRecord(kind, path.name, table.num_rows, path.stat().st_size, file_digest(path)))
        if kind == AGG_TRADE:
            agg_ids = pc.min_max(table.column("agg_id")).as_py()
        if kind == GAP:
            lost_ranges += [(g["first"], g["last"]) for g in table.to_pylist() if g["what"] == "seqs"]
    present, recv_ns = np.concatenate(seqs), np.concatenate(arrivals)
    order = np.argsort(present)
    present, recv_ns = present[order], recv_ns[order]
    missing = _find_unnamed(present, first, last, lost_ranges)
    if missing or np.any(np.diff(present) == 0) or present[0] < first or present[-1] > last:
        missing_text = format_ranges(missing) or "each entry of that range once, and no other"
        raise LogBroken(f"the files of seq {first}-{last} do not hold {missing_text}")
    spans = int(recv_ns.min()), int(recv_ns.max()), tuple(records), agg_ids["min"], agg_ids["max"]
    return SegmentProof(Segment(first, last, *spans), tuple(lost_ranges), _marks(present, recv_ns, cuts))


def subtract_ranges(missing: Sequence[Range], lost_ranges: Iterable[Range]) -> list[Range]:
    """The parts of missing ranges that no lost range covers."""
    exclusions = list(lost_ranges)
    return [rest for item in missing for rest in remaining_ranges(item, *exclusions)]


def format_ranges(ranges: Sequence[Range]) -> str:
    """
    Ranges of seqs as text, empty for none.

    >>> format_ranges([(1, 3), (7, 9)])
    'seq 1-3, 7-9'
    """
    text = ", ".join(f"{first}-{last}" for first, last in ranges[:MAX_NAMED])
    return f"seq {text}{' …' if len(ranges) > MAX_NAMED else ''}" if ranges else ""


def _table(kind: str, path: Path) -> pa.Table:
    if kind not in SCHEMAS:
        raise LogBroken(f"{path.name} is of a kind that this version does not know")
    try:
        table = parquet_files.read(kind, path).cast(SCHEMAS[kind])
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise LogBroken(f"{path.name} has other columns than a file of its kind ({first_line(error, 120)})") from error
    if table.num_rows == 0:
        raise LogBroken(f"{path.name} is empty")
    return table


def _find_unnamed(present: I64, first: int, last: int, lost_ranges: Iterable[Range]) -> list[Range]:
    edges = np.concatenate(([first - 1], present, [last + 1]))
    jumps = np.flatnonzero(np.diff(edges) > 1)
    return subtract_ranges([(int(edges[i]) + 1, int(edges[i + 1]) - 1) for i in jumps], lost_ranges)


def _marks(seqs: I64, recv_ns: I64, cuts: I64) -> dict[int, int]:
    inside = cuts[(cuts >= seqs[0]) & (cuts <= seqs[-1] + 1)]
    hashes = (seqs.astype(np.uint64) * _MIX_SEQ) ^ (recv_ns.astype(np.uint64) * _MIX_TIME)
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)))
    marks = np.diff(sums[np.searchsorted(seqs, inside)])
    return dict(zip(inside[:-1].tolist(), marks.tolist(), strict=True))
