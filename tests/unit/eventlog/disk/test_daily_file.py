"""One file per day, with several writers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventlog.disk.daily_file import DailyFile
from eventlog.errors import EventLogError, LogBroken
from market.timestamps import DAY_NS, day_of
from tests.builders import T0
from tests.conftest import ROOT


def write_file_of_day(path: Path, day_ns: int) -> None:
    """Make a file look as if it was last written on a day."""
    os.utime(path, ns=(day_ns, day_ns))


def test_every_day_has_its_file(tmp_path: Path) -> None:
    """Today's lines under the plain name, yesterday's beside it under its date, complete."""
    path = tmp_path / "logs" / "a.log"
    file = DailyFile(path, 7)
    file.append("one\n", T0)
    file.append("two\n", T0)
    write_file_of_day(path, T0)
    file.append("three\n", T0 + DAY_NS)
    assert path.read_text() == "three\n"
    assert path.with_name(f"a.log.{day_of(T0)}").read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o077 == 0
    file.close()


def test_old_days_go_and_nothing_else_does(tmp_path: Path) -> None:
    """As many days as are to stay, stay; a name without a date is not ours to remove."""
    path = tmp_path / "a.log"
    for back in range(1, 12):
        (tmp_path / f"a.log.{day_of(T0 - back * DAY_NS)}").write_text(str(back))
    for name in ("a.log.old", "a.log.2020-13-45x", "b.log.2001-01-01"):
        (tmp_path / name).write_text("mine")
    path.write_text("before\n")
    write_file_of_day(path, T0 - 12 * DAY_NS)
    DailyFile(path, 7).append("now\n", T0)
    dates = sorted(p.name.removeprefix("a.log.") for p in tmp_path.glob("a.log.20*") if p.name != "a.log.2020-13-45x")
    assert dates == [day_of(T0 - back * DAY_NS) for back in range(7, 0, -1)]
    assert {"a.log.old", "a.log.2020-13-45x", "b.log.2001-01-01"} <= {p.name for p in tmp_path.iterdir()}


def test_two_processes_share_a_file_over_midnight(tmp_path: Path) -> None:
    """The second one to notice the day begins no file of its own: no line is lost, none overwritten."""
    path = tmp_path / "a.log"
    one, two = DailyFile(path, 7), DailyFile(path, 7)
    one.append("1\n", T0)
    two.append("2\n", T0)
    write_file_of_day(path, T0)
    one.append("3\n", T0 + DAY_NS)
    two.append("4\n", T0 + DAY_NS)
    one.append("5\n", T0 + DAY_NS)
    assert path.read_text() == "3\n4\n5\n"
    assert path.with_name(f"a.log.{day_of(T0)}").read_text() == "1\n2\n"


def test_many_processes_at_once_lose_no_line(tmp_path: Path) -> None:
    """Complete lines, each once."""
    script = (
        "import sys; from pathlib import Path; from eventlog.disk.daily_file import DailyFile\n"
        "file = DailyFile(Path(sys.argv[1]), 7)\n"
        "for i in range(200):\n"
        "    file.append(f'{sys.argv[2]} {i} ' + 'x' * 300 + '\\n', int(sys.argv[3]))\n"
    )
    path = tmp_path / "a.log"
    words = [sys.executable, "-c", script, str(path)]
    running = [subprocess.Popen([*words, str(n), str(T0 + DAY_NS)], cwd=ROOT) for n in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(f"{n} {i} " + "x" * 300 for n in range(3) for i in range(200))


def test_a_line_that_was_cut_off_is_ended_first(tmp_path: Path) -> None:
    """A full disk or a crash left half a line: what follows stands in lines of its own."""
    path = tmp_path / "a.log"
    path.write_text('{"a": 1}\n{"a": 2, "b"')
    write_file_of_day(path, T0)
    file = DailyFile(path, 7)
    file.append('{"a": 3}\n', T0)
    file.append('{"a": 4}\n', T0)
    assert path.read_text() == '{"a": 1}\n{"a": 2, "b"\n{"a": 3}\n{"a": 4}\n'
    file.close()


def test_a_line_that_a_full_disk_cut_off_is_ended_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next append of the same process; where nothing of a line was written, nothing has to be ended."""
    path = tmp_path / "a.log"
    file = DailyFile(path, 7)
    file.append('{"a": 1}\n', T0)
    write_file_of_day(path, T0)
    room = [3, 0]

    def write(descriptor: int, data: memoryview) -> int:
        size = room.pop(0)
        if size == 0:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:size])

    real = os.write
    for _ in range(2):
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(EventLogError):
            file.append('{"a": 2}\n', T0)
        monkeypatch.undo()
        room = [0]
    file.append('{"a": 3}\n', T0)
    assert path.read_text() == '{"a": 1}\n{"a\n{"a": 3}\n'
    file.close()


def test_a_removed_file_is_begun_again(tmp_path: Path) -> None:
    """Another process removed the file."""
    path = tmp_path / "a.log"
    file = DailyFile(path, 7)
    file.append("one\n", T0)
    path.unlink()
    file.append("two\n", T0)
    assert path.read_text() == "two\n"


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """What it leads to stays as it was."""
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "a.log").symlink_to(tmp_path / "outside")
    with pytest.raises(LogBroken, match="is a link"):
        DailyFile(tmp_path / "a.log", 7).append("one\n", T0)
    assert (tmp_path / "outside").read_text() == "mine"


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """A file in its place."""
    (tmp_path / "logs").write_text("")
    with pytest.raises(EventLogError, match="cannot use"):
        DailyFile(tmp_path / "logs" / "a.log", 7).append("one\n", T0)
