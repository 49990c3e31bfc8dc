"""
The collector as it is, with its writes counted and itself, its log's server, or both killed at one of them.

`python -m tests.soak.killed_collector LIFE.json`. Sizes are small (batches, segments, blocks of numbers, the queue) and
days are closed at once, so that archiving, merging and spilling come every second. Nothing else is different.
"""

import builtins
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import redis
from redis.connection import AbstractConnection

import agent_data_collector
from cli import console
from collector import fact_queue
from collector.queue_limits import QueueLimits
from eventlog.disk import files
from eventlog.facts.entry import Entry, Fact
from eventlog.server.embedded_server import BINARY_VARIABLE, EmbeddedServer
from eventlog.spill import recovery, spill
from eventlog.spill.spill import Spill
from eventlog.store import archiver, cold, hot, writer
from eventlog.store.archiver import Archiver
from eventlog.store.hot import HotLog
from market.timestamps import DAY_NS, SECOND_NS
from tests.soak.kill_points import Life
from tests.soak.killer import Killer

_SLOW_S = 0.25
_COMMANDS = re.compile(rb"\*\d+\r\n\$\d+\r\n(EVALSHA|XTRIM|MULTI|SCRIPT)\r\n(?:\$40\r\n([0-9a-f]{40}))?")
_SCRIPTS = {hashlib.sha1(text.encode()).hexdigest(): name for text, name in (
    (hot._APPEND, "append"), (hot._ACQUIRE_EPOCH, "take over"))}  # fmt: skip


class _Os:
    """The `os` of one module, with its writes counted."""

    def __init__(self, killer: Killer, names: dict[int, str]) -> None:
        self._killer = killer
        self._names = names

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        if not flags & os.O_CREAT:
            descriptor = os.open(path, flags, mode)
        else:
            descriptor = self._killer.around(f"{_name(path)} open", lambda: os.open(path, flags, mode))
        self._names[descriptor] = _name(path)
        return descriptor

    def fsync(self, descriptor: int) -> None:
        self._killer.around(f"{self._names.get(descriptor, '?')} fsync", lambda: os.fsync(descriptor))

    def replace(self, old: Any, new: Any) -> None:
        self._killer.around(f"{_name(new)} replace", lambda: os.replace(old, new))

    def ftruncate(self, descriptor: int, length: int) -> None:
        site = f"{self._names.get(descriptor, '?')} ftruncate"
        self._killer.around(site, lambda: os.ftruncate(descriptor, length))

    def truncate(self, path: Any, length: int) -> None:
        self._killer.around(f"{_name(path)} truncate", lambda: os.truncate(path, length))

    def pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        def halves(part: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
            cut = int(len(data) * part)
            return (lambda: os.pwrite(descriptor, data[:cut], offset)), (lambda: os.pwrite(descriptor, data, offset))

        site = f"{self._names.get(descriptor, '?')} pwrite"
        return int(self._killer.around(site, lambda: os.pwrite(descriptor, data, offset), halves))


class _File:
    """A file being written, with its write counted."""

    def __init__(self, killer: Killer, file: Any, name: str) -> None:
        self._killer = killer
        self._file = file
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        def whole() -> None:
            self._file.write(data)
            self._file.flush()

        def halves(part: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
            cut = int(len(data) * part)

            def first() -> None:
                self._file.write(data[:cut])
                self._file.flush()

            return first, lambda: self._file.write(data[cut:])

        self._killer.around(f"{self._name} write", whole, halves)


def _name(path: Any) -> str:
    """What a path is called here: the kind of file it is, whatever its numbers."""
    path = Path(path)
    name = path.name.removeprefix(".").removesuffix(".new")
    if name.endswith(".parquet"):
        return "parquet"
    return name if "." in name else "folder"


def _count_files(killer: Killer) -> None:
    names: dict[int, str] = {}
    begin = builtins.open
    for module in (files, writer, spill):
        _set(module, "os", _Os(killer, names))

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        opened_now = begin(file, mode, *arguments, **options)
        return _File(killer, opened_now, names.get(file, "?")) if "w" in mode else opened_now

    _set(files, "open", opened)
    for word in ("unlink", "replace"):
        _count_path(killer, word)


def _count_path(killer: Killer, word: str) -> None:
    real = getattr(Path, word)

    def counted(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.suffix == ".sock" or path.name.startswith("."):  # a write that was not finished goes first
            return real(path, *arguments, **options)
        return killer.around(f"{_name(path)} {word}", lambda: real(path, *arguments, **options))

    setattr(Path, word, counted)


def _count_commands(killer: Killer) -> None:
    real = AbstractConnection.send_packed_command

    def send(connection: Any, command: Any, check_health: bool = True) -> None:
        data = command if isinstance(command, bytes) else b"".join(bytes(part) for part in command)
        found = _COMMANDS.match(data)
        if found is None:
            real(connection, command, check_health)
            return
        if connection._sock is None:
            connection.connect()
        word = _SCRIPTS.get((found[2] or b"").decode(), found[1].decode())
        killer.send(connection, f"{word} send", data, lambda c, part: real(c, [part], check_health))

    _set(AbstractConnection, "send_packed_command", send)
    append = HotLog.append

    def appended(log: HotLog, entries: Sequence[Entry], epoch: int, follows: bool) -> None:
        if killer.slow:
            time.sleep(_SLOW_S)
        append(log, entries, epoch, follows)
        killer.acknowledged(entries)

    _set(HotLog, "append", appended)


def _note_the_server(killer: Killer) -> None:
    start, ensure = EmbeddedServer._start, EmbeddedServer.ensure

    def started(server: EmbeddedServer, lock: int) -> Any:
        made: list[Any] = []

        def begin() -> Any:
            made.append(start(server, lock))
            killer.server = made[0].pid
            return made[0]

        def halves(part: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
            def first() -> None:
                begin()
                time.sleep(part * 0.05)

            return first, lambda: made[0]

        return killer.around("server start", begin, halves)

    def ensured(server: EmbeddedServer, *arguments: Any) -> Any:
        client = ensure(server, *arguments)
        with suppress(redis.RedisError, OSError):
            killer.server = int(client.info("server")["process_id"])
        return client

    _set(EmbeddedServer, "_start", started)
    _set(EmbeddedServer, "ensure", ensured)


def _keep_small(killer: Killer) -> None:
    _set(writer, "_BLOCK", 100)
    _set(cold, "_RETIRED_FOR_NS", 5 * SECOND_NS)
    _set(archiver, "_MAX_IN_SEGMENT", 500)
    _set(archiver, "_READ_BATCH_SIZE", 300)
    _set(recovery, "_BATCH_SIZE", 50)
    _set(fact_queue, "MAX_BATCH", 200)
    _set(QueueLimits, "is_full", lambda _, facts, __: facts >= 40)
    compact, append = Archiver.compact, Spill.append
    _set(Archiver, "compact", lambda self, now_ns: compact(self, now_ns + DAY_NS))

    def spilled(self: Spill, facts: Sequence[Fact], *arguments: Any, **options: Any) -> None:
        append(self, facts, *arguments, **options)
        killer.spilled(facts)

    _set(Spill, "append", spilled)


def _set(where: ModuleType | type, name: str, value: Any) -> None:
    assert hasattr(where, name) or name == "open", f"{where} has no {name} any more"
    setattr(where, name, value)


def live(path: Path, output: Path | None = None) -> None:
    """Run the collector's own command with everything above in place; what it prints goes to a file, if named."""
    life = msgspec.json.decode(path.read_bytes(), type=Life)
    if output is not None:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    if life.binary:
        os.environ[BINARY_VARIABLE] = life.binary
    killer = Killer(life)
    _keep_small(killer)
    _count_files(killer)
    _count_commands(killer)
    _note_the_server(killer)
    sys.argv = ["agent_data_collector.py", "--config", life.config]
    console.run(agent_data_collector.app)


if __name__ == "__main__":
    live(Path(sys.argv[1]))
