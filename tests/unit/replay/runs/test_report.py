"""The report is one file that loads nothing, holds the run's own figures, and says so in valid JSON."""

import html
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from market.timestamps import MINUTE_NS, SECOND_NS
from replay.recorded.price_path import PricePath
from replay.runs import report
from replay.runs.report import render
from replay.scoring.figures import SHOWN_MODELS
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables
from replay.scoring.scoring import score
from tests.market_builders import T0, a_path, a_zone, published

RULES = ScoringRules(0, 0, 1.0, 0.0, 5, 1, 2.0, 2.0)
ASSETS = Path(report.__file__).parent / "assets"


def a_manifest(**inputs: Any) -> dict[str, Any]:
    return {
        "run_id": "0123456789abcdef",
        "inputs": {
            "market": "binance:TESTUSDT", "from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z",
            "analyst": "rules", "scoring": {"seed": 1}, **inputs,
        },
        "analyses": 1440, "recommendations": 1440, "with_zones": 1, "episodes": 2,
        "notes": ["markouts <contain> the bounce"],
    }  # fmt: skip


def some_scores(path: PricePath) -> ScoreTables:

    publications = [published(a_zone(), a_zone("sell", 101, 102)), published(a_zone(), minute=3)]
    return score(publications, path, RULES)


PATH = a_path([100, "99.5", 100, 101], [0, 30, 90, 200])


def a_report(path: PricePath = PATH, manifest: dict[str, Any] | None = None) -> str:
    return render(manifest or a_manifest(), tables_of(some_scores(path)), path.minutes)


def tables_of(score_tables: ScoreTables) -> dict[str, pa.Table]:
    return {name: getattr(score_tables, name) for name in ("episodes", "orders", "fills", "scores")}


def data_of(page: str) -> dict[str, Any]:
    """The chart's data, refused if it holds NaN or Infinity."""
    match = re.search(r"^const data = (.*);$", page, re.MULTILINE)
    assert match

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} in the chart's data")

    return json.loads(match[1], parse_constant=refuse)  # type: ignore[no-any-return]


def test_nothing_is_loaded_from_anywhere() -> None:
    """No address but in the vendored library's own banner; nothing that could fetch a file."""
    page = a_report()
    banner = (ASSETS / "uPlot.iife.min.js").read_text().splitlines()[0]
    assert banner.startswith("/*!")
    assert banner in page
    rest = page.replace(banner, "")
    assert not re.search(r"https?://|//cdn|@import|url\(|<link|<iframe|<img|\ssrc=|\shref=|fetch\(|XMLHttp", rest)


def test_the_chart_holds_prices_and_zones() -> None:
    """The last price of each minute, and each episode from its first to its last publication."""
    data = data_of(a_report())
    assert data["time"] == [(T0 + m * MINUTE_NS) // SECOND_NS for m in (1, 2, 3)]
    assert data["price"] == [99.5, 100.0, 100.0]
    start = T0 // SECOND_NS
    assert data["zones"] == [
        [start, start + 180, 99.5, 99.6, "rejected"],
        [start, start + 60, 101.0, 102.0, "open"],
    ]


def test_an_empty_market_has_a_report() -> None:
    """No trades: an empty chart, no NaN, and dashes for what is unknown."""
    page = a_report(PricePath.from_batches([]))
    assert data_of(page)["time"] == data_of(page)["price"] == []
    assert "NaN" not in page.replace((ASSETS / "uPlot.iife.min.js").read_text(), "")
    assert "–" in page


@pytest.mark.parametrize("days", [3, 30])
def test_a_long_run_is_drawn_coarser(days: int) -> None:
    """No more than 6000 points, whatever the length."""
    path = a_path([100, 101], [0, days * 86_400])
    time = data_of(a_report(path))["time"]
    assert 2_000 < len(time) <= 6_000
    assert len({b - a for a, b in pairwise(time)}) == 1


def test_text_is_escaped() -> None:
    """Notes and inputs cannot break out of the page, in HTML or in script."""
    hostile = "</script><script>alert(1)</script>"
    page = a_report(manifest=a_manifest(analyst=hostile) | {"notes": [hostile]})
    assert hostile not in page
    assert page.count(html.escape(hostile)) == 3
    assert page.count("<script>") == page.count("</script>") == 2


SHARE = {"asked": 60, "decided": 7, "fallback": {"no_choice": 50, "<b>timeout\x1b[2J": 3}}


def test_a_models_share_stands_at_the_top() -> None:
    """Before any figure: how much is the model's own, why not the rest, and how that is named."""
    page = a_report(manifest=a_manifest(analyst="deepseek") | {"model": SHARE})
    sentence = "model decided 7 of 60; at the others the rules stood in: no_choice 50, &lt;b&gt;timeout\\x1b[2J 3."
    assert page.index(f'<p class="alert">{sentence}') < page.index('class="cards"')
    assert "is named (fallback)" in page
    complete = a_report(manifest=a_manifest() | {"model": {"asked": 60, "decided": 60, "fallback": {}}})
    assert '<p class="quiet">model decided 60 of 60.</p>' in complete
    assert "model decided" not in a_report()


def test_what_the_rules_decided_is_named_and_drawn_apart() -> None:
    """In the table of outcomes and in the chart."""
    tables = tables_of(some_scores(PATH))
    by = pa.array(["model", "fallback"], pa.string())
    tables["episodes"] = tables["episodes"].append_column("decided_by", by)
    page = render(a_manifest() | {"model": SHARE}, tables, PATH.minutes)
    basis = tables["episodes"].column("basis").to_pylist()
    assert f"<td>{basis[0]}</td>" in page
    assert f"<td>{basis[1]} (fallback)</td>" in page
    assert [len(zone) for zone in data_of(page)["zones"]] == [5, 6]


def test_nothing_in_a_report_hides() -> None:
    """Controls and bidi marks of notes and inputs are spelled out."""
    hostile = "a\x1b[2J\u202eb\u200b"
    page = a_report(manifest=a_manifest(analyst=hostile) | {"notes": [hostile], "run_id": hostile})
    assert page.count("a\\x1b[2J\\u202eb\\u200b") == 4
    assert not set("\x1b\u202e\u200b") & set(page)


def test_every_figure_is_in_the_table() -> None:
    """Each score that people are shown stands with its value and its control's; a dash where there is no interval."""
    scores = [row for row in some_scores(PATH).scores.to_pylist() if row["model"] in SHOWN_MODELS]
    page = a_report()
    for row in scores:
        assert f"<td>{row['metric']}</td><td>{row['unit']}</td><td>{row['model'] or ''}</td>" in page
    assert "<td>–</td>" in page
    assert page.count("<td>every minute</td>") == 2


def test_equal_inputs_equal_bytes() -> None:
    """The page holds no time of its own making."""
    assert a_report() == a_report()
