"""Models on recorded days as a user meets them: asked once over real sockets, stored, scored, replayed exactly."""

import json
import re
import shutil
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from agents.llm.conversation.prompts import SHIPPED
from cli import console, trials
from cli.consent import Consent
from cli.options import LogSource
from cli.replay.answers import requests_of
from eventlog.clock import WallClock
from eventlog.facts.analysis import ANALYZER_SESSION
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import table
from market.printable import one_line
from market.timestamps import MINUTE_NS
from replay.errors import AskingStopped, MissingAnswer, NothingToReplay
from replay.runs.finished_runs import load as load_run
from replay.runs.run import Request, Result
from replay.runs.run import run as replay
from replay.scoring.rules import rules_of
from replay.trials.answers import FOLDER
from replay.trials.asking import SpendPolicy
from replay.trials.estimate import Estimate
from replay.trials.experiment import LEDGER
from runtime.analysis_config import analysis_config, session_settings
from runtime.settings.settings import Settings, SettingsError, load
from simulators.model.server import ModelServer
from tests.market_builders import MARKET, T0, a_market, write_log
from tests.model_server import model_server

TOKENS = ("prompt_tokens", "cache_hit_tokens", "cache_miss_tokens", "completion_tokens", "reasoning_tokens")
KEY = "sk-never-to-be-seen-77aa"
FROM = ("--from", "2026-03-02T00:50:00Z")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour and ten recorded minutes."""
    folder = tmp_path_factory.mktemp("storage")
    write_log(folder, a_market(61, 70), segments=3)
    return folder


CHOSEN = "thresholds_chosen_on: [2026-03-02]"


def settings_file(folder: Path, url: str, key: str = KEY) -> Path:
    """Settings that ask a server of this machine."""
    path = folder / "settings.yaml"
    path.write_text(
        "data_collector: {order_flow: {window_size_minutes: 60}}\n"
        f'analyzer: {{deepseek: {{api_key: "{key}", base_url: "{url}", language: en, mode: compact}}}}\n'
    )
    return path


def command(*words: Any) -> Any:
    """A command line, without a terminal to ask at."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(trials.ab)
    app.command()(trials.probe)
    return CliRunner().invoke(app, [str(word) for word in words])


def other_prompts(folder: Path) -> Path:
    """A variant of the shipped prompts."""
    shutil.copytree(SHIPPED / "default", folder / "brief")
    text = folder / "brief" / "en" / "compact.md"
    text.write_text(text.read_text() + "\nBe brief.\n")
    return folder / "brief"


def agreed(estimate: Estimate) -> None:
    """Whatever it costs."""


def patience() -> SpendPolicy:
    """Asks at once, four at a time, and shows nothing."""
    return SpendPolicy(4, agreed, partial(console.progress, "asking"))


def a_request(settings: Settings, minutes: int = 50) -> Request:
    """What follows some minutes of the record."""
    sight = analysis_config(settings, MARKET.symbol)
    return Request(str(MARKET), T0 + minutes * MINUTE_NS, 2**61, sight, rules_of(settings.scoring, sight.parameters))


def to_replay(
    request: Request, analyst: str, place: LogSource, settings: Settings | None, out: Path, repeats: int = 1
) -> list[Request]:
    """As the command makes of a request; without settings where the user named none."""
    return requests_of(request, analyst, replace(place, settings=settings), out, repeats, patience())


def replayed(place: LogSource, request: Request, out: Path, workers: int = 1) -> Result:
    """A run's folder."""
    decisions = place.decisions if place.has_decisions else None
    return replay(place.events, request, out, workers, WallClock(), lambda *_: None, decisions)


def asked(server: ModelServer) -> int:
    """How many requests came."""
    return server.model.ledger.total


def test_ab(storage: Path, tmp_path: Path) -> None:
    """
    Both sides asked, each figure printed with what too few minutes allow, the ledger written; again, nothing is asked
    and nothing counts twice.
    """
    with model_server() as server:
        settings = settings_file(tmp_path, server.base_url)
        settings.write_text(settings.read_text().replace("analyzer: {", "analyzer: {analysis: {" + CHOSEN + "}, "))
        words = ("ab", "--market", MARKET, "--storage", storage, "--config", settings,
                 "--out", tmp_path / "runs", *FROM, "--prompts", "default", other_prompts(tmp_path), "--repeats", 2,
                 "--horizons", "60")  # fmt: skip
        done = command(*words, "--yes")
        assert done.exit_code == 0, done.output
        first = asked(server)
        again = command(*words, "--json")
        assert asked(server) == first
    lines = done.stdout.splitlines()
    assert "at worst" in done.stderr
    assert "lie before the release of deepseek-flash (2026-10-17)" in done.stderr
    assert done.stderr.count("note: in sample: thresholds were chosen on 2026-03-02") == 1
    assert [line[:2] for line in lines[:2]] == ["A:", "B:"]
    assert "fallback 0.0 %" in lines[0]
    assert any(line.startswith("rejected") and line.endswith("too few") for line in lines)
    assert "20 minutes are 0 blocks of 4.0 h, and 8 are needed: compare at least 32 h more" in done.stdout
    found = json.loads(again.stdout)
    assert [row["metric"] for row in found["scores"]] == [
        "touched", "rejected", "filled", "value_60s_bps", "filled", "value_60s_bps"
    ]  # fmt: skip
    assert found["comparisons_ever"] == 6
    assert found["a"]["answers"] == found["b"]["answers"] == 2 * found["minutes"]
    assert found["a"]["cost_usd"] > 0
    ledger = [json.loads(line)["comparison"] for line in (tmp_path / "runs" / LEDGER).read_text().splitlines()]
    assert len(ledger) == 12
    assert sum(look["cost_usd_e12"] for look in ledger[6:]) == 0
    assert sum(look["cost_usd_e12"] for look in ledger) / 1e12 == pytest.approx(
        found["a"]["cost_usd"] + found["b"]["cost_usd"], abs=1e-5
    )


def test_a_against_a(storage: Path, tmp_path: Path) -> None:
    """The same side twice is asked twice, is said so, and is no variant that was tried."""
    with model_server() as server:
        done = command(
            "ab", "--market", MARKET, "--storage", storage, "--config", settings_file(tmp_path, server.base_url),
            "--out", tmp_path / "runs", *FROM, "--prompts", "default", SHIPPED / "default", "--yes",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "A and B ask the same" in done.stdout
    assert not (tmp_path / "runs" / LEDGER).exists()
    (answers,) = (tmp_path / "runs" / FOLDER).glob("*.jsonl")
    repeats = [json.loads(line)["repeat"] for line in answers.read_text().splitlines()[1:]]
    assert sorted(set(repeats)) == [0, 1]


def test_nothing_is_spent_unasked(storage: Path, tmp_path: Path) -> None:
    """No terminal and no --yes: one line that names the cost, and not one request."""
    with model_server() as server:
        done = command(
            "probe", "--market", MARKET, "--storage", storage, "--config", settings_file(tmp_path, server.base_url),
            "--out", tmp_path / "runs", *FROM, "--analyst", "deepseek",
        )  # fmt: skip
        assert asked(server) == 0
    assert isinstance(done.exception, console.Failure)
    assert re.fullmatch(
        r"asking a model costs money \(about 0\.0\d\d\d USD\) and needs consent; run it again with --yes",
        str(done.exception),
    )


def test_without_a_key_nothing_is_asked(storage: Path, tmp_path: Path) -> None:
    """A missing answer and no key: one line that names the setting."""
    settings = load(settings_file(tmp_path, "http://127.0.0.1:9", key=""))
    place = LogSource(MARKET, storage, None, None)
    with pytest.raises(SettingsError, match="api_key is not set"):
        to_replay(a_request(settings), "deepseek", place, settings, tmp_path / "runs")


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_of_a_model_are_exact(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Asked once, each repeat is a run of its own; run again without key or socket they come out identical."""
    place = LogSource(MARKET, storage, None, None)
    with model_server() as server:
        settings = load(settings_file(tmp_path, server.base_url))
        requests = to_replay(a_request(settings), "deepseek", place, settings, tmp_path / "runs", 2)
        runs = [replayed(place, each, tmp_path / "runs") for each in requests]
    assert len({run.folder for run in runs}) == 2
    assert [run.manifest["inputs"]["answers"]["repeat"] for run in runs] == [0, 1]
    assert any("may be remembered rather than reasoned about" in note for note in runs[0].manifest["notes"])
    bodies = runs[0].manifest["files"]["recommendations.parquet"]
    assert bodies != runs[1].manifest["files"]["recommendations.parquet"]
    without = load(settings_file(tmp_path, server.base_url, key=""))
    monkeypatch.setattr(socket.socket, "connect", refused)
    again = to_replay(a_request(without), "deepseek", place, without, tmp_path / "runs", 2)
    assert [replayed(place, each, tmp_path / "runs", workers).differing_files for each in again] == [[], []]


def refused(*_: Any) -> None:
    """No connection in this test."""
    raise AssertionError("a socket was opened")


def test_the_key_is_in_no_file(storage: Path, tmp_path: Path) -> None:
    """Neither answers nor runs hold it, nor where it was sent beyond the address."""
    place = LogSource(MARKET, storage, None, None)
    with model_server() as server:
        settings = load(settings_file(tmp_path, server.base_url))
        (request,) = to_replay(a_request(settings, 64), "deepseek", place, settings, tmp_path / "runs")
        replayed(place, request, tmp_path / "runs")
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert len(written) >= 7
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []


def test_an_empty_account_stops_and_goes_on_later(storage: Path, tmp_path: Path) -> None:
    """After a 402 what came before is kept, the message says how to go on, and the next call asks only the rest."""
    place = LogSource(MARKET, storage, None, None)
    with model_server() as server:
        settings = load(settings_file(tmp_path, server.base_url))
        server.set_rules([{"when": {"nth": 8}, "fault": "http_402"}])
        with pytest.raises(AskingStopped, match="would be refused as well until that is fixed") as stopped:
            to_replay(a_request(settings), "deepseek", place, settings, tmp_path / "runs")
        assert "no balance left (HTTP 402): Insufficient Balance; top it up" in str(stopped.value)
        (answers,) = (tmp_path / "runs" / FOLDER).glob("*.jsonl")
        kept = [json.loads(line) for line in answers.read_text().splitlines()[1:]]
        assert 0 < sum(line["whole"] for line in kept) < 20
        server.set_rules([])
        (request,) = to_replay(a_request(settings), "deepseek", place, settings, tmp_path / "runs")
    lines = [json.loads(line) for line in answers.read_text().splitlines()[1:]]
    whole = [line["seq"] for line in lines if line["whole"]]
    assert len(whole) == len(set(whole))
    assert replayed(place, request, tmp_path / "runs").manifest["recommendations"] == len(whole)


def test_the_day_limit_holds(storage: Path, tmp_path: Path) -> None:
    """What was stored today counts: with a limit that is used up not one request more is sent."""
    place = LogSource(MARKET, storage, None, None)
    with model_server() as server:
        path = settings_file(tmp_path, server.base_url)
        settings = load(path)
        to_replay(a_request(settings, 66), "deepseek", place, settings, tmp_path / "runs")
        before = asked(server)
        (answers,) = (tmp_path / "runs" / FOLDER).glob("*.jsonl")
        calls = [call for line in answers.read_text().splitlines()[1:] for call in json.loads(line)["calls"]]
        used = sum(call["charged"]["prompt"] + call["charged"]["completion"] for call in calls)
        path.write_text(path.read_text().replace("language: en", f"language: zh, tokens_per_day: {used + 10_000}"))
        tight = load(path)
        with pytest.raises(AskingStopped, match="no_budget: not sent: tokens_per_day"):
            to_replay(a_request(tight, 66), "deepseek", place, tight, tmp_path / "runs")
        assert asked(server) == before
        fresh = LogSource(MARKET, storage, None, None)
        with pytest.raises(AskingStopped, match="no_budget"):
            to_replay(a_request(tight, 66), "deepseek", fresh, tight, tmp_path / "elsewhere")
        assert asked(server) > before


def test_recorded_needs_a_record(storage: Path, tmp_path: Path) -> None:
    """Without a decision log there is nothing to replay; an unknown analyst and needless repeats are refused."""
    place, settings = LogSource(MARKET, storage, None, None), Settings()
    for analyst, repeats, said in (
        ("recorded", 1, "there is no decision log"),
        ("oracle", 1, "known: rules, recorded, deepseek"),
        ("rules", 2, "gives the same answer every time"),
    ):
        with pytest.raises(console.Failure, match=said):
            to_replay(a_request(settings), analyst, place, settings, tmp_path / "runs", repeats)
    assert to_replay(a_request(settings), "rules", place, settings, tmp_path / "runs") == [a_request(settings)]


def decision_log(storage: Path, answers: Path, settings: Settings) -> None:
    """A decision log as an analyzer would have written it, had these answers come live."""
    sight = analysis_config(settings, MARKET.symbol)
    calls, made = [], []
    for line in answers.read_text().splitlines()[1:]:
        answer = json.loads(line)
        tick = {"market_seq": answer["seq"], "as_of_ns": answer["as_of_ns"], "analyst": "deepseek",
                "prompt_digest": answer["prompt_digest"]}  # fmt: skip
        for call in answer["calls"]:
            tokens = dict.fromkeys(TOKENS, 0) | {"request": "{}", "status": 200}
            names = ("agent", "attempt", "sent_ns", "took_ms", "verdict", "detail", "reply")
            shared = {name: call[name] for name in names}
            calls.append(tick | shared | tokens | {"request_digest": call["request"], "cost_usd_e12": 0})
        made.append(tick | {"fallback": answer["fallback"], "cut": answer["cut"], "anomalies": answer["anomalies"],
                            "refusals": [], "numbers": 0, "ungrounded": 0})  # fmt: skip
    session = {"event": "started", "code": "c", "lock_digest": "l", "parameters_digest": sight.parameters.digest(),
               "settings": session_settings(settings, sight.parameters)}  # fmt: skip
    cold, seq, tables = ColdLog(storage, LogName("decisions", MARKET)), 0, {}
    cold.create(T0)
    for kind, rows in ((ANALYZER_SESSION, [session]), (MODEL_CALL, calls), (MODEL_DECISION, made)):
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        numbers = list(range(seq + 1, seq + 1 + len(rows)))
        tables[kind] = table(kind, {"seq": numbers, "recv_ns": [T0] * len(rows)} | columns)
        seq += len(rows)
    cold.append(1, seq, tables)


def test_recorded_is_exact(storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the record alone, under the settings it was made with: what was answered then, and not one request."""
    copy = tmp_path / "storage"
    shutil.copytree(storage, copy)
    place = LogSource(MARKET, copy, None, None)
    with model_server() as server:
        settings = load(settings_file(tmp_path, server.base_url))
        (request,) = to_replay(a_request(settings), "deepseek", place, settings, tmp_path / "runs")
        before = replayed(place, request, tmp_path / "runs")
    (answers,) = (tmp_path / "runs" / FOLDER).glob("*.jsonl")
    decision_log(copy, answers, settings)
    monkeypatch.setattr(socket.socket, "connect", refused)
    (recorded,) = to_replay(a_request(Settings()), "recorded", place, None, tmp_path / "runs")
    assert recorded.config == request.config
    after = replayed(place, recorded, tmp_path / "runs")
    bodies = [load_run(run.folder).table("recommendations").column("body").to_pylist() for run in (before, after)]
    assert bodies[0] == bodies[1]
    assert sum(body is not None for body in bodies[0]) == 19
    assert replayed(place, recorded, tmp_path / "runs").differing_files == []
    (early,) = to_replay(a_request(Settings(), 45), "recorded", place, None, tmp_path / "runs")
    with pytest.raises(MissingAnswer, match="no model was asked about 2026-03-02T00:46:00Z"):
        replayed(place, early, tmp_path / "runs")


def test_a_missing_answer_fails_the_run(storage: Path, tmp_path: Path) -> None:
    """A range that was not asked about is not replayed from answers that were: one line names the minute."""
    place = LogSource(MARKET, storage, None, None)
    with model_server() as server:
        settings = load(settings_file(tmp_path, server.base_url))
        (request,) = to_replay(a_request(settings, 66), "deepseek", place, settings, tmp_path / "runs")
    wider = Request(
        request.market, T0 + 60 * MINUTE_NS, 2**61, request.config, request.rules, "deepseek", request.recorded_model
    )
    with pytest.raises(MissingAnswer, match="no model was asked about 2026-03-02T01:0"):
        replayed(place, wider, tmp_path / "runs")


def test_probe_of_rules(storage: Path, tmp_path: Path) -> None:
    """Labels change nothing, asked again changes nothing, shifts keep every stance; zones are met again by weight."""
    done = command("probe", "--market", MARKET, "--storage", storage, "--out", tmp_path, *FROM, "--every", 5, "--json",
                   "--config", settings_file(tmp_path, "http://127.0.0.1:9"))  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = {row["change"]: row for row in json.loads(done.stdout)["changes"]}
    assert list(rows) == ["-1000", "+1000", "relabelled", "mirrored", "asked again"]
    assert rows["relabelled"]["exactly"]["value"] == rows["asked again"]["exactly"]["value"] == 1.0
    assert [row["stance"]["value"] for change, row in rows.items() if change != "mirrored"] == [1.0] * 4
    assert min(row["overlap"]["value"] for row in rows.values()) > 0.6
    assert {row["n"] for row in rows.values()} == {4}


def test_probe_of_a_model(storage: Path, tmp_path: Path) -> None:
    """Every change is asked about and stored apart, the noise as a second time; again, nothing is asked."""
    with model_server() as server:
        words = ("probe", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs", *FROM, "--every", 10,
                 "--config", settings_file(tmp_path, server.base_url), "--analyst", "deepseek")  # fmt: skip
        done = command(*words, "--yes")
        assert done.exit_code == 0, done.output
        first = asked(server)
        again = command(*words)
        assert asked(server) == first
    assert again.stdout == done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "change", "-1000", "+1000", "relabelled", "mirrored", "asked"
    ]  # fmt: skip
    assert len(list((tmp_path / "runs" / FOLDER).glob("*.jsonl"))) == 5
    assert first == 6 * 2 * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to compare"),
        (("--config-a", "a.yaml"), "belong together"),
        (("--prompts", "default", "default", "--horizons", "7"), "known are 10, 60, 300, 900, 3600 seconds"),
        (("--prompts", "default", "default", "--from", "2030-01-01"), "holds no tick in that time range"),
        (("--prompts", "default", "nowhere"), "analyzer.deepseek.prompts: "),
    ],
)
def test_wrong_words_are_one_line(storage: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """What is missing or wrong is said with the mend, before anything is asked."""
    done = command("ab", "--market", MARKET, "--storage", storage, "--out", tmp_path, "--yes", *words)
    assert isinstance(done.exception, console.Failure | NothingToReplay | SettingsError)
    assert said in one_line(done.exception)


def test_consent_is_given_once() -> None:
    """Agreed for the first part, the others are not asked about."""
    consent = Consent(True, 3)
    consent(Estimate(5, 100, 900, 1_000_000, None, "a rule"))
    assert consent.is_given
    with pytest.raises(console.Failure, match="run it again with --yes"):
        Consent(False)(Estimate(5, 100, 900, None, None, "a rule"))
