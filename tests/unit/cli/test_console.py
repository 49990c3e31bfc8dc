"""How every command talks."""

import json
import warnings
from pathlib import Path

import pytest
import typer

from cli import console
from eventlog.errors import LogBroken
from market.errors import BadMarket
from market.printable import one_line


def ending(error: BaseException | None, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command that ends with an error, or with none."""
    app = console.application("A command.")

    @app.command()
    def work() -> None:
        """Work."""
        if error is not None:
            raise error

    monkeypatch.setattr("sys.argv", ["program", *(words or ("work",))])
    monkeypatch.setattr("warnings.formatwarning", warnings.formatwarning)
    with pytest.raises(SystemExit) as caught:
        console.run(app)
    return int(caught.value.code or 0)


def test_what_is_known_to_go_wrong_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, without a traceback, exit code 1."""
    for error in (LogBroken("two\n  lines"), console.Failure("two lines"), BadMarket("two lines")):
        assert ending(error, monkeypatch) == 1
        assert capsys.readouterr() == ("", "error: two lines\n")


def test_several_errors_are_a_line_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """However deep they lie; the same words are said once."""
    inside = ExceptionGroup("inside", [LogBroken("two"), BadMarket("one")])
    assert ending(ExceptionGroup("all", [LogBroken("one"), inside]), monkeypatch) == 1
    assert capsys.readouterr() == ("", "error: one\nerror: two\n")


def test_our_own_bug_is_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """It crashes, with everything there is to find it by, also among others."""
    with pytest.raises(ZeroDivisionError):
        ending(ZeroDivisionError(), monkeypatch)
    with pytest.raises(ExceptionGroup, match="all"):
        ending(ExceptionGroup("all", [LogBroken("one"), ZeroDivisionError()]), monkeypatch)


def test_exit_codes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """0 only on success."""
    assert ending(None, monkeypatch) == 0
    assert ending(KeyboardInterrupt(), monkeypatch) in (1, 130)
    assert ending(typer.Exit(3), monkeypatch) == 3
    assert ending(None, monkeypatch, "wrok") == 2
    assert "No such command" in capsys.readouterr().err


def test_an_error_without_words_has_its_name() -> None:
    """A line is never empty."""
    assert one_line(KeyError()) == "KeyError"
    assert one_line(ValueError(" a\n b ")) == "a b"


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Pipes and logs get results only."""
    with console.progress("working", 3) as advance:
        advance(1)
        advance(2, 3)
    assert capsys.readouterr() == ("", "")


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """As it is, indented."""
    console.print_json({"a": [1]})
    assert capsys.readouterr().out == '{\n "a": [\n  1\n ]\n}\n'


def test_several_statuses_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """A table by market; one alone is printed as ever; for programs by name."""
    output = {
        "a:B": {"running": True, "connected": True, "trades": "live", "last_seq": 1234, "last_tick": "",
                "book": {"state": "in_step"}, "missed_diffs": 0, "waiting_on_disk": 7},
        "a:LONGER": {"running": False},
    }  # fmt: skip
    console.print_statuses(output, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "market    running  connected  trades  last_seq  last_tick  book state  missed_diffs  waiting_on_disk",
        "a:B       True     True       live    1,234     –          in_step     0             7",
        "a:LONGER  False    –          –       –         –          –           –             –",
    ]
    console.print_statuses({"a:B": output["a:B"]}, as_json=False)
    assert capsys.readouterr().out.splitlines()[0] == "running               True"
    console.print_statuses(output, as_json=True)
    assert json.loads(capsys.readouterr().out) == output


def test_a_status_is_a_line_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts have their thousands parted, what is inside something stands beside it, what is not known is a dash."""
    output = {"running": True, "last_seq": 12345, "counts": {"tick": 1234, "diff": 5},
            "model": {"decided": 3, "attempts": {"ok": 1500}, "stopped": None, "usd_today": 0.25}}  # fmt: skip
    console.print_status(output, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "running               True",
        "last_seq              12,345",
        "counts                tick 1,234, diff 5",
        "model                 decided 3, attempts (ok 1,500), stopped –, usd_today 0.25",
    ]


@pytest.mark.parametrize("name", ["catalogue.json", "reserved.json", "server.lock"])
@pytest.mark.parametrize("inside", ["a.parquet", "trade_files/a.json"])
def test_no_output_takes_the_place_of_what_a_log_keeps(tmp_path: Path, name: str, inside: str) -> None:
    """Its files lie beside one that only a log has; a link to such a folder leads there as well."""
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / name).touch()
    (tmp_path / "link").symlink_to(folder)
    for way in (folder, tmp_path / "link"):
        with pytest.raises(console.Failure, match="the folder of a log; name a file elsewhere"):
            console.expect_no_log(way / inside)
    console.expect_no_log(tmp_path / inside)
