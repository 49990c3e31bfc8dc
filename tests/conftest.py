"""What tests share: a real server, and real recordings where there are any."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventlog import hot
from eventlog.embedded_server import EmbeddedServer
from tests.fakes.proxy import Proxy

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("REAL_DATA_DIR") or ROOT.parent / "shared" / "data")
    if not (folder / "recordings").is_dir():
        pytest.skip("no real recordings: set REAL_DATA_DIR to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One real server for tests that leave it alive and whole."""
    server = EmbeddedServer(tmp_path_factory.mktemp("server"))
    server.ensure().close()
    yield server
    server.stop()


@pytest.fixture
def client(shared_server: EmbeddedServer) -> Iterator[Any]:
    """A client of the shared server, which is empty."""
    client = hot.connect(unix_socket=str(shared_server.socket))
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of one test, to be killed or emptied as it likes; not started yet."""
    server = EmbeddedServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def proxy(shared_server: EmbeddedServer) -> Iterator[Proxy]:
    """A way to the shared server that loses what it is told to lose."""
    with tempfile.TemporaryDirectory() as folder, Proxy(Path(folder) / "p.sock", shared_server.socket) as proxy:
        yield proxy
