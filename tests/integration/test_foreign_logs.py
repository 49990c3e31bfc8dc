"""A storage that somebody else made is opened by every command: nothing outside is touched, nothing in it is lost."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from cli import sql as research_commands
from cli.log import app as eventlog_commands
from cli.replay import app as replay_commands
from eventlog.disk.files import file_digest
from eventlog.disk.sealed_json import seal, seal_fields
from eventlog.facts.analysis import ANALYZER_SESSION, AnalyzerSession
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store.catalogue import Catalogue, RetiredFile
from eventlog.store.cold import ColdLog
from tests.builders import as_tables, one_of_each_decision_kind
from tests.commands import run_here
from tests.conftest import ROOT
from tests.integration.daemons import Process, wait_for
from tests.integration.foreign import (
    COMMANDS,
    DECISIONS,
    EVENTS,
    LONGEST_S,
    SCREEN,
    Place,
    build,
    is_kept,
    kept,
    listing,
    ways_of,
)
from tests.market_builders import T0
from tests.slices import a_slice

Variant = Callable[[Place], None]

VARIANTS: dict[str, Variant] = {}
READABLE: set[str] = set()
"""Variants of which what is sound may be read: what is foreign in them is not what a command asks for."""


def variant(act: Variant) -> Variant:
    """A way of handing on something hostile."""
    VARIANTS[act.__name__.strip("_")] = act
    return act


def harmless(act: Variant) -> Variant:
    """One that a reader need not even notice."""
    READABLE.add(act.__name__.strip("_"))
    return variant(act)


# What a catalogue names; the attacker seals it again, so that it is "as it was written"


def _resealed(place: Place, change: Callable[[str], str]) -> None:
    path = place.log / "catalogue.json"
    fields = json.loads(change(path.read_text()))
    fields.pop("checksum", None)
    path.write_bytes(seal_fields(fields))


def _first_name(text: str) -> str:
    found = re.search(r"[0-9]+-[0-9]+\.agg_trade\.parquet", text)
    assert found
    return found[0]


def _naming(place: Place, name: str) -> None:
    _resealed(place, lambda text: text.replace(_first_name(text), json.dumps(name)[1:-1], 1))


@variant
def _a_name_that_leads_up(place: Place) -> None:
    _naming(place, os.path.relpath(place.outside / "stolen.parquet", place.log))


@variant
def _a_name_that_is_absolute(place: Place) -> None:
    _naming(place, str(place.outside / "stolen.parquet"))


@variant
def _a_name_with_a_newline_and_an_escape(place: Place) -> None:
    _naming(place, f"a\nb{SCREEN}.parquet")


@variant
def _a_retired_name_that_leads_up(place: Place) -> None:
    cold = ColdLog(place.storage, EVENTS)
    name = os.path.relpath(place.outside / "stolen.parquet", place.log)
    old = cold.catalogue
    changed = Catalogue(old.log, old.log_id, old.version, old.segments, (RetiredFile(name, 0),))
    (place.log / "catalogue.json").write_bytes(seal(changed))


@variant
def _another_logs_name_with_an_escape(place: Place) -> None:
    _resealed(place, lambda text: text.replace("events:{binance:BTCFDUSD}", "events:{" + json.dumps(SCREEN)[1:-1], 1))


@harmless
def _a_log_id_with_an_escape(place: Place) -> None:
    log_id = ColdLog(place.storage, EVENTS).catalogue.log_id
    _resealed(place, lambda text: text.replace(log_id, json.dumps(SCREEN)[1:-1], 1))


# Links, pipes and folders where files belong


def _replaced(path: Path, target: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


def _piped(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _led_outside(place: Place, paths: Iterable[Path]) -> None:
    for path in paths:
        shutil.copy2(path, place.outside / path.name)
        _replaced(path, place.outside / path.name)


@variant
def _a_file_behind_a_link(place: Place) -> None:
    _led_outside(place, place.log.glob("*.agg_trade.parquet"))


@variant
def _a_pipe_for_a_file(place: Place) -> None:
    _piped(next(place.log.glob("*.agg_trade.parquet")))


@variant
def _a_log_folder_behind_a_link(place: Place) -> None:
    _replaced(place.log, EVENTS.folder(place.outside / "storage"))


@variant
def _a_market_folder_behind_a_link(place: Place) -> None:
    _replaced(place.log.parent, EVENTS.folder(place.outside / "storage").parent)


@variant
def _a_catalogue_behind_a_link(place: Place) -> None:
    _replaced(place.log / "catalogue.json", EVENTS.folder(place.outside / "storage") / "catalogue.json")


@variant
def _a_pipe_for_a_catalogue(place: Place) -> None:
    _piped(place.log / "catalogue.json")


@harmless
def _temporary_names_that_are_links(place: Place) -> None:
    for name in (".catalogue.json.new", ".certificate-2026-03-02.json.new", ".reserved.json.new", ".status.json.new"):
        (place.log / name).symlink_to(place.outside / "secret")


@harmless
def _an_aside_behind_a_link(place: Place) -> None:
    (place.log / "aside").symlink_to(place.outside)
    (place.log / "000000000900000-000000000900001.agg_trade.parquet").write_bytes(b"left behind")


@harmless
def _a_pipe_for_an_unlisted_file(place: Place) -> None:
    _piped(place.log / "000000000900000-000000000900001.agg_trade.parquet")


@harmless
def _a_certificate_behind_a_link(place: Place) -> None:
    path = place.log / "certificate-2026-03-02.json"
    shutil.copy2(path, place.outside / "certificate.json")
    _replaced(path, place.outside / "certificate.json")
    (place.log / "certificate-2026-03-01.json").symlink_to(place.outside / "secret")


@harmless
def _a_pipe_for_a_certificate(place: Place) -> None:
    _piped(place.log / "certificate-2026-03-02.json")
    _piped(place.log / "certificate-2026-03-01.json")


@harmless
def _a_spill_behind_a_link(place: Place) -> None:
    (place.log / "spill.log").symlink_to(place.outside / "secret")
    (place.log / "spill.position.json").symlink_to(place.outside / "secret")


@harmless
def _pipes_for_a_spill_and_a_reserve(place: Place) -> None:
    for name in ("spill.log", "spill.position.json", "reserved.json"):
        _piped(place.log / name)


@harmless
def _locks_and_a_status_behind_links(place: Place) -> None:
    for name in ("writer.lock", "status.json", "metrics.json", "reserved.json"):
        for folder in (place.log, place.decisions):
            _replaced(folder / name, place.outside / "secret")


@harmless
def _minute_files_behind_a_link(place: Place) -> None:
    (place.log.parent / "trade_files").symlink_to(place.outside)


@harmless
def _a_status_full_of_escapes(place: Place) -> None:
    said = json.dumps({"trades": SCREEN, "book": {"state": SCREEN}, SCREEN: 1, "last_seq": [SCREEN]})
    for folder in (place.log, place.decisions):
        (folder / "status.json").write_text(said)


# Decisions


def _decisions_of(place: Place, *facts: Any) -> None:
    shutil.rmtree(place.decisions)
    cold = ColdLog(place.storage, DECISIONS)
    cold.create(T0)
    cold.append(1, len(facts), as_tables(facts))


@harmless
def _models_full_of_escapes(place: Place) -> None:
    said = json.dumps(SCREEN)[1:-1].encode()

    def spoiled(data: bytes) -> bytes:
        for name in (b"gone", b"deepseek", b"static", b"one", b"two"):
            data = data.replace(b'"' + name + b'"', b'"' + name + said + b'"')
        return data

    facts = one_of_each_decision_kind()
    _decisions_of(place, *(type(fact)(fact.kind, fact.recv_ns, spoiled(fact.data)) for fact in facts))


@harmless
def _settings_that_name_a_pipe(place: Place) -> None:
    _piped(place.folder / "handed" / "pipe")
    settings = {"analyzer": {"analysis": {"fitted_file": str(place.folder / "handed" / "pipe")}}}
    session = AnalyzerSession("started", SCREEN, SCREEN, SCREEN, json.dumps(settings))
    _decisions_of(place, session.fact(ANALYZER_SESSION, T0), *one_of_each_decision_kind()[1:])


# The log's own server


def _cold_server(place: Place) -> Path:
    """The files of a server that ran here."""
    server = EmbeddedServer(place.storage)
    client = server.ensure()
    client.set("a", "1")
    client.close()
    server.stop()
    return server.folder


def _resp(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)


@harmless
def _a_servers_settings_of_another_make(place: Place) -> None:
    folder = _cold_server(place)
    for name in ("server.conf", "valkey.conf", "redis.conf"):
        (folder / name).write_text(f"loadmodule {place.outside}/evil.so\ndir {place.outside}\nport 7777\n")


@harmless
def _a_password_that_is_settings(place: Place) -> None:
    folder = _cold_server(place)
    (folder / "server.password").write_text(f"x\ndbfilename evil.rdb\ndir {place.outside}\nsave 1 1\n")


@variant
def _commands_in_the_append_only_file(place: Place) -> None:
    folder = _cold_server(place)
    with next(folder.glob("appendonlydir/*.incr.aof")).open("ab") as file:
        file.write(_resp("CONFIG", "SET", "port", str(_free_port())))
        file.write(_resp("CONFIG", "SET", "appendonly", "no"))


@variant
def _users_in_the_append_only_file(place: Place) -> None:
    folder = _cold_server(place)
    with next(folder.glob("appendonlydir/*.incr.aof")).open("ab") as file:
        file.write(_resp("ACL", "SETUSER", "evil", "on", ">x", "+@all", "~*"))


@variant
def _a_server_folder_behind_a_link(place: Place) -> None:
    (place.outside / "redis" / "appendonlydir").mkdir(parents=True)
    (place.storage / "redis").symlink_to(place.outside / "redis")


@variant
def _a_servers_files_behind_links(place: Place) -> None:
    folder = _cold_server(place)
    for name in ("server.log", "server.lock", "server.password"):
        _replaced(folder / name, place.outside / "secret")


@variant
def _a_servers_file_with_another_name_outside(place: Place) -> None:
    folder = _cold_server(place)
    path = next(folder.glob("appendonlydir/*.incr.aof"))
    os.link(path, place.outside / "linked")


@variant
def _pipes_among_the_servers_files(place: Place) -> None:
    folder = _cold_server(place)
    _piped(folder / "server.log")
    _piped(folder / "server.password")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


OF_STORAGE = tuple(VARIANTS)
"""Those that a daemon meets: it opens no runs."""


# Runs


def _manifest_of(place: Place, **changed: Any) -> None:
    path = place.run / "manifest.json"
    fields = json.loads(path.read_text())
    fields.pop("checksum")
    path.write_bytes(seal_fields(fields | changed))


@harmless
def _a_manifest_that_names_files_outside(place: Place) -> None:
    folder = place.run
    stolen = os.path.relpath(place.outside / "stolen.parquet", folder)
    files = {stolen: file_digest(place.outside / "stolen.parquet"), "scores.parquet": "0" * 64}
    _manifest_of(place, files=files, run_id=SCREEN, notes=[SCREEN])


@harmless
def _a_manifest_of_nothing(place: Place) -> None:
    _manifest_of(place, inputs={}, run_id=None, notes=None, analyses="many", model=[SCREEN])


@harmless
def _a_manifest_of_another_market(place: Place) -> None:
    inputs = json.loads((place.run / "manifest.json").read_text())["inputs"]
    _manifest_of(place, inputs=inputs | {"market": f"binance:{SCREEN}", "seq": ["a", None]})


@harmless
def _tables_of_other_columns(place: Place) -> None:
    files = {}
    for path in place.run.glob("*.parquet"):
        pq.write_table(pa.table({SCREEN: [SCREEN], "advice": ["x"]}), path)
        files[path.name] = file_digest(path)
    _manifest_of(place, files=files)


@harmless
def _a_runs_tables_behind_links(place: Place) -> None:
    _led_outside(place, place.run.glob("*.parquet"))


@harmless
def _a_report_behind_a_link(place: Place) -> None:
    _replaced(place.run / "report.html", place.outside / "secret")


@harmless
def _a_pipe_for_a_report(place: Place) -> None:
    _piped(place.run / "report.html")


@harmless
def _a_manifest_behind_a_link(place: Place) -> None:
    shutil.copy2(place.run / "manifest.json", place.outside / "manifest.json")
    _replaced(place.run / "manifest.json", place.outside / "manifest.json")


@harmless
def _a_run_behind_a_link(place: Place) -> None:
    shutil.copytree(place.run, place.outside / "run")
    run = place.run
    shutil.rmtree(run)
    run.symlink_to(place.outside / "run")


@harmless
def _answers_and_a_ledger_behind_links(place: Place) -> None:
    (place.runs / "answers").symlink_to(place.outside)
    (place.runs / "variants.jsonl").symlink_to(place.outside / "secret")


@harmless
def _an_unfinished_run_behind_a_link(place: Place) -> None:
    (place.runs / f".{place.run.name}.new").symlink_to(place.outside)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every variant begins as."""
    return build(tmp_path_factory.mktemp("origin") / "place").folder


@pytest.fixture
def place(origin: Path, tmp_path: Path) -> Iterator[Place]:
    """A copy of it, and nothing of it running afterwards."""
    yield from _copied(origin, tmp_path / "place")


def _copied(origin: Path, folder: Path) -> Iterator[Place]:
    shutil.copytree(origin, folder, symlinks=True)
    place = Place(folder)
    yield place
    if not (place.storage / "redis").is_symlink():
        EmbeddedServer(place.storage).stop()


def registered(prefix: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
    """The commands below one, however deep."""
    if hasattr(command, "commands"):
        for name, inside in command.commands.items():
            yield from registered((*prefix, name), inside)
    else:
        yield prefix


def test_no_command_is_left_out() -> None:
    """A new command must be tried, too."""
    apps = {"eventlog": eventlog_commands.app, "replay": replay_commands.app, "research": research_commands.app}
    found = {each for name, app in apps.items() for each in registered((name,), typer.main.get_command(app))}
    named = {(*each, "sql") if each == ("research",) else each for each in found}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("name", a_slice(VARIANTS, 4))
def test_every_command_on_what_others_hand_on(name: str, place: Place, tmp_path: Path) -> None:
    """Nothing outside is touched and nothing recorded is lost; one line of error or a right answer, no escape."""
    VARIANTS[name](place)
    refused = 0
    for command in COMMANDS:
        for words in ways_of(command, place):
            before, recorded = listing(place.outside), kept(place.storage)
            told = f"{name}: {' '.join((command[0], *words))}"
            done = run_here(command[0], *words, longest_s=LONGEST_S)
            code, out, err = done.returncode, done.stdout, done.stderr
            assert listing(place.outside) == before, told
            assert is_kept(recorded, place.storage), told
            expect_plain(out, told)
            expect_plain(err, told)
            if code != 0:
                refused += 1
                errors = [line for line in err.splitlines() if not line.startswith(("note: ", "warning: "))]
                logs = 2 if command[1] == "rebuild-catalogue" else 1  # it goes on to the other log
                assert len(errors) <= logs, f"{told}\n{err}"
                assert errors or out, told
    assert refused or name in READABLE


DAEMONS = {"agent_data_collector.py": EVENTS, "agent_analyzer.py": DECISIONS}


@pytest.mark.parametrize("name", a_slice(OF_STORAGE, 12))
def test_daemons_on_what_others_hand_on(name: str, place: Place) -> None:
    """Started for a moment, and asked how they are: the same."""
    VARIANTS[name](place)
    before, recorded = listing(place.outside), kept(place.storage)
    for script in DAEMONS:
        daemon = started(script, place)
        try:
            wait_for(partial(has_begun, daemon), 60)
            asked = subprocess.run(
                [sys.executable, script, "--config", place.config, "--status"],
                cwd=ROOT, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            code = daemon.interrupt(30) if daemon.popen.poll() is None else daemon.popen.returncode
        finally:
            if daemon.popen.poll() is None:
                daemon.kill()
        said = daemon.text()
        assert code in (0, 1), f"{name}: {script}: {code}\n{said}"
        assert code == 0 or sum(line.startswith("error: ") for line in said.splitlines()) == 1, f"{name}: {said}"
        for text in (said, asked.stdout, asked.stderr):
            expect_plain(text, f"{name}: {script}")
        assert listing(place.outside) == before, f"{name}: {script}"
        assert is_kept(recorded, place.storage), f"{name}: {script}"


def started(script: str, place: Place) -> Process:
    """A daemon on what was handed on."""
    output = place.work / script
    with output.open("wb") as out:
        words = [sys.executable, script, "--config", str(place.config)]
        popen = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    return Process(popen, output)


def has_begun(daemon: Process) -> bool:
    """Whether a daemon has opened its log and begun, or has ended."""
    said = daemon.text()
    return daemon.popen.poll() is not None or any(word in said for word in ("not available", "analysing", "waiting"))


def expect_plain(text: str, told: str) -> None:
    """No traceback, nothing that a terminal obeys."""
    assert "Traceback" not in text, f"{told}\n{text}"
    assert all(line.isprintable() for line in text.split("\n")), f"{told}\n{text!r}"
