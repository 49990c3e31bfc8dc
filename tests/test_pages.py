"""The pages: no link leads nowhere, every command, setting and file they name is there, both READMEs say the same."""

import importlib
import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.exceptions import TyperException

from cli.main import ENTRIES, load_command
from runtime.settings.reference import NAME, entries
from runtime.settings.settings import Settings
from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
NAMES = ROOT / "docs" / "names.md"
SOURCES = {path.name for path in ROOT.glob("[!.]*/**/*.py")} | {path.name for path in ROOT.glob("*.py")}
PACKAGES = {
    "eventlog": "cli.log.app", "replay": "cli.replay.app", "research": "cli.sql",
    "simulators.exchange": "simulators.exchange.__main__", "simulators.model": "simulators.model.__main__",
}  # fmt: skip
"""Packages that `python -m` runs as a command with subcommands, and the module that holds it."""

SCRIPTS = ("agent_data_collector", "agent_analyzer")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`((?:[^`\n]|\n(?!\n))+)`(?!`)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
PYTHON = (".venv/bin/python", "python")
SETTING = re.compile(rf"(?:{'|'.join(Settings.model_fields)})(?:\.[a-z_]+)+")
SOURCE = re.compile(r"(?:[\w.-]+/)+[\w.-]+\.(?:py|yaml|svg|lock)|[a-z]\w*\.py")
LOOKED_FOR = (
    "trades_window", "depth_snapshot_5000", "analysis_results:{unix seconds}", "views:{binance:BTCFDUSD}",
    "buy_vol", "sell_vol", "total_vol", "open", "high", "low", "close", "trades_YYYYMMDD_HHMM.json",
    "trading_recommendations_<symbol>.log", "strategy_agent.log", "is_running", "websocket_connected",
    "redis_connected", "depth_snapshots_count", "trade_window_count", "last_analysis", "cvd.ema_60s",
    "divergence.strength", "strong_buy", "strong_sell", "neutral", "batch_span", "batch_time_span", "max_depth",
    "cache_size", "fetched", "minute_bars", "analyzer.deepseek.temperature",
    "analyzer.analysis.min_order_volume_threshold", "analyzer.analysis.ladder_rungs",
    "analyzer.analysis.ladder_spread_percent", "redis.trade_files",
)  # fmt: skip
"""Names that documents about this system use."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def code(page: Path) -> Iterator[str]:
    """The lines of its code blocks that are not JSON or YAML, those that go on in the next line as one."""
    for kind, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind in ("", "sh", "bash"):
            yield from block.replace("\\\n", " ").splitlines()


def anchors(page: Path) -> set[str]:
    """What a link into a page may name behind #, as GitHub makes it of headings."""
    plain = (re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", text) for text in HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in plain}


def words_of(line: str) -> list[str]:
    """A line of shell as words, without what a pipe or another command follows; none where it is no command of ours."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    ends = [at for at, word in enumerate(words) if word in ("|", "&&", ";", ">", "&")]
    words = words[: ends[0]] if ends else words
    if words[:3] == ["liquidity", "simulate", "exchange"]:
        return ["-m", "simulators.exchange", *words[3:]]
    if words[:3] == ["liquidity", "simulate", "model"]:
        return ["-m", "simulators.model", *words[3:]]
    if words[:1] == ["liquidity"]:
        return words
    if words and words[0] in PYTHON:
        return words[1:]
    return words if words[:1] == ["make"] else []


@cache
def application(name: str) -> Any:
    """The command that `python -m NAME`, or a script of that name, is; None for a module that is none of PACKAGES."""
    if name == "liquidity":
        group = typer.main.get_command(importlib.import_module("cli.main").app)
        group.commands = {each: load_command(each) for each in ENTRIES}  # type: ignore[attr-defined]
        return group
    if name in SCRIPTS:
        return typer.main.get_command(importlib.import_module(name).app)
    return typer.main.get_command(importlib.import_module(PACKAGES[name]).app) if name in PACKAGES else None


def command_in(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words begin with, down to its last subcommand, and what follows it."""
    name, rest = (words[1], words[2:]) if words[0] == "-m" else (words[0].removesuffix(".py"), words[1:])
    command = application(name)
    if command is None:
        assert importlib.util.find_spec(name), f"there is no module {name}"
        return None, rest
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"{name} has no command {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def options_of(command: Any) -> set[str]:
    """The options a command takes, `--help` among them."""
    return {"--help", *(name for each in command.params for name in (*each.opts, *each.secondary_opts))}


def every_command(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command and all below it."""
    yield name, command
    for below, each in getattr(command, "commands", {}).items():
        yield from every_command(each, f"{name} {below}")


def targets() -> set[str]:
    """What can be made."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def is_setting(path: tuple[str, ...]) -> bool:
    """Whether settings have such a key or section."""
    known = (entry.path for entry in entries(Settings))
    return any(
        len(key) == len(path) and all(one in (NAME, other) for one, other in zip(key, path, strict=True))
        for key in known
    )


def test_the_pages_are_found() -> None:
    """A test that reads nothing would pass."""
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "docs/names.md", "docs/decisions/README.md"} <= names
    assert len([line for line in code(ROOT / "README.md") if words_of(line)]) > 15


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file in the repository, and to a heading in it where one is named."""
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target}: no such file"
        assert there.is_relative_to(ROOT), f"{target}: outside the repository"
        if anchor:
            assert anchor in anchors(there), f"{target}: no such heading; there are {sorted(anchors(there))}"


@pages
def test_every_command_in_a_block_can_be_typed(page: Path) -> None:
    """It exists, takes the options it is given, and their values have the right form."""
    for line in code(page):
        words = words_of(line)
        if not words or words[0] == "-":
            continue
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets(), line
            continue
        if words[0] not in ("-m", "liquidity", *(f"{name}.py" for name in SCRIPTS)):
            continue
        command, rest = command_in(words)
        if command is not None:
            assert not hasattr(command, "commands") or rest == ["--help"], f"{line}: which command?"
            command.make_context(line, rest, resilient_parsing="--help" in rest).close()


@pages
def test_every_command_in_a_sentence_is_there(page: Path) -> None:
    """With its options; values may be placeholders."""
    for text in INLINE.findall(prose(page)):
        words = text.split()
        if words[0] == "make" and len(words) > 1:
            assert words[1] in targets(), text
            continue
        if words[0] in PACKAGES and len(words) > 1 and words[1].isidentifier():
            words = ["-m", *words]
        elif words[0] in PYTHON or words[0] == "liquidity":
            words = words_of(text) or words
            if words in (["liquidity"], ["-m"]):
                continue
        elif words[0].removesuffix(".py") not in SCRIPTS:
            continue
        if len(words) < 2 and words[0] == "-m":
            continue
        command, rest = command_in(words)
        if command is not None:
            options = {word.partition("=")[0] for word in rest if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)}
            assert options <= options_of(command), f"{text}: no option {options - options_of(command)}"


@pytest.mark.parametrize("name", [*PACKAGES, *SCRIPTS, "liquidity"])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` prints a sentence about it and about each option."""
    for words, command in every_command(application(name), name):
        text = command.get_help(command.make_context(words, [], resilient_parsing=True))
        assert f"Usage: {words}" in text + capsys.readouterr().out
        assert command.help, f"{words} has no description"
        nameless = [each.opts[0] for each in command.params if not getattr(each, "help", None)]
        assert not nameless, f"{words}: no help for {nameless}"


@pytest.mark.parametrize("name", ["eventlog", "replay", "research"])
def test_every_command_on_a_log_answers_programs(name: str) -> None:
    """With `--json`; what was said to a model is Markdown."""
    leaves = {words: each for words, each in every_command(application(name), name) if not hasattr(each, "commands")}
    assert [words for words, each in leaves.items() if "--json" not in options_of(each)] in ([], ["replay transcript"])


@pages
def test_every_setting_named_is_one(page: Path) -> None:
    """`section.key`, to the last letter."""
    for text in INLINE.findall(page.read_text(encoding="utf-8")):
        name = SETTING.match(text)
        if name is None or name[0].rpartition(".")[2] in ("json", "md", "py", "yaml"):
            continue
        assert is_setting(tuple(name[0].split("."))), f"`{text}`: no such setting"


def test_settings_are_told_apart() -> None:
    """The check knows all keys, and refuses others."""
    assert all(is_setting(entry.path) for entry in entries(Settings))
    assert not is_setting(("redis", "trades_files"))
    assert not is_setting(("analyser", "deepseek"))


@pages
def test_every_source_file_named_is_there(page: Path) -> None:
    """With its folder, or by its name alone; the changelog speaks of what was."""
    if page.name == "CHANGELOG.md":
        return
    for text in INLINE.findall(prose(page)):
        if SOURCE.fullmatch(text):
            assert (ROOT / text).exists() or text in SOURCES, f"`{text}`: no such file"


@pages
def test_a_page_says_what_its_short_command_stands_for(page: Path) -> None:
    """Nobody knows it who came by a search; the READMEs define it."""
    text = page.read_text(encoding="utf-8")
    if page.name != "CHANGELOG.md" and re.search(r"^liquidity [a-z]", text, re.MULTILINE):
        said = "alias liquidity=" if page in READMES else r"`liquidity`\s+stands\s+for"
        assert re.search(said, text)


def test_every_page_is_linked() -> None:
    """From another page: what nobody links to, nobody finds."""
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in LINK.findall(prose(page))
        if not re.match(r"[a-z]+:|#", target)
    }
    assert set(PAGES) <= linked


@pytest.mark.parametrize("name", LOOKED_FOR)
def test_what_people_look_for_is_found(name: str) -> None:
    """On the page of names, in backticks as it is typed."""
    assert name in INLINE.findall(prose(NAMES))


def test_both_readmes_name_the_same_commands() -> None:
    """In the same order, with the same words."""
    english, chinese = ([shlex.split(line, comments=True) for line in code(page)] for page in READMES)
    assert [words for words in english if words] == [words for words in chinese if words]


def test_both_readmes_link_the_same_pages() -> None:
    """Whatever language they are in."""
    english, chinese = (
        {target for target in LINK.findall(page.read_text(encoding="utf-8")) if not target.startswith("README")}
        for page in READMES
    )
    assert english == chinese


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("[a](nowhere.md)", test_every_link_leads_somewhere),
        ("# One\n\n[a](#two)", test_every_link_leads_somewhere),
        ("```\nmake tea\n```\n", test_every_command_in_a_block_can_be_typed),
        ("```\nliquidity log chek --market binance:X --storage s\n```\n", test_every_command_in_a_block_can_be_typed),
        ("```\nliquidity log check --market binance:X --stoarge s\n```\n", test_every_command_in_a_block_can_be_typed),
        (
            "```\nliquidity log tail --market binance:X --storage s -n x\n```\n",
            test_every_command_in_a_block_can_be_typed,
        ),
        ("```\n.venv/bin/python -m nothing\n```\n", test_every_command_in_a_block_can_be_typed),
        ("```\n.venv/bin/python agent_analyzer.py --conf F\n```\n", test_every_command_in_a_block_can_be_typed),
        ("try `make tea`", test_every_command_in_a_sentence_is_there),
        ("try `liquidity verify --tools`", test_every_command_in_a_sentence_is_there),
        ("see `redis.trades_file`", test_every_setting_named_is_one),
        ("see `eventlog/nothing.py`", test_every_source_file_named_is_there),
        ("see `nothing.py`", test_every_source_file_named_is_there),
        ("try `liquidity\nverfy` and `make tea`", test_every_command_in_a_sentence_is_there),
    ],
)
def test_a_page_that_is_wrong_is_noticed(text: str, test: Callable[[Path], None], tmp_path: Path) -> None:
    """Each of the checks fails where it should."""
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises((AssertionError, TyperException)):
        test(page)
