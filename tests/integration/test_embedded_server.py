"""The server that lives beside the log."""

import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventlog.errors import EventLogError, ServerFailed
from eventlog.names import LogName
from eventlog.server.data_folder import holds_data
from eventlog.server.embedded_server import BINARY_VARIABLE, EmbeddedServer
from eventlog.store.cold import ColdLog
from market.instrument import Market
from runtime.open_log import open_log
from tests.builders import T0, a_trade, a_writer
from tests.conftest import ROOT


def process_of(client: Any) -> int:
    """The server's process."""
    return int(client.info("server")["process_id"])


@pytest.fixture
def visitor(own_server: EmbeddedServer) -> Iterator[Any]:
    """A connection from another process that stays open."""
    script = (
        "import sys; from pathlib import Path; from eventlog.server.embedded_server import EmbeddedServer\n"
        "client = EmbeddedServer(Path(sys.argv[1])).connect(); client.ping(); print('here', flush=True)\n"
        "sys.stdin.read()\n"
    )
    own_server.ensure().close()
    words = [sys.executable, "-c", script, str(own_server.storage)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        yield process
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()


def test_a_server_starts_and_stops(tmp_path: Path, own_server: EmbeddedServer) -> None:
    """Its data stays in the storage, its socket is for this user only, its lock is free afterwards."""
    assert not holds_data(own_server.storage)
    client = own_server.ensure()
    assert own_server.started_here
    assert holds_data(own_server.storage)
    assert stat.S_IMODE(own_server.socket.stat().st_mode) == 0o700
    expected = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "port": "0"}
    assert {name: client.config_get(name)[name] for name in expected} == expected
    pid = process_of(client)
    own_server.release(client)
    with open(tmp_path / "redis" / "server.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_was_written_is_there_after_a_restart(tmp_path: Path, own_server: EmbeddedServer) -> None:
    """Stopped in good order, and by SIGKILL."""
    for end in ("release", "kill"):
        client = own_server.ensure()
        client.set(end, "kept")
        if end == "release":
            own_server.release(client)
        else:
            os.kill(process_of(client), 9)
            own_server._reap()
            client.close()
    client = own_server.ensure()
    assert client.mget("release", "kill") == [b"kept", b"kept"]
    own_server.release(client)


def test_a_running_server_is_adopted(tmp_path: Path, own_server: EmbeddedServer) -> None:
    """Whoever comes second finds it, by another path to the same folder too."""
    first = own_server.ensure()
    (tmp_path / "link").symlink_to(tmp_path)
    for storage in (tmp_path, tmp_path / "link", tmp_path / "x" / ".."):
        (tmp_path / "x").mkdir(exist_ok=True)
        other = EmbeddedServer(storage)
        second = other.ensure()
        assert process_of(second) == process_of(first)
        assert not other.started_here
        second.close()
    own_server.release(first)


def test_two_that_start_at_once_share_one_server(tmp_path: Path) -> None:
    """There are never two on one append-only file."""
    servers = [EmbeddedServer(tmp_path) for _ in range(4)]
    clients: list[Any] = []
    threads = [threading.Thread(target=lambda s=s: clients.append(s.ensure())) for s in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({process_of(c) for c in clients}) == 1
    assert sum(s.started_here for s in servers) == 1
    for client in clients:
        client.close()
    next(s for s in servers if s.started_here).stop()


def test_the_last_one_out_stops_the_server(own_server: EmbeddedServer, visitor: Any) -> None:
    """As long as another process is connected it stays; its data is the same for both."""
    client = own_server.ensure()
    own_server.release(client)
    client = own_server.ensure()
    pid = process_of(client)
    visitor.stdin.close()
    visitor.wait()
    deadline = time.monotonic() + 5
    while len(client.client_list()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    own_server.release(client)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_is_just_ending_is_waited_for(tmp_path: Path, own_server: EmbeddedServer) -> None:
    """Its lock is still taken but it answers no more: as soon as the lock is free a new one starts."""
    (tmp_path / "redis").mkdir()
    lock = os.open(tmp_path / "redis" / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    threading.Timer(0.2, os.close, [lock]).start()
    started = time.monotonic()
    client = own_server.ensure()
    assert own_server.started_here
    assert time.monotonic() - started < 10
    own_server.release(client)


@pytest.mark.parametrize("name", ["a folder with spaces", "ünï-çødé 市場", "x" * 120 + "/" + "y" * 120])
def test_any_storage_path_works(tmp_path: Path, name: str) -> None:
    """Blanks, other alphabets, and paths longer than a socket's may be."""
    storage = tmp_path / name
    server = EmbeddedServer(storage)
    client = server.ensure()
    writer = a_writer(storage, client)
    writer.append([a_trade(1)])
    writer.close()
    assert len(str(server.socket)) <= 100
    assert (storage / "redis" / "appendonlydir").is_dir()
    server.release(client)


def test_other_folders_have_other_servers(tmp_path: Path) -> None:
    """Two storages on one machine never meet."""
    assert EmbeddedServer(tmp_path / "a").socket != EmbeddedServer(tmp_path / "b").socket
    assert EmbeddedServer(tmp_path / "a").socket == EmbeddedServer(tmp_path / "b" / ".." / "a").socket


def test_a_server_that_does_not_come_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such binary, and one that ends at once: with its last words."""
    server = EmbeddedServer(tmp_path)
    monkeypatch.setenv(BINARY_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ServerFailed, match=f"cannot run .*No such file.*set {BINARY_VARIABLE}"):
        server.ensure()
    script = tmp_path / "broken"
    script.write_text("#!/bin/sh\necho 'bad news' > server.log\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv(BINARY_VARIABLE, str(script))
    with pytest.raises(ServerFailed, match="ended at once: bad news"):
        server.ensure()


def test_a_damaged_append_only_file_is_told(tmp_path: Path) -> None:
    """The server's own words name it; nothing is thrown away."""
    server = EmbeddedServer(tmp_path)
    client = server.ensure()
    client.set("a", "b" * 100)
    client.set("c", "d" * 100)
    server.release(client)
    (path,) = (tmp_path / "redis" / "appendonlydir").glob("*.incr.aof")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 30] = b"\0" * 30
    path.write_bytes(data)
    with pytest.raises(ServerFailed, match=r"ended at once: .+"):
        EmbeddedServer(tmp_path).ensure()
    assert path.read_bytes() == data


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in its place is one line."""
    (tmp_path / "redis").write_text("")
    with pytest.raises(EventLogError, match="cannot use"):
        EmbeddedServer(tmp_path).ensure()


def test_ctrl_c_is_not_for_the_server(own_server: EmbeddedServer) -> None:
    """It has a session of its own."""
    client = own_server.ensure()
    assert os.getsid(process_of(client)) != os.getsid(0)
    own_server.release(client)


def test_releasing_a_server_that_is_gone_is_quiet(own_server: EmbeddedServer) -> None:
    """It was killed; whoever leaves must still be able to leave."""
    client = own_server.ensure()
    os.kill(process_of(client), 9)
    own_server._reap()
    own_server.release(client)
    again = own_server.ensure()
    assert again.ping()
    own_server.release(again)


def test_a_log_stays_open_while_another_of_the_same_storage_is_opened_and_closed(own_server: EmbeddedServer) -> None:
    """The last reader of a process stops the server, not the first."""
    market = Market.parse("binance:BTCFDUSD")
    storage = own_server.folder.parent
    for name in ("events", "decisions"):
        ColdLog(storage, LogName(name, market)).create(T0)
    own_server.ensure().close()
    assert holds_data(own_server.storage)
    with open_log(storage, market, "events") as events:
        with open_log(storage, market, "decisions") as decisions:
            assert decisions.last_seq() == 0
        assert events.last_seq() == 0


def test_who_holds_the_server_keeps_it_whatever_else_this_process_opens(own_server: EmbeddedServer) -> None:
    """A daemon holds it, a log beside it is opened and closed by another object: it goes with the last of them."""
    keeper = own_server.hold()
    pid = process_of(keeper)
    other = EmbeddedServer(own_server.storage)
    other.release(other.hold())
    assert process_of(keeper) == pid
    own_server.release(keeper)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
