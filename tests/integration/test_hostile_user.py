"""Another user of the machine: he reads nothing of ours, and what he puts in a daemon's way is refused in one line."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventlog.server.embedded_server import EmbeddedServer
from tests.commands import run_here
from tests.integration.daemons import MARKET, Process, Stage, wait_for
from tests.integration.foreign import COMMANDS, LONGEST_S, build, ways_of
from tests.integration.test_server_is_ours import NOBODY, impostor

SETPRIV = shutil.which("setpriv")
OTHERS = 0o077

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or SETPRIV is None, reason="only root, by setpriv, can stand in for another user"
)

READ_ALL = """
import os, socket, sys
for top in sys.argv[2:]:
    for folder, folders, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                open(path, "rb").read(1)
                print("read", path)
            except OSError:
                pass
        print("listed", folder)
    if os.access(top, os.R_OK | os.X_OK):
        print("entered", top)
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
    print("connected")
except OSError as error:
    print("refused", type(error).__name__)
"""


def as_nobody(*words: object) -> "subprocess.CompletedProcess[str]":
    """Run a command as user and group 65534 without other groups."""
    assert SETPRIV is not None
    own = [SETPRIV, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *map(str, words)]
    return subprocess.run(own, capture_output=True, text=True, timeout=60, cwd="/")


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that everybody may enter and list, as a careless user has it."""
    with tempfile.TemporaryDirectory(prefix="o", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def stage(open_place: Path) -> Iterator[Stage]:
    """Daemons that will keep their storage there."""
    (open_place / "own").mkdir(mode=0o755)
    stage = Stage(open_place / "own", trades_per_second=30)
    yield stage
    stage.end()


def modes(folder: Path) -> dict[str, int]:
    """The mode of everything in a folder."""
    return {str(path): stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}


def test_what_daemons_write_is_their_users_alone(stage: Stage) -> None:
    """Storage, logs, metrics, trade files and certificates: nobody lists, reads or connects; whatever the umask."""
    before = os.umask(0o000)
    try:
        stage.exchange()
        stage.collector()
        stage.analyzer()
        wait_for(lambda: stage.status().get("trades") == "live", 90)
        wait_for(lambda: bool(list(stage.storage.rglob("metrics.json"))), 60)
        wait_for(lambda: bool(stage.status("agent_analyzer.py").get("last_analysis")), 90)
    finally:
        os.umask(before)
    server = EmbeddedServer(stage.storage)
    done = as_nobody(sys.executable, "-c", READ_ALL, server.socket, stage.storage, stage.folder / "logs")
    assert done.stdout.splitlines() == ["refused PermissionError"], done.stdout + done.stderr
    written = modes(stage.storage) | modes(stage.folder / "logs")
    assert {path: oct(mode) for path, mode in written.items() if mode & OTHERS} == {}
    assert any(path.endswith("metrics.json") for path in written)
    assert any(path.endswith(".parquet") for path in written) or any(path.endswith(".aof") for path in written)
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700


def test_what_commands_write_is_their_users_alone(open_place: Path) -> None:
    """Exports, trade files, certificates, runs, pictures, conversations: for their user alone, whatever the umask."""
    place = build(open_place / "place")
    for command in COMMANDS:
        for words in ways_of(command, place):
            run_here(command[0], *words, longest_s=LONGEST_S)
    outputs = {path.name for path in place.work.iterdir()}
    assert {"a.csv", "a.parquet", "a.json", "minutes", "a.svg", "talk.md"} <= outputs
    wide = {path: oct(mode) for path, mode in modes(place.work).items() if mode & OTHERS and "more.csv" not in path}
    written = modes(place.log) | modes(place.run)
    wide |= {path: oct(mode) for path, mode in written.items() if mode & OTHERS and "aside" not in path}
    assert wide == {}


def started(stage: Stage, script: str, temporary: Path) -> Process:
    """A daemon whose socket lies below a place for temporary files of this test's own."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(temporary)
    try:
        return stage.start(script, script, "--config", str(stage.config))
    finally:
        os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)


def put_folder(path: Path) -> None:
    """With the right mode."""
    as_nobody("mkdir", "-m", "700", path)


def put_open_folder(path: Path) -> None:
    """That everybody may write to."""
    as_nobody("mkdir", "-m", "777", path)


def put_link(path: Path) -> None:
    """To a folder of his own."""
    as_nobody("mkdir", "-m", "777", path.with_name("his"))
    as_nobody("ln", "-s", path.with_name("his"), path)


def put_link_to_ours(path: Path) -> None:
    """To a folder of the victim's, that is the victim's alone."""
    path.with_name("ours").mkdir(mode=0o700)
    as_nobody("ln", "-s", path.with_name("ours"), path)


def put_file(path: Path) -> None:
    """Instead of a folder."""
    as_nobody("touch", path)


@pytest.mark.parametrize("put", [put_folder, put_open_folder, put_link, put_link_to_ours, put_file])
@pytest.mark.parametrize(
    "script", ["agent_data_collector.py", pytest.param("agent_analyzer.py", marks=pytest.mark.soak)]
)
def test_what_another_user_made_first_is_refused(stage: Stage, open_place: Path, put: object, script: str) -> None:
    """In a place where everybody may make folders, as /tmp: the daemon ends with one line and leaves it alone."""
    temporary = open_place / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    folder = temporary / f"liquidity-agent-{os.geteuid()}"
    put(folder)  # type: ignore[operator]
    assert os.path.lexists(folder)
    assert folder.lstat().st_uid == NOBODY
    daemon = started(stage, script, temporary)
    code = daemon.popen.wait(60)
    errors = [line for line in daemon.text().splitlines() if line.startswith("error: ")]
    assert (code, len(errors)) == (1, 1), daemon.text()
    assert "Traceback" not in daemon.text()
    assert str(folder) in errors[0] or MARKET in errors[0]
    if folder.is_dir():
        assert list(folder.iterdir()) == []


def test_a_server_of_another_user_learns_nothing(stage: Stage, open_place: Path) -> None:
    """It listens where ours would, in a folder that was once open to all: the daemon does not speak to it."""
    temporary = open_place / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    own = tempfile.tempdir
    tempfile.tempdir = str(temporary)
    try:
        server = EmbeddedServer(stage.storage)
    finally:
        tempfile.tempdir = own
    server.socket.parent.mkdir(mode=0o777)
    server.socket.parent.chmod(0o777)
    with impostor(server.socket) as process:
        daemon = started(stage, "agent_data_collector.py", temporary)
        assert daemon.popen.wait(60) == 1
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert "is not this user's alone" in daemon.text()
