"""
The files behind SQL views: every query that names a view has each file of it held against its digest first.

DuckDB binds a view anew in every query that names it, in whatever way: through a macro, a subquery, a quoted name. The
list of files is an argument that is computed while that happens, so there is no way to a file around its digest.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import duckdb

from eventlog.disk.files import translate_errors
from eventlog.errors import EventLogError, LogBroken
from eventlog.store.catalogue import FileRecord
from eventlog.store.cold import ColdLog
from replay.runs import finished_runs

INTACT_FILES = "intact_files"
"""The SQL function of (view) that gives a view's files once they are as they were written."""


class Source(Protocol):
    """The files of one view."""

    def paths(self) -> Sequence[Path]:
        """Where they lie; not looked at."""
        ...

    def intact_paths(self) -> Sequence[Path]:
        """
        Where they lie, each of them as it was written.

        Raises:
            EventLogError, BadRun: one is not.
        """
        ...


class Sources:
    """
    The files of all views of one connection.

    Attributes:
        failure: why files were refused since it was last set to None; a query that needs them fails with it.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._sources: dict[str, Source] = {}
        self._defining = False

    def serve(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make `INTACT_FILES` known to a connection."""
        connection.create_function(INTACT_FILES, self._files, ["VARCHAR"], "VARCHAR[]")

    def add(self, view: str, source: Source) -> None:
        """Let a view read a source, instead of another where it had one."""
        self._sources[view] = source

    @contextmanager
    def defining(self) -> Iterator[None]:
        """While views are created, for whose columns a look at the files is enough, none is held against its digest."""
        self._defining = True
        try:
            yield
        finally:
            self._defining = False

    def _files(self, view: str) -> list[str]:
        source = self._sources.get(view)
        if source is None:
            raise ValueError(f"{view} is no view of files")
        try:
            return [_text(path) for path in (source.paths() if self._defining else source.intact_paths())]
        except Exception as error:
            self.failure = error
            raise


class LogFiles:
    """
    The files of one log, by kind, as its catalogue names them when this is made.

    Files that were merged away since, while a connection stays open, are looked up in the catalogue again.
    """

    def __init__(self, cold: ColdLog) -> None:
        self._cold = cold
        self._files = _by_kind(cold)

    def kind(self, kind: str) -> "KindFiles | None":
        """The files of one kind, None where there are none."""
        return KindFiles(self, kind) if kind in self._files else None

    def records(self, kind: str) -> Sequence[FileRecord]:
        """What the catalogue says of a kind's files."""
        return self._files.get(kind, ())

    def path_of(self, record: FileRecord) -> Path:
        """Where a file lies."""
        return self._cold.path_of(record)

    def intact_paths(self, kind: str) -> list[Path]:
        """
        See `Source`.

        Raises:
            LogBroken: a file is not as it was written.
        """
        try:
            return self._intact(kind)
        except LogBroken:
            before = self._files
            self._cold.refresh()
            self._files = _by_kind(self._cold)
            if self._files == before:
                raise
        return self._intact(kind)

    def _intact(self, kind: str) -> list[Path]:
        self._cold.expect_no_link()
        for record in self.records(kind):
            self._cold.expect_intact(record)
        return [self.path_of(record) for record in self.records(kind)]


class KindFiles:
    """The files of one kind of a log; see `Source`."""

    def __init__(self, log: LogFiles, kind: str) -> None:
        self._log = log
        self._kind = kind

    def paths(self) -> Sequence[Path]:
        """See `Source`."""
        return [self._log.path_of(record) for record in self._log.records(self._kind)]

    def intact_paths(self) -> Sequence[Path]:
        """See `Source`."""
        return self._log.intact_paths(self._kind)


class RunFiles:
    """One table of every finished run; see `Source`."""

    def __init__(self, folder: Path, table: str) -> None:
        self._name = f"{table}.parquet"
        with translate_errors(folder):
            folders = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
            self._paths = [path / self._name for path in folders if (path / self._name).exists()]

    def paths(self) -> Sequence[Path]:
        """See `Source`."""
        return self._paths

    def intact_paths(self) -> Sequence[Path]:
        """See `Source`."""
        for path in self._paths:
            finished_runs.load(path.parent).expect_intact(path)
        return self._paths


def _by_kind(cold: ColdLog) -> Mapping[str, Sequence[FileRecord]]:
    files: dict[str, list[FileRecord]] = {}
    for segment in cold.catalogue.segments:
        for record in segment.files:
            files.setdefault(record.kind, []).append(record)
    return files


def _text(path: Path) -> str:
    """A path as DuckDB takes it: whole, so that no start of it means another file system, or a home; always UTF-8."""
    name = os.fsencode(path.absolute())
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise EventLogError(f"{name!a} is no UTF-8 and nothing that SQL can open; move the folder") from error
