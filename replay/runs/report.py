"""
A run as one self-contained HTML file: price, zones over time, scores. Nothing is loaded from anywhere.
"""

import html
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pyarrow as pa

from market.printable import printable
from market.timestamps import MINUTE_NS
from replay.recorded.minutes import Minutes
from replay.runs.attribution import DECIDED_BY, FALLBACK
from replay.runs.model_share import ModelShare
from replay.scoring.conclusions import conclusions
from replay.scoring.figures import SHOWN_MODELS

_ASSETS = Path(__file__).parent / "assets"
_MAX_POINTS = 6_000  # of the price line: longer runs are drawn at a coarser step than a minute


def render(manifest: Mapping[str, Any], tables: Mapping[str, pa.Table], minutes: Minutes) -> str:
    """
    The report as HTML; equal runs give equal bytes.

    Args:
        manifest: the run's manifest, without clock fields.
        tables: the run's tables by name; "episodes" and "scores" are used.
        minutes: of the run, for the price line.
    """
    inputs = manifest["inputs"]
    page = Template((_ASSETS / "report.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=_escape(f"{inputs['market']} · {inputs['from'][:16]} to {inputs['to'][:16]} UTC"),
        subtitle=_escape(f"run {manifest['run_id']} · analyst {inputs['analyst']} · seed {inputs['scoring']['seed']}"),
        model=_model(manifest.get("model")),
        cards=_cards(manifest, tables),
        scores=_conclusions(tables["scores"]) + _score_table(tables["scores"]),
        outcomes=_outcome_table(tables["episodes"]),
        notes="".join(f"<li>{_escape(note)}</li>" for note in manifest["notes"]),
        inputs=_input_table(inputs),
        data=_data(tables["episodes"], minutes),
        uplot_css=(_ASSETS / "uPlot.min.css").read_text(encoding="utf-8"),
        uplot_js=(_ASSETS / "uPlot.iife.min.js").read_text(encoding="utf-8"),
    )


def _model(share: Mapping[str, Any] | None) -> str:
    """A paragraph about the share of a model's run that is its own; empty for a run of the rules."""
    if share is None:
        return ""
    share_of_model = ModelShare(share["asked"], share["decided"], share["fallback"])
    all_own = share_of_model.decided == share_of_model.asked
    doubt = "" if all_own else " What the rules decided is named (fallback), is drawn as an outline, and is no model's."
    return f'<p class="{"quiet" if all_own else "alert"}">{_escape(share_of_model.sentence + "." + doubt)}</p>'


def _cards(manifest: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> str:
    outcomes = Counter(tables["episodes"].column("outcome").to_pylist())
    touch_count = sum(outcomes.values()) - outcomes["untouched"]
    cards = [
        ("analyses", manifest["analyses"]),
        ("recommendations with zones", manifest["with_zones"]),
        ("episodes", manifest["episodes"]),
        ("episodes touched", touch_count),
        ("rejected", outcomes["rejected"]),
        ("broken", outcomes["broken"]),
    ]
    return "".join(f'<div class="card"><b>{value:,}</b>{_escape(name)}</div>' for name, value in cards)


def _conclusions(scores: pa.Table) -> str:
    return f"<ul>{''.join(f'<li>{_escape(sentence)}</li>' for sentence in conclusions(scores.to_pylist()))}</ul>"


def _score_table(scores: pa.Table) -> str:
    head = ("figure", "per", "fills", "advice", "control", "difference", "95 % interval", "p", "p, corrected", "n",
            "independent", "n control", "blocks", "detectable", "days for half of it")  # fmt: skip
    rows = []
    for row in (score for score in scores.to_pylist() if score["model"] in SHOWN_MODELS):
        interval = f"{row['low']:+.3f} … {row['high']:+.3f}" if row["low"] is not None else "–"
        is_compared = row["blocks"] is not None
        rows.append(
            (
                row["metric"],
                row["unit"],
                row["model"] or "",
                _number(row["advice"]),
                _number(row["placebo"]) if is_compared else "",
                f"{row['difference']:+.3f}" if row["difference"] is not None else "",
                interval if is_compared else "",
                _number(row["p"]) if is_compared else "",
                _number(row["p_corrected"]) if is_compared else "",
                f"{row['samples']:,}",
                *(f"{row[k]:,}" if row[k] is not None else "" for k in ("effective", "placebo_samples", "blocks")),
                *(f"{row[k]:g}" if row[k] is not None else "" for k in ("detectable", "days_for_half")),
            )
        )
    return _table(head, rows)


def _outcome_table(episodes: pa.Table) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    for row in episodes.to_pylist():
        counts[row["basis"] + (FALLBACK if _is_fallback(row) else ""), row["outcome"]] += 1
    names = ("rejected", "broken", "open", "untouched")
    rows = [
        (basis, *(counts[basis, n] for n in names), sum(counts[basis, n] for n in names))
        for basis in sorted({b for b, _ in counts})
    ]
    return _table(("stands on", *names, "all"), rows)


def _input_table(inputs: Mapping[str, Any]) -> str:
    rows = [(k, json.dumps(v) if isinstance(v, dict | list) else v) for k, v in inputs.items()]
    return _table(("input", "value"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th>{_escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{_escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _escape(text: str) -> str:
    return html.escape(printable(text))


def _is_fallback(episode: Mapping[str, Any]) -> bool:
    return episode.get(DECIDED_BY) == "fallback"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _data(episodes: pa.Table, minutes: Minutes) -> str:
    """The chart's columns: last price a minute (or coarser, for long runs), and the zones."""
    time: list[int] = []
    price: list[float] = []
    if len(minutes):
        first, last = int(minutes.start_ns[0]), minutes.end_ns
        step = MINUTE_NS * max(1, -(-(last - first) // MINUTE_NS // _MAX_POINTS))
        grid = np.arange(first - first % step + step, last + 1, step)
        prices = minutes.price_at(grid)
        time, price = (grid // 10**9).tolist(), np.round(prices / 1e8, 8).tolist()
    zones = [
        [
            row["published_ns"] // 10**9,
            max(row["last_published_ns"], row["published_ns"] + MINUTE_NS) // 10**9,
            row["low_e8"] / 1e8,
            row["high_e8"] / 1e8,
            row["outcome"],
            *([1] if _is_fallback(row) else []),
        ]
        for row in episodes.to_pylist()
    ]
    return json.dumps({"time": time, "price": price, "zones": zones}, separators=(",", ":")).replace("<", "\\u003c")
