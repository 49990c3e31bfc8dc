"""Verify recomputes every logged analysis and recommendation, and names the first field that differs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.rules import RulesAnalyst
from analysis.fitted import CONFIDENCE_FEATURES, constant_rate
from analysis.render.view_json import render_view
from eventlog.facts.analysis import ANALYSIS, ANALYZER_SESSION, RECOMMENDATION
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import table
from projections.state import MarketState, TickEntry
from replay.errors import NothingToReplay, OtherFit
from replay.verify.verify import Verdict, first_difference, verify_log
from runtime.analysis_config import analysis_config, session_settings
from runtime.decide import Decider
from runtime.loop import drive
from runtime.settings.settings import Redis, Settings, SettingsError
from tests.market_builders import MARKET, T0, Tables, a_market, batches, write_log

Change = Callable[[dict[str, Any]], None]
WHOLE = a_market(31, 40)


def logged(settings: Settings, tables: Tables = WHOLE) -> list[tuple[str, dict[str, Any]]]:
    """What an analyzer with these settings would have logged about a market."""
    sight = analysis_config(settings, MARKET.symbol)
    state = MarketState(sight.windows)
    decider = Decider(MARKET.symbol, state, RulesAnalyst(sight.parameters), sight.parameters)
    rows: list[tuple[str, dict[str, Any]]] = [
        (ANALYZER_SESSION, {
            "event": "started", "code": "live code", "lock_digest": "", "parameters_digest": sight.parameters.digest(),
            "settings": session_settings(settings, sight.parameters),
        })
    ]  # fmt: skip

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        decided = decider.decide(tick, now)
        at = {"market_seq": tick.seq, "as_of_ns": tick.boundary_ns}
        rows.append((ANALYSIS, at | {"body": render_view(decided.view).decode()}))
        if decided.advice is not None:
            out = {"analyst": "rules", "published_ns": None, "published_seq": None}
            rows.append((RECOMMENDATION, at | out | {"body": decided.advice.render().decode()}))

    drive(batches(tables), state, on_tick)
    return rows


def decision_log(storage: Path, rows: list[tuple[str, dict[str, Any]]]) -> Log:
    cold = ColdLog(storage, LogName("decisions", MARKET))
    cold.create(T0)
    tables = {}
    for kind in dict.fromkeys(k for k, _ in rows):
        mine = [(seq, row) for seq, (k, row) in enumerate(rows, 1) if k == kind]
        columns = {name: [row[name] for _, row in mine] for name in mine[0][1]}
        tables[kind] = table(kind, {"seq": [s for s, _ in mine], "recv_ns": [T0] * len(mine), **columns})
    cold.append(1, len(rows), tables)
    return Log(cold, None, {})


def verdict_of(storage: Path, rows: list[tuple[str, dict[str, Any]]], fitted: Path | None = None) -> Verdict:
    log, decisions = write_log(storage, WHOLE), decision_log(storage, rows)
    return verify_log(log, decisions, MARKET.symbol, lambda done, total: None, fitted)


LIVE = logged(Settings())


def test_what_was_logged_is_found_again(tmp_path: Path) -> None:
    """Every tick's analysis and recommendation comes out the same; other code is said first."""
    verdict = verdict_of(tmp_path, LIVE)
    assert (verdict.identical, verdict.total, verdict.equal, verdict.differences) == (True, 40, 40, [])
    assert verdict.notes == ["code differs: the analyses were made by other code than the one that checks them"]
    assert verdict.as_json()["identical"] is True


def test_two_sessions_under_their_own_settings(tmp_path: Path) -> None:
    """A restart with a larger order threshold is verified with that threshold; a named server does not matter."""
    changed = Settings.model_validate(
        {"analyzer": {"analysis": {"min_order_volume_threshold": 500}}, "redis": {"url": "redis://elsewhere:1/0"}}
    )
    assert isinstance(changed.redis, Redis)
    second = logged(changed)
    assert [r["body"] for k, r in second if k == ANALYSIS] != [r["body"] for k, r in LIVE if k == ANALYSIS]
    middle = [r["market_seq"] for k, r in LIVE if k == ANALYSIS][20]
    earlier = [item for item in LIVE[1:] if item[1]["market_seq"] < middle]
    later = [item for item in second[1:] if item[1]["market_seq"] >= middle]
    verdict = verdict_of(tmp_path, [LIVE[0], *earlier, second[0], *later])
    assert (verdict.identical, verdict.total) == (True, 40)


def a_fit(file: Path, rate: float) -> Settings:
    """Settings that name a file of coefficients, and the file."""
    file.write_bytes(msgspec.json.encode({"confidence": constant_rate(rate, CONFIDENCE_FEATURES, "a test")}))
    return Settings.model_validate({"analyzer": {"analysis": {"fitted_file": file}}})


def test_fitted_coefficients_come_from_the_log(tmp_path: Path) -> None:
    """Their file may be gone: what was in it stands in the session, and was used."""
    rows = logged(a_fit(tmp_path / "fit.json", 0.9))
    assert [r["body"] for k, r in rows if k == RECOMMENDATION] != [r["body"] for k, r in LIVE if k == RECOMMENDATION]
    (tmp_path / "fit.json").unlink()
    verdict = verdict_of(tmp_path, rows)
    assert (verdict.identical, verdict.total, len(verdict.notes)) == (True, 40, 1)


def test_a_log_that_holds_only_the_name_of_its_file(tmp_path: Path) -> None:
    """As older sessions do: gone or changed it is asked for by its digest; named, it has to be the right one."""
    settings = a_fit(tmp_path / "fit.json", 0.9)
    session, *rest = logged(settings)
    old = [(session[0], session[1] | {"settings": settings.without_secrets()}), *rest]
    assert verdict_of(tmp_path / "a", old).identical
    digest = session[1]["parameters_digest"]
    asked = rf"^the log was analysed with other fitted coefficients \(digest {digest}\): name the file with --fitted F$"
    (tmp_path / "fit.json").rename(tmp_path / "kept.json")
    with pytest.raises(OtherFit, match=asked):
        verdict_of(tmp_path / "b", old)
    assert verdict_of(tmp_path / "c", old, tmp_path / "kept.json").identical
    a_fit(tmp_path / "fit.json", 0.8)
    for number, named in enumerate((None, tmp_path / "fit.json")):
        with pytest.raises(OtherFit, match=asked):
            verdict_of(tmp_path / f"d{number}", old, named)
    with pytest.raises(SettingsError, match=r"cannot read .*gone.json"):
        verdict_of(tmp_path / "e", old, tmp_path / "gone.json")


def test_coefficients_of_other_features(tmp_path: Path) -> None:
    """Logged by a version that used others they cannot be used, and that is said."""
    known = msgspec.json.decode(LIVE[0][1]["settings"])
    known["fitted"]["pull"]["names"][0] = "another"
    session = LIVE[0][1] | {"settings": msgspec.json.encode(known).decode()}
    with pytest.raises(OtherFit, match="coefficients that this code cannot use: pull was fitted on other features"):
        verdict_of(tmp_path, [(ANALYZER_SESSION, session), *LIVE[1:]])


def test_other_thresholds_are_said_before_differences(tmp_path: Path) -> None:
    """Where the digest of all thresholds is not that of the session, a note names both."""
    session = LIVE[0][1] | {"parameters_digest": "0123456789abcdef"}
    verdict = verdict_of(tmp_path, [(ANALYZER_SESSION, session), *LIVE[1:]])
    here = LIVE[0][1]["parameters_digest"]
    assert verdict.notes[1] == f"thresholds differ: analysed under digest 0123456789abcdef, checked under {here}"


def tampered(kind: str, number: int, change: Change) -> list[tuple[str, dict[str, Any]]]:
    rows = [(k, dict(r)) for k, r in LIVE]
    change([r for k, r in rows if k == kind][number])
    return rows


def shifted(old: str, new: str) -> Change:
    def change(row: dict[str, Any]) -> None:
        assert old in row["body"]
        row["body"] = row["body"].replace(old, new, 1)

    return change


def test_a_changed_analysis_is_named(tmp_path: Path) -> None:
    """One analysis that says another σ is the one difference, by tick and field."""
    verdict = verdict_of(tmp_path, tampered(ANALYSIS, 30, shifted('"sigma":0.', '"sigma":1.')))
    assert (verdict.identical, verdict.total, verdict.equal) == (False, 40, 39)
    (difference,) = verdict.differences
    assert (difference["as_of"], difference["field"]) == ("2026-03-02T00:31:00Z", "sigma")
    assert difference["live"] == pytest.approx(difference["replay"] + 1)


def test_a_changed_recommendation_is_named(tmp_path: Path) -> None:
    """A zone that was advised otherwise is named by its path."""
    rows = tampered(RECOMMENDATION, -1, shifted('"confidence":0.', '"confidence":1.'))
    (difference,) = verdict_of(tmp_path, rows).differences
    assert difference["field"] == "recommendation.zones[0].confidence"
    assert difference["live"] == pytest.approx(difference["replay"] + 1)


def test_a_missing_recommendation_is_named(tmp_path: Path) -> None:
    """Advice that replay gives and the log does not hold is a difference."""
    verdict = verdict_of(tmp_path, LIVE[:-1])
    assert [d["field"] for d in verdict.differences] == ["recommendation"]
    assert verdict.differences[0]["live"] is None


def test_a_tick_that_is_not_there(tmp_path: Path) -> None:
    """An analysis of a seq that holds no tick is a difference, not a silence."""

    def at_another_seq(row: dict[str, Any]) -> None:
        row["market_seq"] -= 1

    rows = tampered(ANALYSIS, 39, at_another_seq)
    found = verdict_of(
        tmp_path, [r for r in rows if r[0] != RECOMMENDATION or r[1]["market_seq"] < rows[-2][1]["market_seq"]]
    )
    assert found.differences[-1]["field"] == "tick"
    assert (found.identical, found.total, found.equal) == (False, 40, 39)


@pytest.mark.parametrize("rows", [LIVE[:1], [*LIVE[:1], *LIVE[:1]]])
def test_nothing_to_verify(tmp_path: Path, rows: list[tuple[str, dict[str, Any]]]) -> None:
    """A decision log without analyses is refused, not called identical."""
    with pytest.raises(NothingToReplay, match="holds no analysis yet"):
        verdict_of(tmp_path, rows)


@pytest.mark.parametrize(
    ("live", "again", "field"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, None),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "b"),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, "a.b[1].c"),
        ({"a": [1]}, {"a": [1, 2]}, "a"),
        ({"a": 1}, {"a": 1, "z": 0}, "z"),
        ({"a": 1}, {}, "a"),
        ({"x": 1, "a": 1}, {"x": 2, "a": 2}, "x"),
        (None, {"a": 1}, ""),
    ],
)
def test_first_difference(live: Any, again: Any, field: str | None) -> None:
    """The path of the first field, in the order of the live one, that is not the same."""
    found = first_difference(live, again, "")
    assert (found and found["field"]) == field
