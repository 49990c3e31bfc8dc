"""
The files behind SQL views: each file of a view is checked against its digest before a query reads it.

DuckDB binds a view anew in every query that names it, also through a macro, a subquery or a quoted name. The list of
files is an argument that is computed while that happens, so that no file is read without the check.
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
"""The SQL function of (view) that checks a view's files and gives their paths."""


class Source(Protocol):
    """The files of one view."""

    def paths(self) -> Sequence[Path]:
        """Their paths, without a check."""
        ...

    def intact_paths(self) -> Sequence[Path]:
        """
        Their paths, each file checked against its digest.

        Raises:
            EventLogError, BadRun: a file is not as it was written.
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
        """Register `INTACT_FILES` with a connection."""
        connection.create_function(INTACT_FILES, self._files, ["VARCHAR"], "VARCHAR[]")

    def add(self, view: str, source: Source) -> None:
        """Set the source of a view, replacing an earlier one."""
        self._sources[view] = source

    @contextmanager
    def defining(self) -> Iterator[None]:
        """While views are created, which only needs the files' columns, digests are not checked."""
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
    The files of one log, by kind, as its catalogue names them at construction.

    Files that were merged away since, while a connection stays open, are looked up in the catalogue again.
    """

    def __init__(self, cold: ColdLog) -> None:
        self._cold = cold
        self._files = _by_kind(cold)

    def kind(self, kind: str) -> "KindFiles | None":
        """The files of one kind, None where there are none."""
        return KindFiles(self, kind) if kind in self._files else None

    def records(self, kind: str) -> Sequence[FileRecord]:
        """The catalogue's records of a kind's files."""
        return self._files.get(kind, ())

    def path_of(self, record: FileRecord) -> Path:
        """The path of a file."""
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
    """An absolute UTF-8 path for DuckDB, so that no prefix of it means another file system or a home folder."""
    name = os.fsencode(path.absolute())
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise EventLogError(f"{name!a} is no UTF-8 and nothing that SQL can open; move the folder") from error
