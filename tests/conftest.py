"""What tests share: a real server, and real recordings where there are any."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from eventlog.server.embedded_server import EmbeddedServer
from tests.fakes.proxy import Proxy

ROOT = Path(__file__).resolve().parent.parent

EXPLORE = int(os.environ.get("EXPLORE") or 0)
"""0: the same drawn examples every time, so that green means green. N: N times as many, others each time."""

# How long an example takes says how busy the machine is.
settings.register_profile(
    "any machine", deadline=None, derandomize=not EXPLORE, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Under nohup, or behind a script's `&`, a signal is ignored here and in every process begun here, which the tests of
# stopping could not end. One that is taken and does nothing stays ignored here and means what it does in the others.
for _number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

SLOW_FOLDERS = ("integration", "real", "soak")
"""Whole processes and whole days: `make test` leaves them to `make test-all`, as it does whatever is marked slow."""


UNCOUNTED_FOLDERS = ("laws", "golden", "fuzz")
"""They compute much and reach no line that no other test reaches: counted, they take half as long again."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the folders that take long, and those in which coverage is not counted; draw as much as is asked for."""
    for item in items:
        if EXPLORE and isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
            drawn = item.obj._hypothesis_internal_use_settings
            item.obj._hypothesis_internal_use_settings = settings(drawn, max_examples=EXPLORE * drawn.max_examples)
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
        if folder in UNCOUNTED_FOLDERS:
            item.add_marker(pytest.mark.no_cover)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """
    Name bytes that are no text by their argument.

    What packs them may put the time in, and the processes that share the tests must collect the same names.
    """
    is_binary = isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable())
    return argname if is_binary else None


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
    client = shared_server.connect()
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
    with tempfile.TemporaryDirectory() as folder, Proxy(Path(folder) / "p.sock", shared_server) as proxy:
        yield proxy
