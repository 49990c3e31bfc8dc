"""`make demo` waits for what it needs, says what went wrong, and empties nobody's folder."""

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from cli import demo
from tests.conftest import ROOT

STUBBORN = "import signal, time; signal.signal(2, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def a_daemon(folder: Path, program: str) -> demo.Daemon:
    """A process in place of a daemon."""
    return demo.Daemon("collector", ["-c", program], folder / "collector.log")


def say_status(storage: Path, stream: str, **fields: object) -> None:
    """What a daemon would have written beside its log."""
    folder = storage / "binance" / "BTCFDUSD" / stream
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status.json").write_text(json.dumps(fields))


def test_a_folder_of_somebody_else_is_not_emptied(tmp_path: Path) -> None:
    """A storage given by mistake stays whole; an empty folder, and one of an earlier run, are taken."""
    (tmp_path / "catalogue.json").write_text("{}")
    words = [sys.executable, "-m", "cli.demo", "--folder", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "has files that are not from a demonstration" in done.stderr
    assert (tmp_path / "catalogue.json").read_text() == "{}"


def test_a_daemon_that_does_not_end_is_killed_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not without a word."""
    monkeypatch.setattr(demo, "_END_S", 0.2)
    process = a_daemon(tmp_path, STUBBORN)
    while "up" not in process.log.read_text():
        process.expect_alive()
    process.end()
    assert process.process.poll() is not None
    assert "the collector did not end within 0 s and was killed" in capsys.readouterr().err


def test_ticks_are_waited_for_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long each takes; enough of them analysed are not enough while none was published in time."""
    monkeypatch.setattr(demo, "_POLL_S", 0.0)
    process = a_daemon(tmp_path, STUBBORN)
    steps = iter([(0, 0, "down"), (1, 0, "live"), (2, 0, "live"), (2, 1, "live")])

    def look(folder: Path) -> dict[str, object]:
        if folder.name == "decisions":
            analyses, count, look.trades = next(steps)  # type: ignore[attr-defined]
            return {"analyses": analyses, "published": count}
        return {"trades": look.trades}  # type: ignore[attr-defined]

    monkeypatch.setattr(demo, "status", look)
    try:
        demo.wait_for_analyses(2, tmp_path, (process,), 60)
    finally:
        process.process.kill()
        process.process.wait()
    output = capsys.readouterr().out
    assert "trades down, 0 of 2 ticks analysed" in output
    assert "trades live, 1 of 2 ticks analysed" in output
    assert "none published yet" in output


def test_what_does_not_get_on_is_given_up_with_the_last_words(tmp_path: Path) -> None:
    """How far it was, and the end of each daemon's log."""
    say_status(tmp_path, "events", trades="catching_up")
    process = a_daemon(tmp_path, STUBBORN)
    while "up" not in process.log.read_text():
        process.expect_alive()
    try:
        with pytest.raises(SystemExit) as caught:
            demo.wait_for_analyses(2, tmp_path, (process,), 0.0)
    finally:
        process.process.kill()
        process.process.wait()
    assert "trades catching_up, 0 of 2 ticks analysed" in str(caught.value)
    assert str(caught.value).endswith("up")


def test_a_daemon_that_ends_by_itself_ends_the_demonstration(tmp_path: Path) -> None:
    """With its exit code and what it said last."""
    process = a_daemon(tmp_path, "import sys; print('no room left'); sys.exit(3)")
    process.process.wait()
    with pytest.raises(SystemExit) as caught:
        demo.wait_for_analyses(1, tmp_path, (process,), 60)
    assert "ended by itself with exit code 3" in str(caught.value)
    assert "no room left" in str(caught.value)


@pytest.mark.parametrize(("program", "is_failure"), [("print('done')", False), ("raise SystemExit(4)", True)])
def test_what_ran_beside_is_shown_when_it_is_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], program: str, is_failure: bool
) -> None:
    """The command, then what it printed; one that failed ends the demonstration."""
    with (
        demo.run_in_background(tmp_path / "day.log", "-c", program) as show,
        pytest.raises(SystemExit, match="exit code 4") if is_failure else nullcontext(),
    ):
        assert capfd.readouterr().out == ""
        show()
    assert capfd.readouterr().out == f"$ python -c {program}\n" + ("" if is_failure else "done\n")


def test_what_runs_beside_ends_with_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails leaves nothing behind."""
    monkeypatch.setattr(demo, "_END_S", 0.2)
    start_s: list[demo.Daemon] = []
    made = demo.Daemon

    def remember(*words: object) -> demo.Daemon:
        start_s.append(made(*words))  # type: ignore[arg-type]
        return start_s[-1]

    monkeypatch.setattr(demo, "Daemon", remember)
    with pytest.raises(RuntimeError, match="a step"), demo.run_in_background(tmp_path / "day.log", "-c", STUBBORN):
        raise RuntimeError("a step")
    assert start_s[0].process.poll() is not None
