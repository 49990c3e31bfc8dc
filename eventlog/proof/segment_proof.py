"""
A segment as its files prove it, whatever any catalogue says: which entries they hold, each of them once.
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
from market.ranges import Range, minus

MAX_NAMED = 3
"""How many ranges, or faults, a message names."""

_MIX, _MIX_TOO = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd: a product loses nothing


@dataclass(frozen=True, slots=True)
class SegmentProof:
    """
    A segment whose files hold all of it.

    Attributes:
        lost: ranges of seqs that its gaps name as lost.
        marks: for each stretch between two cuts, by its first seq, a number that is equal for equal entries.
    """

    segment: Segment
    lost: tuple[Range, ...]
    marks: Mapping[int, int]

    @property
    def span(self) -> int:
        """How many seqs it covers."""
        return self.segment.last_seq - self.segment.first_seq + 1


def prove_segment(first: int, last: int, files: Mapping[str, Path], cuts: I64) -> SegmentProof:
    """
    Read the files of one range of seqs, both ends inclusive.

    Args:
        files: by kind. cuts: rising seqs between which entries are compared with those of other segments.

    Raises:
        LogBroken: a file is damaged or not what its name says, or they do not hold every entry once.
    """
    seqs, arrivals, records, lost = [], [], [], []
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
            lost += [(g["first"], g["last"]) for g in table.to_pylist() if g["what"] == "seqs"]
    held, recv_ns = np.concatenate(seqs), np.concatenate(arrivals)
    order = np.argsort(held)
    held, recv_ns = held[order], recv_ns[order]
    missing = _unnamed(held, first, last, lost)
    if missing or np.any(np.diff(held) == 0) or held[0] < first or held[-1] > last:
        lacking = name_ranges(missing) or "each entry of that range once, and no other"
        raise LogBroken(f"the files of seq {first}-{last} do not hold {lacking}")
    spans = int(recv_ns.min()), int(recv_ns.max()), tuple(records), agg_ids["min"], agg_ids["max"]
    return SegmentProof(Segment(first, last, *spans), tuple(lost), _marks(held, recv_ns, cuts))


def ranges_left(missing: Sequence[Range], lost: Iterable[Range]) -> list[Range]:
    """What of missing ranges no other range, of what was lost, covers."""
    gaps = [{"first": first, "last": last} for first, last in lost]
    return [rest for each in missing for rest in minus(each, *((gap["first"], gap["last"]) for gap in gaps))]


def name_ranges(ranges: Sequence[Range]) -> str:
    """Ranges of seqs in words; empty for none."""
    shown = ", ".join(f"{first}-{last}" for first, last in ranges[:MAX_NAMED])
    return f"seq {shown}{' …' if len(ranges) > MAX_NAMED else ''}" if ranges else ""


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


def _unnamed(held: I64, first: int, last: int, lost: Iterable[Range]) -> list[Range]:
    edges = np.concatenate(([first - 1], held, [last + 1]))
    at = np.flatnonzero(np.diff(edges) > 1)
    return ranges_left([(int(edges[i]) + 1, int(edges[i + 1]) - 1) for i in at], lost)


def _marks(seqs: I64, recv_ns: I64, cuts: I64) -> dict[int, int]:
    inside = cuts[(cuts >= seqs[0]) & (cuts <= seqs[-1] + 1)]
    mixed = (seqs.astype(np.uint64) * _MIX) ^ (recv_ns.astype(np.uint64) * _MIX_TOO)
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)))
    marks = np.diff(sums[np.searchsorted(seqs, inside)])
    return dict(zip(inside[:-1].tolist(), marks.tolist(), strict=True))
