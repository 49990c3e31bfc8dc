"""Where log lines go, and what a traceback in them says."""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from eventlog.disk.daily_file import DailyFile
from runtime.daemon import logging_setup

SECRET = "sk-held-by-a-local-name"


@pytest.fixture
def log_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Path]:
    """The file of a log that is set up for one test; its terminal is captured."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging_setup.set_up(tmp_path, "INFO")
    yield tmp_path / "strategy_agent.log"
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _fail() -> None:
    entrances = SECRET
    raise RuntimeError(f"disk of {len(entrances)}")


@pytest.mark.parametrize("name", ["ours", "a library's"])
def test_a_traceback_says_where_and_not_what_names_held(
    log_file: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """On the terminal and in the file, for lines of ours and of libraries."""
    log = structlog.get_logger() if name == "ours" else logging.getLogger("library")
    try:
        _fail()
    except RuntimeError:
        log.exception("it failed")
    logging_setup.flush()
    line = json.loads(log_file.read_text())
    output = capsys.readouterr().err
    assert (line["event"], line["level"]) == ("it failed", "error")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("RuntimeError: disk of 23")
    assert "in _fail" in output
    assert "RuntimeError: disk of 23" in output
    assert SECRET not in output + log_file.read_text()
    assert "╭" not in output


def test_a_line_is_json_in_the_file_and_readable_on_the_terminal(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its fields, and nothing of the machinery."""
    structlog.get_logger().warning("archived", entries=3)
    logging_setup.flush()
    line = json.loads(log_file.read_text())
    assert line.pop("timestamp")
    assert line == {"event": "archived", "entries": 3, "level": "warning"}
    assert "archived" in capsys.readouterr().err


def test_what_came_from_outside_does_not_speak_to_the_terminal(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escapes in an event, a field and an error's message: seen on the terminal, obeyed nowhere."""
    log = structlog.get_logger()
    log.warning("no \x1b[2Jsnapshot", reason="\x1b]0;owned\x07", status=3)
    try:
        raise RuntimeError("disk \x1b[31m\u202e full")
    except RuntimeError:
        log.exception("failed")
    logging_setup.flush()
    output = capsys.readouterr().err
    assert not set(output) & {"\x1b", "\x07", "\u202e"}
    assert r"\x1b[2J" in output
    assert r"disk \x1b[31m\u202e full" in output
    assert "\x1b" not in log_file.read_text()
    assert "Traceback (most recent call last):\n" in output


def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path, log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines wait in memory, up to a number; what has no room is counted and told once there is."""
    writing, may_go_on = threading.Event(), threading.Event()
    append = logging_setup.DailyFile.append

    def hang(file: DailyFile, lines: str, now_ns: int) -> None:
        writing.set()
        may_go_on.wait(30)
        append(file, lines, now_ns)

    monkeypatch.setattr(logging_setup.DailyFile, "append", hang)
    log = structlog.get_logger()
    log.info("first")
    assert writing.wait(10)
    for number in range(logging_setup._MAX_PENDING + 7):
        log.info("many", number=number)
    may_go_on.set()
    logging_setup.flush()
    log.info("again")
    logging_setup.flush()
    lines = [json.loads(line)["event"] for line in log_file.read_text().splitlines()]
    assert lines.count("many") == logging_setup._MAX_PENDING
    assert lines[-2:] == ["again", "7 log lines left out: they came faster than they could be written"]


def test_a_file_that_cannot_be_written_is_told_once(
    log_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal still has every line."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    log = structlog.get_logger()
    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        log.info("one")
        log.info("two")
        logging_setup.flush()
    log.info("three")
    logging_setup.flush()
    output = capsys.readouterr().err
    assert output.count("log file not written: no room left") == 1
    assert [word in output for word in ("one", "two", "three")] == [True] * 3
    assert "three" in log_file.read_text()


def test_others_cannot_read_the_log(log_file: Path) -> None:
    """Folder and file are their owner's alone."""
    structlog.get_logger().info("line")
    logging_setup.flush()
    assert log_file.stat().st_mode & 0o077 == 0
    assert log_file.parent.stat().st_mode & 0o077 == 0
