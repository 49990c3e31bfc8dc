"""Nobody but the storage's owner gets between a daemon and its log's server."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from eventlog.errors import EventLogError, LogBroken, ServerFailed, StoreUnavailable
from eventlog.server.connections import Connections, peer_user
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store import hot
from tests.conftest import ROOT

NOBODY = 65_534

as_another_user = pytest.mark.skipif(os.geteuid() != 0, reason="only root can stand in for another user")


@pytest.fixture
def placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """A server whose socket lies below a place for temporary files of this test's own; not started yet."""
    with tempfile.TemporaryDirectory(prefix="t") as short:  # a socket's path has bounded length
        monkeypatch.setattr("tempfile.tempdir", short)
        server = EmbeddedServer(tmp_path / "storage")
        yield server
        server.stop()


IMPOSTOR = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1]); server.listen(); os.chmod(sys.argv[1], 0o777)
print("up", flush=True)
while True:
    client, _ = server.accept()
    said = client.recv(65536)
    print(repr(said), flush=True)
    client.sendall(b"+OK\\r\\n" * 10)
"""


@contextmanager
def impostor(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A server of another user that says OK to everything."""
    words = [sys.executable, "-c", IMPOSTOR, str(path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.kill()


def test_only_who_can_read_the_storage_may_speak_to_it(own_server: EmbeddedServer) -> None:
    """Without the storage's password the server answers nothing; the password is its owner's alone to read."""
    own_server.ensure().close()
    stranger = redis.Redis(unix_socket_path=str(own_server.socket))
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()
    stranger.close()
    for name in ("server.password", "server.conf"):
        assert stat.S_IMODE((own_server.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(own_server.folder.stat().st_mode) == 0o700
    client = own_server.connect()
    assert client.ping()
    client.close()
    command_line = Path(f"/proc/{_pid(own_server)}/cmdline")
    if command_line.exists():  # every local user may read it
        assert own_server.password().encode() not in command_line.read_bytes()


def test_a_wrong_password_is_one_line(own_server: EmbeddedServer) -> None:
    """It names no password."""
    own_server.ensure().close()
    client = hot.connect(unix_socket=str(own_server.socket), password="wrong-secret")
    with pytest.raises(StoreUnavailable, match="refuses our password") as told, hot.translate_errors():
        client.ping()
    assert "wrong-secret" not in str(told.value)
    client.close()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_a_socket_folder_that_others_may_enter_is_refused(placed: EmbeddedServer, mode: int) -> None:
    """It lies where every user may make folders: only one that is the owner's alone is used."""
    placed.socket.parent.mkdir(parents=True)
    placed.socket.parent.chmod(mode)
    with pytest.raises(ServerFailed, match=r"is not this user's alone: .*set TMPDIR to a folder of your own"):
        placed.ensure()
    placed.socket.parent.chmod(0o700)
    placed.ensure().close()


def test_a_link_in_place_of_the_socket_folder_is_refused(placed: EmbeddedServer) -> None:
    """Wherever it leads."""
    elsewhere = placed.storage.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    placed.socket.parent.symlink_to(elsewhere)
    with pytest.raises(ServerFailed, match="is not this user's alone"):
        placed.ensure()
    assert list(elsewhere.iterdir()) == []


@as_another_user
def test_a_folder_that_another_user_made_first_is_refused(placed: EmbeddedServer) -> None:
    """With the right mode and everything."""
    placed.socket.parent.mkdir(mode=0o700)
    os.chown(placed.socket.parent, NOBODY, NOBODY)
    with pytest.raises(ServerFailed, match="another user may have made it"):
        placed.ensure()


@as_another_user
def test_a_server_of_another_user_is_not_spoken_to(tmp_path: Path) -> None:
    """Not one byte reaches it, the password least of all."""
    folder = tmp_path / "open"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    path = folder / "s.sock"
    with impostor(path) as process:
        client = hot.connect(unix_socket=str(path), password="secret")
        with (
            pytest.raises(StoreUnavailable, match="belongs to user 65534, not to user 0: it is not asked"),
            hot.translate_errors(),
        ):
            client.ping()
        client.close()
        process.kill()
        assert process.stdout is not None
        assert "secret" not in process.stdout.read()


def test_whose_process_listens_is_known() -> None:
    """The kernel says it, not the other side."""
    if sys.platform not in ("linux", "darwin"):
        pytest.skip("this system does not say whose process listens")
    one, two = socket.socketpair(socket.AF_UNIX)
    with one, two:
        assert peer_user(one) == os.geteuid()


@pytest.mark.parametrize("name", ["server.log", "appendonlydir", "server.conf", "server.password", "server.lock"])
def test_links_among_the_servers_files_are_not_followed(own_server: EmbeddedServer, tmp_path: Path, name: str) -> None:
    """A storage that was handed on may hold any: what they lead to stays as it was."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / name).symlink_to(outside)
    with pytest.raises(EventLogError, match=r"link|neither a file nor a folder|password"):
        own_server.ensure()
    assert outside.read_text() == "mine"


def test_a_server_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Another storage's server is not started through it."""
    (tmp_path / "other" / "redis").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "redis").symlink_to(tmp_path / "other" / "redis")
    with pytest.raises(LogBroken, match="is a link"):
        EmbeddedServer(tmp_path / "mine").ensure()
    assert list((tmp_path / "other" / "redis").iterdir()) == []


def test_cut_connections_end_at_once(own_server: EmbeddedServer) -> None:
    """A command that waits for a server that hangs hears of it, in its own thread; no further one is begun."""
    own_server.ensure().close()
    connections = Connections(unix_socket=str(own_server.socket), password=own_server.password(), timeout_s=60)
    client: Any = connections.connect()
    client.ping()
    waiting = _in_thread(lambda: client.blpop("nothing", 50))
    while not any(c["cmd"] == "blpop" for c in _clients(own_server)):
        pass
    connections.cut()
    assert isinstance(waiting(), redis.ConnectionError)
    with pytest.raises(StoreUnavailable, match="this process ends"), hot.translate_errors():
        connections.connect().ping()


def test_an_address_that_is_none_is_told_without_it() -> None:
    """It may hold a password."""
    for url in ("nonsense", "redis://:secret@host:port", "redis://:secret@h:1?strange=1", "http://:secret@h"):
        with pytest.raises(EventLogError, match="cannot read the Redis address") as told:
            Connections(url=url)
        assert "secret" not in str(told.value)
    assert "secret" not in repr(Connections(url="redis://:secret@host:6379/0"))


def _pid(server: EmbeddedServer) -> int:
    client: Any = server.connect()
    try:
        return int(client.info("server")["process_id"])
    finally:
        client.close()


def _clients(server: EmbeddedServer) -> list[dict[str, str]]:
    client: Any = server.connect()
    try:
        return list(client.client_list())
    finally:
        client.close()


def _in_thread(act: Any) -> Any:
    """Begin something; returns what waits for its result or its error."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    future = pool.submit(act)

    def outcome() -> Any:
        try:
            return future.exception(10) or future.result()
        finally:
            pool.shutdown()

    return outcome
