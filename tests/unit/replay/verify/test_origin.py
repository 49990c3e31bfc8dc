"""What a picture says of a tick: what was published and by whom, a fallback as such, or that nothing was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.recommendation import parse
from eventlog.facts.analysis import ANALYSIS, RECOMMENDATION
from eventlog.facts.capture import TICK
from eventlog.store.log import Log
from replay.errors import NothingToReplay
from replay.pictures.picture import draw
from replay.pictures.scene import build_scene, find_tick
from replay.verify.origin import Origin, find_origin
from runtime.analysis_config import analysis_config
from runtime.settings.settings import Settings
from tests.market_builders import MARKET, T0, a_zone, an_advice, write_log
from tests.unit.replay.verify.test_verify import LIVE, WHOLE, decision_log, logged

SIGHT = analysis_config(Settings(), MARKET.symbol)
SEQ, BOUNDARY = (WHOLE[TICK].column(name).to_pylist()[-1] for name in ("seq", "boundary_ns"))
MODEL = replace(
    an_advice(a_zone("buy", "19900", "19950", weight=1.0)), analyst="deepseek", model="deepseek-flash\x1b[31m"
)
FALLBACK = replace(MODEL, model=None, fallback="timeout: no reply before the deadline")


def a_recommendation(advice: Any, published_ns: int | None, seq: int = SEQ) -> tuple[str, dict[str, Any]]:
    """As an analyzer logs it."""
    body = advice.render().decode()
    return RECOMMENDATION, {
        "market_seq": seq, "as_of_ns": BOUNDARY, "analyst": advice.analyst, "published_ns": published_ns,
        "published_seq": None if published_ns is None else seq, "body": body,
    }  # fmt: skip


def session(settings: Settings = Settings()) -> tuple[str, dict[str, Any]]:
    """The session that a log begins with."""
    return logged(settings)[0]


def an_analysis(seq: int = SEQ) -> tuple[str, dict[str, Any]]:
    """That a tick was analysed."""
    return ANALYSIS, {"market_seq": seq, "as_of_ns": BOUNDARY, "body": "{}"}


@pytest.mark.parametrize(
    ("rows", "sentence", "analyst"),
    [
        ([an_analysis(), a_recommendation(MODEL, 5)],
         "published: decided by deepseek (deepseek-flash\\x1b[31m)", "deepseek"),
        ([an_analysis(), a_recommendation(FALLBACK, 5)],
         "published: fallback, the rules stood in for deepseek: timeout: no reply before the deadline", "deepseek"),
        ([an_analysis(), a_recommendation(replace(MODEL, analyst="rules", model=None), 5)],
         "published: decided by rules", "rules"),
        ([an_analysis(), a_recommendation(MODEL, None)],
         "nothing was published at this tick: its advice came too late", None),
        ([an_analysis(), a_recommendation(MODEL, None), a_recommendation(FALLBACK, 9)],
         "published: fallback, the rules stood in for deepseek: timeout: no reply before the deadline", "deepseek"),
        ([an_analysis()], "nothing was published at this tick: no advice was given", None),
        ([an_analysis(SEQ - 1), a_recommendation(MODEL, 5, SEQ - 1)],
         "nothing was published at this tick: it was not analysed", None),
        ([], "nothing was published at this tick: it was not analysed", None),
    ],
)  # fmt: skip
def test_what_the_decision_log_says(
    rows: list[tuple[str, dict[str, Any]]], sentence: str, analyst: str | None, tmp_path: Path
) -> None:
    """In a sentence that no terminal obeys; zones are drawn only where some went out."""
    result = find_origin(decision_log(tmp_path, [session(), *rows]), SEQ)
    assert result.sentence == sentence
    assert (result.advice.analyst if result.advice else None) == analyst


def test_the_session_is_the_one_it_was_analysed_in(tmp_path: Path) -> None:
    """Later ones do not count; an empty log has none."""
    other = Settings.model_validate({"analyzer": {"analysis": {"ladder_rungs": 7}}})
    rows = [session(other), an_analysis(), session()]
    result = find_origin(decision_log(tmp_path / "a", rows), SEQ)
    assert result.session is not None
    assert json.loads(result.session["settings"])["analyzer"]["analysis"]["ladder_rungs"] == 7
    assert find_origin(decision_log(tmp_path / "b", [an_analysis()]), SEQ) == Origin(
        None, "nothing was published at this tick: no advice was given", None
    )


def svg(log: Log, origin: Origin | None, folder: Path) -> str:
    """A picture of the last tick as text."""
    draw(build_scene(log, 2**61, SIGHT, origin), folder / "a.svg")
    return (folder / "a.svg").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_picture_shows_the_zones_that_were_published(tmp_path: Path) -> None:
    """The model's one zone and not the rules' several; a fallback hatched and named; nothing where nothing went out."""
    log = write_log(tmp_path / "log", WHOLE)
    assert find_tick(log, 2**61) == (SEQ, BOUNDARY)
    zones = {}
    for name, rows in (
        ("model", [an_analysis(), a_recommendation(MODEL, 5)]),
        ("fallback", [an_analysis(), a_recommendation(FALLBACK, 5)]),
        ("late", [an_analysis(), a_recommendation(MODEL, None)]),
    ):
        text = svg(log, find_origin(decision_log(tmp_path / name, [session(), *rows]), SEQ), tmp_path)
        zones[name] = (text.count("<!-- buy 100%"), text.count("(fallback)"), "clip-path" in text and "pattern" in text)
        assert f"<!-- {find_origin(decision_log(tmp_path / name / 'x', [session(), *rows]), SEQ).sentence}" in text
    assert zones == {"model": (1, 0, False), "fallback": (1, 1, True), "late": (0, 0, False)}
    rules = svg(log, None, tmp_path)
    assert "<!-- no decision log: what the rules advise" in rules
    live = [parse(row["body"]) for kind, row in LIVE if kind == RECOMMENDATION][-1]
    assert rules.count("· base rate 0.") == len(live.zones) > 1


def test_a_tick_before_the_first(tmp_path: Path) -> None:
    """There is nothing to draw."""
    log = write_log(tmp_path, WHOLE)
    with pytest.raises(NothingToReplay, match="holds no tick at or before"):
        find_tick(log, T0)
