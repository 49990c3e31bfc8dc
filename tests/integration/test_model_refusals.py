"""Endpoints that refuse, as a user meets them: one line with the server's reason, and no figure that is no model's."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.asking import model_setup
from cli.options import LogSource
from eventlog.facts.capture import TICK
from eventlog.facts.model import MODEL_DECISION
from market.printable import one_line
from replay.errors import AskingStopped, NothingDecided
from replay.runs.finished_runs import load as load_run
from replay.trials.answers import FOLDER, Answers
from replay.trials.experiment import LEDGER
from runtime.open_log import open_log
from runtime.settings.settings import Settings, load
from tests.commands import run_here
from tests.fakes.odd_endpoint import odd_endpoint
from tests.integration.test_model_commands import (
    KEY,
    a_request,
    command,
    decision_log,
    other_prompts,
    replayed,
    settings_file,
    to_replay,
)
from tests.market_builders import MARKET, a_market, write_log
from tests.model_server import model_server

Body = dict[str, Any]
FROM = ("--from", "2026-03-02T00:50:00Z")
HOSTILE = f"no \x1b[31msuch\u202e model {KEY}"
SAID = "no [31msuch model [key]"
AGAIN = "same command again"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour and ten recorded minutes."""
    folder = tmp_path_factory.mktemp("storage")
    write_log(folder, a_market(61, 70), segments=3)
    return folder


def an_error(_: Body) -> Body:
    """What a server says where it does not answer."""
    return {"error": {"message": HOSTILE, "type": "invalid_request_error"}}


def replay(*words: Any) -> subprocess.CompletedProcess[str]:
    """The command line as a user has it, without a terminal."""
    return run_here("replay", *words, environment={k: v for k, v in os.environ.items() if "proxy" not in k.lower()})


def is_clean(text: str) -> bool:
    """Whether no terminal would obey any of it, and no key is in it."""
    return KEY not in text and not [c for c in text if c != "\n" and not c.isprintable()]


def folders_of(runs: Path) -> list[Path]:
    """The run folders in the folder of all runs."""
    return [path for path in runs.iterdir() if (path / "manifest.json").exists()]


def test_an_error_body_under_200_is_never_the_model(storage: Path, tmp_path: Path) -> None:
    """
    Exit code 1 and one line that says why; manifest and report say that the model decided nothing, and no figure is
    called its own. Once the endpoint is mended, the same minutes are asked about again.
    """
    words = ("run", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs", *FROM, "--yes",
             "--analyst", "deepseek", "--config")  # fmt: skip
    with odd_endpoint(an_error) as endpoint:
        done = replay(*words, settings_file(tmp_path, endpoint.base_url))
    assert done.returncode == 1
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("error: ")]
    assert line.startswith("error: model decided 0 of 19; at the others the rules stood in: no_choice 19; its server")
    assert f"its server said: no message in it: {SAID}. No figure of " in line
    assert is_clean(done.stdout + done.stderr)
    (folder,) = folders_of(tmp_path / "runs")
    run = load_run(folder)
    assert run.manifest["model"] == {"asked": 19, "decided": 0, "fallback": {"no_choice": 19}}
    assert run.manifest["notes"][0].startswith("model decided 0 of 19; ")
    figures = run.table("scores").column("metric").to_pylist()
    assert figures
    assert all(name.endswith(" (fallback)") for name in figures)
    assert set(run.table("episodes").column("decided_by").to_pylist()) == {"fallback"}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.index("model decided 0 of 19") < page.index('class="cards"')
    assert SAID not in page
    with odd_endpoint(lambda body: body) as endpoint:
        path = settings_file(tmp_path, endpoint.base_url)
        take_answers_along(tmp_path, storage, path)
        asked_again = replay(*words, path)
    assert asked_again.returncode == 0, asked_again.stderr
    assert "note: model decided 19 of 19\n" in asked_again.stdout
    assert "(fallback)" not in asked_again.stdout


def take_answers_along(tmp_path: Path, storage: Path, config: Path) -> None:
    """Name the only answers there are as those of another port: a server that is mended would have the one it had."""
    (answers,) = (tmp_path / "runs" / FOLDER).glob("*.jsonl")
    place = LogSource(MARKET, storage, None, None)
    with place.events() as log:
        digest = model_setup(place, load(config), tmp_path / "runs").arm(log).digest()
    head, *lines = answers.read_text().splitlines(keepends=True)
    answers.write_text(head.replace(answers.stem, digest) + "".join(lines))
    answers.rename(answers.with_name(f"{digest}.jsonl"))


@pytest.mark.parametrize(
    ("status", "change", "headers", "said", "most"),
    [
        (400, an_error, {}, f"bad_request: HTTP 400: {SAID}", 4 + 5),
        (422, lambda _: {"detail": [{"loc": ["body", "tools"], "msg": "not known"}]}, {}, "body.tools: not known", 9),
        (401, an_error, {}, f"the key was refused (HTTP 401): {SAID}; fix analyzer.deepseek.api_key", 4),
        (402, an_error, {}, f"the account has no balance left (HTTP 402): {SAID}; top it up", 4),
        (403, an_error, {}, f"bad_request: HTTP 403: {SAID}", 4),
        (404, lambda _: b"<html><title>404 Not Found</title>", {}, "bad_request: HTTP 404: 404 Not Found", 4),
        (405, lambda _: {"detail": "Method Not Allowed"}, {}, "bad_request: HTTP 405: Method Not Allowed", 4),
        (410, lambda _: {"error": "model retired"}, {}, "bad_request: HTTP 410: model retired", 4),
        (451, lambda _: {"message": "not in your region"}, {}, "bad_request: HTTP 451: not in your region", 4),
        (301, an_error, {"Location": "https://a.example/v1/chat/completions"}, "moved to https://a.example/v1; ", 4),
        (307, an_error, {"Location": "/v2/chat/completions"}, "HTTP 307: moved to http://127.0.0.1:", 4),
        (308, an_error, {"Location": "/v2/chat/completions"}, "/v2; if you trust it, write it into analyzer.deep", 4),
    ],
)
def test_a_refusal_that_lasts_ends_the_run(
    storage: Path, tmp_path: Path, status: int, change: Callable[[Body], Any], headers: dict[str, str], said: str,
    most: int,
) -> None:  # fmt: skip
    """After a few requests, with the server's reason in one line, and without the advice to try the same again."""
    place = LogSource(MARKET, storage, None, None)
    with odd_endpoint(change, status, **headers) as endpoint:
        settings = load(settings_file(tmp_path, endpoint.base_url))
        with pytest.raises(AskingStopped) as stopped:
            to_replay(a_request(settings, 20), "deepseek", place, settings, tmp_path / "runs")
    line = one_line(stopped.value)
    assert said in line
    assert AGAIN not in line
    assert line.endswith("0 of 49 answers were stored, the others would be refused as well until that is fixed")
    assert is_clean(line)
    assert 1 <= endpoint.requests <= most
    assert folders_of(tmp_path / "runs") == []


def test_a_refusal_is_one_line_at_the_terminal(storage: Path, tmp_path: Path) -> None:
    """On standard error, with exit code 1, and nothing else."""
    with odd_endpoint(an_error, 404) as endpoint:
        done = replay(
            "run", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs", "--yes", "--analyst",
            "deepseek", "--json", "--config", settings_file(tmp_path, endpoint.base_url),
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"error: bad_request: HTTP 404: {SAID}; 14 of ")
    assert is_clean(done.stderr)


@pytest.mark.parametrize("words", [("ab", "--prompts", "default"), ("probe", "--every", 5, "--analyst", "deepseek")])
@pytest.mark.parametrize("status", [404, 200])
def test_neither_ab_nor_probe_takes_the_rules_for_a_model(
    storage: Path, tmp_path: Path, words: tuple[Any, ...], status: int
) -> None:
    """Exit code 1 and a line with the server's reason; nothing is printed as a figure, and no ledger is written."""
    with odd_endpoint(an_error, status) as endpoint:
        more = [other_prompts(tmp_path)] if words[0] == "ab" else []
        done = replay(
            *words, *more, "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs", *FROM, "--yes",
            "--config", settings_file(tmp_path, endpoint.base_url),
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("error: ")]
    assert SAID in line
    assert ("model decided 0 of " in line) is (status == 200)
    assert AGAIN not in line
    assert not (tmp_path / "runs" / LEDGER).exists()


def every_second(change: Callable[[Body], Body]) -> Callable[[Body], Body]:
    """A change of the decisions that come second, fourth, and so on; of calls none."""
    seen = 0

    def changed(body: Body) -> Body:
        nonlocal seen
        if body["choices"][0]["message"].get("tool_calls"):
            return body
        seen += 1
        return change(body) if seen % 2 == 0 else body

    return changed


def test_what_the_rules_decided_is_named(storage: Path, tmp_path: Path) -> None:
    """
    Where the model decided at some ticks: how many, in manifest, notes and at the top of the report, and its figures
    apart from those of the rules in its place; numbers of episodes and orders stay those that their tables have.
    """
    place = LogSource(MARKET, storage, None, None)
    with odd_endpoint(every_second(an_error)) as endpoint:
        path = settings_file(tmp_path, endpoint.base_url)
        path.write_text(path.read_text().replace("mode: compact", "mode: compact, attempts: 1"))
        settings = load(path)
        (request,) = to_replay(a_request(settings), "deepseek", place, settings, tmp_path / "runs")
    run = replayed(place, request, tmp_path / "runs")
    share = run.manifest["model"]
    assert share["asked"] == 19
    assert 0 < share["decided"] < 19
    assert share["fallback"] == {"no_choice": 19 - share["decided"]}
    assert run.manifest["notes"][0] == (
        f"model decided {share['decided']} of 19; at the others the rules stood in: no_choice {19 - share['decided']}"
    )
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert page.index(f"model decided {share['decided']} of 19") < page.index('class="cards"')
    tables = {name: load_run(run.folder).table(name) for name in ("episodes", "orders", "fills", "scores")}
    names = tables["scores"].column("metric").to_pylist()
    assert [name.removesuffix(" (fallback)") for name in names] == names[: len(names) // 2] * 2
    assert set(tables["episodes"].column("decided_by").to_pylist()) == {"model", "fallback"}
    assert tables["episodes"].column("episode").to_pylist() == list(range(tables["episodes"].num_rows))
    assert tables["orders"].column("order").to_pylist() == list(range(tables["orders"].num_rows))
    assert set(tables["orders"].column("episode").to_pylist()) == set(tables["episodes"].column("episode").to_pylist())
    assert set(tables["fills"].column("order").to_pylist()) <= set(tables["orders"].column("order").to_pylist())
    samples = dict(zip(names, tables["scores"].column("samples").to_pylist(), strict=True))
    assert samples["touched"] > 0 < samples["touched (fallback)"]
    assert replayed(place, request, tmp_path / "runs").differing_files == []


def test_a_record_in_which_the_model_decided_nothing(storage: Path, tmp_path: Path) -> None:
    """From the decision log alone: the same line, with what its server said live."""
    copy = tmp_path / "storage"
    shutil.copytree(storage, copy)
    place = LogSource(MARKET, copy, None, None)
    with odd_endpoint(an_error) as endpoint:
        settings = load(settings_file(tmp_path, endpoint.base_url))
        (request,) = to_replay(a_request(settings, 60), "deepseek", place, settings, tmp_path / "runs")
    with pytest.raises(NothingDecided, match="model decided 0 of 10"):
        replayed(place, request, tmp_path / "runs")
    (answers,) = (tmp_path / "runs" / FOLDER).glob("*.jsonl")
    decision_log(copy, answers, settings)
    with open_log(copy, MARKET, "decisions") as log:
        assert sum(len(b.rows[MODEL_DECISION]) for b in log.read(kinds=[MODEL_DECISION])) == 10
    (recorded,) = to_replay(a_request(Settings(), 60), "recorded", place, None, tmp_path / "runs")
    with pytest.raises(NothingDecided, match=r"model decided 0 of 10; .*no_choice 10; its server said: no message in"):
        replayed(place, recorded, tmp_path / "runs")


def test_a_repeat_in_which_nothing_was_decided_does_not_hide_the_others(storage: Path, tmp_path: Path) -> None:
    """Of three repeats two are the model's: both are told, the third is named on stderr, and the exit code is 1."""
    place = LogSource(MARKET, storage, None, None)
    with model_server() as server:
        path = settings_file(tmp_path, server.base_url)
        settings = load(path)
        to_replay(a_request(settings), "deepseek", place, settings, tmp_path / "runs", 3)
    with place.events() as log:
        side = model_setup(place, settings, tmp_path / "runs").arm(log)
    with Answers(tmp_path / "runs" / FOLDER, side) as answers:
        recording = answers.recording
        for seq in {seq for seq, _ in recording.spans}:
            answers.add(replace(recording.answer(seq, 1), fallback="no_choice: no message in it", cut=True, calls=()))
    words = ("run", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs", *FROM, "--analyst",
             "deepseek", "--repeats", 3, "--config", path)  # fmt: skip
    done = replay(*words)
    assert done.returncode == 1
    assert done.stdout.count("\nreport: ") == done.stdout.count("note: model decided 19 of 19\n") == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: model decided 0 of 19; at the others the rules stood in: no_choice 19. No figure")
    told = replay(*words, "--json")
    assert told.returncode == 1
    runs = json.loads(told.stdout)
    assert [each["model"]["decided"] for each in runs] == [19, 0, 19]
    assert ["nothing_decided" in each for each in runs] == [False, True, False]
    assert line == f"error: {runs[1]['nothing_decided']}"
    assert all(each["scores"] for each in runs)


def test_columns_stand_under_their_heads_whatever_a_figure_is_called(storage: Path, tmp_path: Path) -> None:
    """The longest name, `markout_3600s_bps (fallback)`, is no wider than its column."""
    with odd_endpoint(every_second(an_error)) as endpoint:
        path = settings_file(tmp_path, endpoint.base_url)
        path.write_text(path.read_text().replace("mode: compact", "mode: compact, attempts: 1"))
        done = replay("run", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs", *FROM, "--yes",
                      "--analyst", "deepseek", "--concurrency", 1, "--config", path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    head = next(line for line in lines if line.startswith("figure"))
    rows = [line for line in lines if line.startswith("markout_") or line.startswith("filled")]
    assert any(line.startswith("markout_3600s_bps (fallback)") for line in rows)
    assert all(line[head.index("fills") - 1] == " " != line[head.index("fills")] for line in rows)


def test_probe_leaves_out_what_the_rules_decided(storage: Path, tmp_path: Path) -> None:
    """Each change says of how many decisions it is about; the figures are of the model's own."""
    with odd_endpoint(every_second(an_error)) as endpoint:
        path = settings_file(tmp_path, endpoint.base_url)
        path.write_text(path.read_text().replace("mode: compact", "mode: compact, attempts: 1"))
        done = command(
            "probe", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs", *FROM, "--every", 2,
            "--config", path, "--analyst", "deepseek", "--yes", "--json", "--concurrency", 1,
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["changes"]
    for row in rows:
        assert row["model"]["asked"] == 10
        assert 3 <= row["model"]["decided"] <= 6
        assert row["n"] <= row["model"]["decided"]
        assert f"{row['change']}: model decided {row['model']['decided']} of 10" in done.stderr


def test_ab_says_how_much_is_the_models_own(storage: Path, tmp_path: Path) -> None:
    """Each side in its line and in JSON; minutes of the rules are no pairs."""
    with odd_endpoint(every_second(an_error)) as endpoint:
        path = settings_file(tmp_path, endpoint.base_url)
        path.write_text(path.read_text().replace("mode: compact", "mode: compact, attempts: 1"))
        words = ("ab", "--market", MARKET, "--storage", storage, "--out", tmp_path / "runs", *FROM, "--horizons", 60,
                 "--config", path, "--prompts", "default", other_prompts(tmp_path), "--concurrency", 1)  # fmt: skip
        done = command(*words, "--yes")
        assert done.exit_code == 0, done.output
        found = json.loads(command(*words, "--json").stdout)
    for name, line in zip("ab", done.stdout.splitlines(), strict=False):
        share = found[name]["share"]
        assert f"model decided {share['decided']} of {share['asked']}; at the others the rules stood in" in line
        assert 0 < share["decided"] < share["asked"] == 19
    most = min(found["a"]["share"]["decided"], found["b"]["share"]["decided"])
    assert all(row["minutes"] <= most for row in found["scores"])


def test_probe_says_how_many_ticks_it_looked_at(tmp_path: Path) -> None:
    """Live trades between those are no reason to say that nothing was traded."""
    tables = a_market(5, 15)
    at = tables[TICK].schema.get_field_index("trades")
    states = ["down" if row % 10 == 0 else "live" for row in range(tables[TICK].num_rows)]
    write_log(tmp_path, tables | {TICK: tables[TICK].set_column(at, tables[TICK].schema.field(at), [states])})
    words = ("probe", "--market", MARKET, "--storage", tmp_path)
    few = replay(*words)
    assert (few.returncode, few.stdout) == (1, "")
    assert "error: trades are live with a price at none of the 2 ticks used (--every 10)" in few.stderr
    assert replay(*words, "--every", 1).returncode == 0
