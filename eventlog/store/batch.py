"""
A stretch of the log as columns, the input of every fold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from market.arrays import I64


class Columns:
    """One kind's rows as numpy columns, each converted once, on first read."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._lists: dict[str, tuple[I64, I64]] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        array = self._arrays.get(name)
        if array is None:
            array = self.table.column(name).to_numpy()
            self._arrays[name] = array
        return array

    def value(self, name: str, row: int) -> Any:
        """One cell as a Python value, None where it is null; for kinds with few rows."""
        return self.table.column(name)[row].as_py()

    def flatten(self, name: str) -> tuple[I64, I64]:
        """
        The values of a list column as one array, without a Python object per row.

        Returns:
            n + 1 offsets, and the values of all rows: row i's are values[offsets[i] : offsets[i + 1]].
        """
        lists = self._lists.get(name)
        if lists is None:
            column = self.table.column(name).combine_chunks()
            array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            values = array.values.to_numpy(zero_copy_only=False)
            lists = array.offsets.to_numpy().astype(np.int64), np.asarray(values, np.int64)
            self._lists[name] = lists
        return lists

    def levels(self, name: str, row: int) -> I64:
        """One cell of a list column as int64."""
        return np.asarray(self.table.column(name)[row].values.to_numpy(zero_copy_only=False), np.int64)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows start to stop of one kind."""

    columns: Columns
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name][self.start : self.stop]

    def table(self) -> pa.Table:
        """These rows alone, as Arrow; nothing is copied."""
        return self.columns.table.slice(self.start, len(self))


@dataclass(frozen=True, slots=True)
class Batch:
    """
    The entries first_seq to last_seq, both inclusive, of the requested kinds.

    Attributes:
        rows: for each kind that occurs, its rows in seq order.
    """

    first_seq: int
    last_seq: int
    rows: Mapping[str, Rows]

    @classmethod
    def from_tables(cls, first_seq: int, last_seq: int, tables: Mapping[str, pa.Table]) -> "Batch":
        """
        Build a batch from tables.

        Args:
            first_seq, last_seq: the range that the batch covers, both inclusive.
            tables: rows in seq order, by kind; empty ones are left out.
        """
        return cls(first_seq, last_seq, {k: Rows(Columns(t), 0, t.num_rows) for k, t in tables.items() if t.num_rows})

    def split_after(self, seqs: I64) -> Iterator["Batch"]:
        """
        Split the batch: one piece up to each of k rising seqs of this batch, and the rest if there is any.
        """
        ends = [int(s) for s in seqs]
        if not ends or ends[-1] < self.last_seq:
            ends.append(self.last_seq)
        cuts = {k: r.start + np.searchsorted(r["seq"], ends, side="right") for k, r in self.rows.items()}
        starts = {kind: rows.start for kind, rows in self.rows.items()}
        first = self.first_seq
        for i, end in enumerate(ends):
            rows: dict[str, Rows] = {}
            for kind, kind_rows in self.rows.items():
                stop = int(cuts[kind][i])
                if stop > starts[kind]:
                    rows[kind] = Rows(kind_rows.columns, starts[kind], stop)
                    starts[kind] = stop
            yield Batch(first, end, rows)
            first = end + 1

    def truncate(self, last_seq: int) -> "Batch":
        """The entries of this batch up to a seq."""
        if last_seq >= self.last_seq:
            return self
        return next(self.split_after(np.array([last_seq], np.int64)))
