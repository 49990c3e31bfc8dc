"""Ctrl+C: heard at once, over within five seconds, whatever the daemon is busy with and whatever its server does."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.fakes.proxy import Proxy
from tests.integration.daemons import Process, Stage, server_pid, server_url, wait_for
from tests.integration.starved import Starved

SAID_WITHIN_S = 0.1
SLACK_S = 0.1  # of this test, which looks now and then; a core that others have does not count at all
ENDED_WITHIN_S = 5.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An exchange that trades, and ticks every 2 s."""
    stage = Stage(tmp_path, interval_s=2, history_hours=1)
    stage.exchange()
    yield stage
    stage.end()


def interrupt(process: Process) -> tuple[float, float, int]:
    """
    Ctrl+C: after how many seconds it said so, after how many it was over, and its exit code. Time in which a thread of
    its own, or of this test, was ready and got no core is left out.
    """
    starved = Starved(process.popen.pid)
    began = time.monotonic()
    process.popen.send_signal(signal.SIGINT)
    said = None
    while process.popen.poll() is None and time.monotonic() - began < 60:
        starved.look()
        if said is None and "stopping" in process.text():
            said = time.monotonic() - began - starved.seconds
        time.sleep(0.005 if said is None else 0.02)
    over = time.monotonic() - began - starved.seconds
    assert said is not None, process.text()
    return said, over, process.popen.wait(1)


def until_both_work(stage: Stage) -> tuple[Process, Process]:
    """Collector and analyzer, once the analyzer has analysed a tick."""
    collector, analyzer = stage.collector(), stage.analyzer()
    wait_for(lambda: stage.status("agent_analyzer.py").get("analyses", 0) > 0, 90, 0.3)
    return collector, analyzer


def assert_both_end_in_time(*processes: Process) -> None:
    """One after the other: each says so at once, ends in time, and as it should."""
    for process in processes:
        said, over, code = interrupt(process)
        assert said < SAID_WITHIN_S, said
        assert over < ENDED_WITHIN_S + SLACK_S, f"{over:.2f} s\n{process.text()}"
        assert code == 0, process.text()
        assert "Traceback" not in process.text()


def test_both_daemons_say_so_at_once_and_end_in_time(stage: Stage) -> None:
    """With a sound server, which goes with the last of them."""
    collector, analyzer = until_both_work(stage)
    pid = server_pid(stage.storage)
    assert_both_end_in_time(analyzer, collector)
    wait_for(lambda: _is_gone(pid), 5)
    assert stage.check()["complete"]


@pytest.mark.parametrize(
    ("server", "known"),
    [
        pytest.param("killed", False, id="killed-just now", marks=pytest.mark.soak),
        pytest.param("frozen", True, id="frozen-for a while"),
        pytest.param("killed", True, id="killed-for a while", marks=pytest.mark.soak),
        pytest.param("frozen", False, id="frozen-just now", marks=pytest.mark.soak),
    ],
)
def test_both_end_in_time_with_a_server_of_ours_that_is_dead(stage: Stage, server: str, known: bool) -> None:
    """The last moment before Ctrl+C, or so long before that both know and try to bring it back."""
    collector, analyzer = until_both_work(stage)
    pid = server_pid(stage.storage)
    os.kill(pid, signal.SIGKILL if server == "killed" else signal.SIGSTOP)
    try:
        if known and server == "frozen":
            wait_for(lambda: stage.status()["server_away"], 30, 0.2)
        if known and server == "killed":
            wait_for(lambda: "log server back" in collector.text(), 30, 0.05)
        assert_both_end_in_time(analyzer, collector)
    finally:
        if server == "frozen":
            os.kill(pid, signal.SIGCONT)


@pytest.mark.soak
@pytest.mark.parametrize("server", ["gone", "deaf"])
def test_both_end_in_time_with_a_server_of_the_users_that_is_dead(stage: Stage, server: str) -> None:
    """One at an address that refuses everybody, and one that accepts everything and never answers."""
    own = stage.own_server()
    with tempfile.TemporaryDirectory(prefix="t") as short, Proxy(Path(short) / "p.sock", own) as proxy:
        stage.redis["url"] = server_url(proxy.path, own)
        collector, analyzer = until_both_work(stage)
        if server == "gone":
            proxy.cut()
        else:
            proxy.fall_silent()
        wait_for(lambda: stage.status()["server_away"], 30, 0.2)
        assert_both_end_in_time(analyzer, collector)


def test_what_a_dead_server_could_not_take_is_there_after_the_next_start(stage: Stage) -> None:
    """Trades by id without a hole; the analyzer's calls and analyses in a file until then."""
    collector, analyzer = until_both_work(stage)
    os.kill(server_pid(stage.storage), signal.SIGKILL)
    assert (interrupt(analyzer)[2], interrupt(collector)[2]) == (0, 0)
    collector, analyzer = until_both_work(stage)
    wait_for(lambda: stage.status().get("trades") == "live", 60, 0.3)
    assert (interrupt(analyzer)[2], interrupt(collector)[2]) == (0, 0)
    report = stage.check(code=None)
    assert report["unnamed_agg_ids"] == report["unnamed_seqs"] == report["damaged"] == []
    assert report["duplicates"] == 0
    assert not list(stage.storage.rglob("spill.log"))


@pytest.mark.parametrize("times", [1, pytest.param(6, marks=pytest.mark.soak)])
def test_two_that_end_at_once_leave_no_server_behind(stage: Stage, times: int) -> None:
    """Ctrl+C reaches both daemons in the same instant, twice: the server goes with the last of them, every time."""
    for _ in range(times):
        collector, analyzer = stage.collector(), stage.analyzer()
        wait_for(lambda: stage.status()["running"] and stage.status("agent_analyzer.py")["running"], 60, 0.1)
        pid = server_pid(stage.storage)
        for process in (collector, analyzer, collector, analyzer):
            process.popen.send_signal(signal.SIGINT)
        assert [collector.popen.wait(15), analyzer.popen.wait(15)] == [0, 0], collector.text() + analyzer.text()
        wait_for(lambda pid=pid: _is_gone(pid), 5)


def test_a_terminal_that_is_closed_ends_both(stage: Stage) -> None:
    """SIGHUP means what Ctrl+C means, where nobody has it ignored."""
    collector, analyzer = until_both_work(stage)
    pid = server_pid(stage.storage)
    for process in (collector, analyzer):
        process.popen.send_signal(signal.SIGHUP)
    assert [collector.popen.wait(15), analyzer.popen.wait(15)] == [0, 0], collector.text() + analyzer.text()
    wait_for(lambda: _is_gone(pid), 5)
    assert stage.check()["complete"]


def test_make_live_ends_with_one_ctrl_c_and_leaves_nothing(stage: Stage) -> None:
    """As at a terminal: the signal goes to the whole group, make included."""
    command = f"make live CONFIG={stage.config} PYTHON={sys.executable}"
    with subprocess.Popen(["sh", "-c", command], cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:  # fmt: skip
        wait_for(lambda: stage.status("agent_analyzer.py").get("analyses", 0) > 0, 90, 0.3)
        pid = server_pid(stage.storage)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        text, _ = process.communicate(timeout=30)
        assert time.monotonic() - began < ENDED_WITHIN_S + 2 * SLACK_S, text
    assert text.count("stopping:") == 2, text
    assert "Traceback" not in text
    wait_for(lambda: _is_gone(pid), 5)


def test_make_live_ends_where_what_reads_it_is_interrupted_too(stage: Stage) -> None:
    """`make live | tee`, as at a terminal: tee is gone before the daemons say anything."""
    command = f"make live CONFIG={stage.config} PYTHON={sys.executable} 2>&1 | tee {stage.folder / 'live.out'}"
    with subprocess.Popen(["sh", "-c", command], cwd=ROOT, start_new_session=True,
                          stdout=subprocess.DEVNULL) as process:  # fmt: skip
        wait_for(lambda: stage.status("agent_analyzer.py").get("analyses", 0) > 0, 90, 0.3)
        pid = server_pid(stage.storage)
        os.killpg(process.pid, signal.SIGINT)
        wait_for(lambda: not stage.status()["running"] and not stage.status("agent_analyzer.py")["running"], 30, 0.3)
    wait_for(lambda: _is_gone(pid), 15)
    assert stage.check()["complete"]


@pytest.mark.parametrize("reader", [pytest.param("gone", marks=pytest.mark.soak), "deaf"])
def test_both_end_whoever_reads_what_they_say(stage: Stage, reader: str) -> None:
    """A pipe whose reader has gone, and one that is full because its reader, a pager perhaps, takes nothing."""
    ours, theirs = os.pipe()
    daemons = []
    try:
        for script in ("agent_data_collector.py", "agent_analyzer.py"):
            words = [sys.executable, script, "--config", str(stage.config)]
            daemons.append(subprocess.Popen(words, cwd=ROOT, stdout=theirs, stderr=theirs))
        wait_for(lambda: stage.status("agent_analyzer.py").get("analyses", 0) > 0, 90, 0.3)
        if reader == "gone":
            os.close(ours)
        else:
            _fill(theirs)
        seen = stage.status("agent_analyzer.py")["analyses"]
        wait_for(lambda: stage.status("agent_analyzer.py")["analyses"] > seen + 1, 60, 0.3)
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGINT)
            assert daemon.wait(15) == 0
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
        os.close(theirs)
        if reader == "deaf":
            os.close(ours)
    assert stage.check()["complete"]


def _fill(pipe: int) -> None:
    """Write into a pipe until it takes nothing more, without a change for those who share it."""
    own = os.open(f"/dev/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while os.write(own, b"." * 512):
            continue
    except BlockingIOError:
        os.close(own)


@pytest.mark.parametrize("delay_s", [0.1, 0.35, *(pytest.param(s, marks=pytest.mark.soak) for s in (0.2, 0.6, 1.0))])
@pytest.mark.parametrize("words", [("agent_data_collector.py", "--help"), ("-m", "eventlog", "--help")])
def test_an_interrupt_while_libraries_load_is_one_word(words: Any, delay_s: float) -> None:
    """Wherever it falls: no traceback, and the exit code of an interrupt, or of a help that was quicker."""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=unmeasured) as process:  # fmt: skip
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    if "init_import_site" in errors or process.returncode == -signal.SIGINT:
        return  # before the first line of ours nothing can be done
    assert "Traceback" not in errors, errors
    assert process.returncode in (0, 130)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"
