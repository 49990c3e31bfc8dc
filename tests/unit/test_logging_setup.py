"""Where log lines go, and what a traceback in them says."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

import logging_setup

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
    held = SECRET
    raise RuntimeError(f"disk of {len(held)}")


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
    line = json.loads(log_file.read_text())
    shown = capsys.readouterr().err
    assert (line["event"], line["level"]) == ("it failed", "error")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("RuntimeError: disk of 23")
    assert "in _fail" in shown
    assert "RuntimeError: disk of 23" in shown
    assert SECRET not in shown + log_file.read_text()
    assert "╭" not in shown


def test_a_line_is_json_in_the_file_and_readable_on_the_terminal(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its fields, and nothing of the machinery."""
    structlog.get_logger().warning("archived", entries=3)
    line = json.loads(log_file.read_text())
    assert line.pop("timestamp")
    assert line == {"event": "archived", "entries": 3, "level": "warning"}
    assert "archived" in capsys.readouterr().err
