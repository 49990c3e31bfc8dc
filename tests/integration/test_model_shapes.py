"""Endpoints of other shapes, end to end: asked over sockets, stored, decided, and decided again from the record."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.options import LogSource
from replay.runs.finished_runs import load as load_run
from replay.trials.answers import FOLDER
from runtime.settings.settings import Settings, load
from tests.fakes.odd_endpoint import odd_endpoint
from tests.integration.test_model_commands import a_request, decision_log, replayed, settings_file, to_replay
from tests.market_builders import MARKET, a_market, write_log
from tests.slices import a_slice

Body = dict[str, Any]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour and ten recorded minutes."""
    folder = tmp_path_factory.mktemp("storage")
    write_log(folder, a_market(61, 70), segments=3)
    return folder


def in_message(change: Callable[[Body], Body]) -> Callable[[Body], Body]:
    """A change of the message."""

    def changed(body: Body) -> Body:
        choice = body["choices"][0]
        return body | {"choices": [choice | {"message": change(choice["message"])}]}

    return changed


def in_calls(change: Callable[[Body], Body]) -> Callable[[Body], Body]:
    """A change of every tool call."""

    def changed(message: Body) -> Body:
        calls = message.get("tool_calls")
        return message | {"tool_calls": [change(call) for call in calls]} if calls else message

    return in_message(changed)


def in_functions(change: Callable[[Body], Body]) -> Callable[[Body], Body]:
    """A change of what every tool call calls."""
    return in_calls(lambda call: call | {"function": call["function"] | change(call["function"])})


def in_text(change: Callable[[str], Any]) -> Callable[[Body], Body]:
    """A change of the text, where there is one."""
    return in_message(lambda m: m | ({"content": change(m["content"])} if m.get("content") else {}))


def older(message: Body) -> Body:
    """A call as the older field has it; of two only the first can be said."""
    calls = message.pop("tool_calls", None)
    return message | ({"content": None, "function_call": calls[0]["function"]} if calls else {})


SHAPES: dict[str, tuple[Callable[[Body], Any], set[str]]] = {
    "as_it_is": (lambda body: body, set()),
    "object": (in_functions(lambda f: {"arguments": json.loads(f["arguments"])}), {"arguments_as_object"}),
    "twice": (in_functions(lambda f: {"arguments": json.dumps(f["arguments"])}), {"arguments_twice_encoded"}),
    "nothing": (in_functions(lambda f: {"arguments": ""}), {"no_arguments"}),
    "null": (in_functions(lambda f: {"arguments": None}), {"no_arguments"}),
    "namespace": (in_functions(lambda f: {"name": f"functions.{f['name']}:0"}), {"tool_name"}),
    "no_id": (in_calls(lambda c: {k: v for k, v in c.items() if k != "id"}), {"tool_call_id"}),
    "one_id": (in_calls(lambda c: c | {"id": "call_0"}), {"tool_call_id"}),
    "no_type": (in_calls(lambda c: {k: v for k, v in c.items() if k not in ("type", "index")}), {"tool_call_shape"}),
    "think": (in_text(lambda t: f"<think>\nhm {{\n</think>\n\n{t}"), {"thoughts_in_text"}),
    "THINKING": (in_text(lambda t: f"<THINKING>hm</THINKING>{t}"), {"thoughts_in_text"}),
    "closed_only": (in_text(lambda t: f"hm\n</think>\n{t}"), {"thoughts_in_text"}),
    "never_closed": (in_text(lambda t: f"<think>hm\n{t}"), {"thoughts_in_text"}),
    "fence": (in_text(lambda t: f"```JSON\r\n{t}\r\n```" if t.startswith("{") else t), {"code_fence"}),
    "mark_in_text": (in_text(lambda t: f"\ufeff{t}"), {"byte_order_mark"}),
    "mark": (lambda body: b"\xef\xbb\xbf" + msgspec.json.encode(body), {"byte_order_mark"}),
    "parts": (in_text(lambda t: [{"type": "text", "text": t}]), {"content_in_parts"}),
    "older": (in_message(older), {"function_call", "tool_call_id", "tool_call_shape"}),
    "usage": (
        lambda body: body | {"usage": {k: str(v) for k, v in body["usage"].items() if isinstance(v, int)}},
        {"usage_as_text"},
    ),
}


STAGED = {"object", "think", "never_closed", "parts", "older", "mark"}
"""Tried in the mode with verdicts; the others in the one with both calls in one reply."""


@pytest.mark.parametrize("name", a_slice(sorted(SHAPES), 2))
def test_a_model_of_another_shape_decides(storage: Path, tmp_path: Path, name: str) -> None:
    """
    At every tick, with its mends on record and every echo in the shape its API takes; the run from the stored answers,
    and the run from a decision log that holds them, decide the same to the byte.
    """
    change, mends = SHAPES[name]
    copy = tmp_path / "storage"
    shutil.copytree(storage, copy)
    place = LogSource(MARKET, copy, None, None)
    with odd_endpoint(change) as endpoint:
        path = settings_file(tmp_path, endpoint.base_url)
        if name in STAGED:
            path.write_text(path.read_text().replace("mode: compact", "mode: staged"))
        settings = load(path)
        (request,) = to_replay(a_request(settings, 66), "deepseek", place, settings, tmp_path / "runs")
    first = replayed(place, request, tmp_path / "runs")
    assert endpoint.refused == []
    assert first.manifest["model"] == {"asked": 4, "decided": 4, "fallback": {}}
    assert first.manifest["notes"][0] == "model decided 4 of 4"
    (answers,) = (tmp_path / "runs" / FOLDER).glob("*.jsonl")
    lines = [json.loads(line) for line in answers.read_text().splitlines()[1:]]
    assert {word for line in lines for word in line["anomalies"]} - {"decision_refused", "no_tool_call"} == mends
    assert replayed(place, request, tmp_path / "runs").differing_files == []
    decision_log(copy, answers, settings)
    (recorded,) = to_replay(a_request(Settings(), 66), "recorded", place, None, tmp_path / "runs")
    second = replayed(place, recorded, tmp_path / "runs")
    bodies = [load_run(run.folder).table("recommendations").column("body").to_pylist() for run in (first, second)]
    assert bodies[0] == bodies[1]
    assert second.manifest["model"]["decided"] == 4


@pytest.mark.parametrize(
    "change",
    [
        in_text(lambda t: f"Here is my decision:\n{t}\nGood luck!" if t.startswith("{") else t),
        in_text(lambda t: f"{t}\n{t}" if t.startswith("{") else t),
        in_text(lambda t: f"<think>hm</think>\nSure:\n{t}" if t.startswith("{") else t),
        in_text(lambda t: json.loads(t) if t.startswith("{") else t),
    ],
)
def test_prose_and_second_objects_are_no_shape(storage: Path, tmp_path: Path, change: Callable[[Body], Body]) -> None:
    """What is no mark, thought or fence stays refused, whatever endpoint it comes from."""
    place = LogSource(MARKET, storage, None, None)
    with odd_endpoint(change) as endpoint:
        settings = load(settings_file(tmp_path, endpoint.base_url))
        (request,) = to_replay(a_request(settings, 68), "deepseek", place, settings, tmp_path / "runs")
    assert request.recorded_model is not None
    (answers,) = (tmp_path / "runs" / FOLDER).glob("*.jsonl")
    fallbacks = [json.loads(line)["fallback"] for line in answers.read_text().splitlines()[1:]]
    assert len(fallbacks) == 2
    assert all(reason.startswith(("the decision was refused twice", "blank")) for reason in fallbacks)
