"""How a process hears that it is to end, whatever its terminal does."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.conftest import ROOT

LISTENING = """
import threading
from runtime.daemon.stopping import StopSignal
stop, heard = StopSignal(), threading.Event()
stop.call(heard.set)
print("up", flush=True)
heard.wait(60)
print(heard.is_set(), flush=True)
"""


def listening(stderr: int, is_ignored: tuple[signal.Signals, ...] = ()) -> "subprocess.Popen[str]":
    """A process that waits to be told, ready to hear."""

    def ignore() -> None:
        for number in is_ignored:
            signal.signal(number, signal.SIG_IGN)

    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True, preexec_fn=ignore,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize("reader", ["gone", "deaf"])
def test_a_terminal_that_takes_nothing_keeps_nobody_from_hearing(reader: str) -> None:
    """A pipe without a reader, and one that is full."""
    ours, theirs = os.pipe()
    process = listening(theirs)
    if reader == "gone":
        os.close(ours)
    else:
        os.set_blocking(theirs, False)
        with suppress(BlockingIOError):
            while os.write(theirs, b"." * 512):
                continue
        os.set_blocking(theirs, True)
    with process:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "True\n"
    os.close(theirs)
    if reader == "deaf":
        os.close(ours)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_way_to_end_is_heard_and_said(number: signal.Signals) -> None:
    """Ctrl+C, the word of a supervisor, a terminal that is closed."""
    with listening(subprocess.PIPE) as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (output, "stopping: what is queued" in errors) == ("True\n", True)


def test_a_closed_terminal_means_nothing_under_nohup() -> None:
    """Whoever ignores it for us goes on being obeyed."""
    with listening(subprocess.PIPE, (signal.SIGHUP,)) as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60)[0] == "True\n"
