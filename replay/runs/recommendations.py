"""
The recommendations of a run: written while they come in, with what is said of all of them together.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from agents.recommendation import Advice
from eventlog.disk.files import translate_errors
from replay.decisions import Decision

_GROUP = 1440  # rows: a day of minutes is what is held before it is written

_SCHEMA = pa.schema(
    [
        ("as_of_seq", pa.int64()), ("as_of_ns", pa.int64()), ("reference_e8", pa.int64()), ("sigma", pa.float64()),
        ("analysis_digest", pa.string()), ("stance", pa.string()), ("zones", pa.int64()), ("body", pa.string()),
    ]
)  # fmt: skip


class Recommendations:
    """
    A file of decisions, a row each, whether something was recommended or not.

    Args:
        file: made anew.

    Attributes:
        count: of decisions. recommended: those with advice. with_zones: those with zones.
        fallbacks: for each advice why the rules' stands in for a model's, None where it does not.
        longest_ns: how long advice is valid, at most, of what was published.
    """

    def __init__(self, file: Path) -> None:
        self.count = self.recommended = self.with_zones = self.longest_ns = 0
        self.fallbacks: list[str | None] = []
        self._folder = file.parent
        with translate_errors(self._folder):
            self._writer = pq.ParquetWriter(file, _SCHEMA, compression="zstd")
        self._waiting: list[Decision] = []
        self._common: set[str] | None = None  # warnings of all published advice with zones
        self._common_of_all: set[str] | None = None

    def add(self, decision: Decision, advice: Advice | None, is_published: bool) -> None:
        """
        Take the next decision.

        Args:
            decision: as bytes.
            advice: the same, read; None where none was given.
            is_published: whether the advice went out.
        """
        self.count += 1
        self.with_zones += decision.zones > 0
        self._waiting.append(decision)
        if len(self._waiting) == _GROUP:
            self._write()
        if advice is None:
            return
        self.recommended += 1
        self.fallbacks.append(advice.fallback)
        if is_published:
            self.longest_ns = max(self.longest_ns, advice.valid_for_ns)
            warnings = set(advice.warnings)
            self._common_of_all = warnings & (warnings if self._common_of_all is None else self._common_of_all)
            if advice.zones:
                self._common = warnings & (warnings if self._common is None else self._common)

    def common_warnings(self) -> list[str]:
        """The warnings common to all published recommendations with zones, of all without where none has any."""
        common = self._common_of_all if self._common is None else self._common
        return sorted(common or ())

    def close(self) -> None:
        """Write what is left, and end the file."""
        if self._waiting:
            self._write()
        with translate_errors(self._folder):
            self._writer.close()

    def _write(self) -> None:
        rows, self._waiting = self._waiting, []
        columns = [
            [d.seq for d in rows], [d.boundary_ns for d in rows], [d.reference_e8 for d in rows],
            [d.sigma for d in rows], [d.analysis_digest for d in rows], [d.stance for d in rows],
            [d.zones for d in rows], [d.advice.decode() if d.advice else None for d in rows],
        ]  # fmt: skip
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
        with translate_errors(self._folder):
            self._writer.write_table(pa.table(arrays, _SCHEMA))
