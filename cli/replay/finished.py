"""
Commands on finished runs: compare them, draw their report again; and the output of a run as text or JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import console
from cli.options import ConfigOption, JsonOption, RedisOption, StorageOption, log_source
from eventlog.disk.files import write_atomic
from replay.baselines.baselines import NAMES
from replay.errors import BadRun
from replay.inference.blocks import MIN_BLOCKS
from replay.plain_json import to_json_value
from replay.recorded.prices import RecordedPrices
from replay.runs import finished_runs, tried
from replay.runs.log_digest import log_digest
from replay.runs.report import render
from replay.runs.run import Result
from replay.scoring.conclusions import conclusions
from replay.scoring.figures import SHOWN_MODELS

_TABLES = ("recommendations", "episodes", "orders", "fills", "scores")
_MIN_NAME = 22  # width of the names' column: that of the longest usual one


def compare(
    a: Annotated[Path, typer.Argument(help="a run folder")],
    b: Annotated[Path, typer.Argument(help="another run folder")],
    as_json: JsonOption = False,
) -> None:
    """Compare two runs: inputs that differ, recommendations that agree, every figure."""
    with finished_runs.refuse_foreign_runs(a, b):
        _compare(finished_runs.compare(finished_runs.load(a), finished_runs.load(b)), as_json)


def _compare(comparison: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(to_json_value(comparison))
        return
    for name, (one, two) in comparison["inputs"].items():
        console.show(f"{name}: {one} | {two}")
    console.show(
        f"{comparison['equal_recommendations']} of {comparison['common_ticks']} common ticks have equal recommendations"
    )
    width = _width_of(comparison["figures"]) + 2
    console.show(f"{'figure':<{width}}{'per':<17}{'model':<9}{'a':>10}{'b':>10}{'b - a':>10}")
    for row in (figure for figure in comparison["figures"] if figure["model"] in SHOWN_MODELS):
        cells = [("–" if row[k] is None else f"{row[k]:.3f}") for k in ("a", "b", "difference")]
        console.show(
            f"{row['metric']:<{width}}{row['unit']:<17}{row['model'] or '':<9}" + "".join(f"{c:>10}" for c in cells)
        )


def report(
    folder: Annotated[Path, typer.Argument(help="a run folder")],
    storage: StorageOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="the file to write; default: report.html in the run folder")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's report again from its tables and the log it was made from."""
    run = finished_runs.load(folder)
    with finished_runs.refuse_foreign_runs(folder):
        inputs = run.manifest["inputs"]
        first, last = inputs["seq"]
        source = log_source(inputs["market"], storage, redis, config)
        with source.events() as log:
            if log_digest(log, first - 1, last) != inputs["log"]:
                raise BadRun(
                    f"{folder} was made from other data than {source.storage} has for {log.name.market} now; name the "
                    "storage it was made from, or run the replay again"
                )
            minutes = RecordedPrices(log, first - 1, last).minutes
        text = render(run.manifest, {name: run.table(name) for name in _TABLES}, minutes)
    target = _write_report(text, folder, out)
    if as_json:
        console.print_json({"run_id": run.manifest["run_id"], "report": str(target)})
    else:
        console.show(target)


def _write_report(text: str, folder: Path, out: Path | None) -> Path:
    """Write a report to the named file, else into its run, replacing the one there; returns its path."""
    if out is None:
        if folder.is_symlink():  # runs are passed on: a link in one may lead anywhere
            raise console.Failure(
                f"{folder} is a link, and reports are not written through links; name a file with -o FILE"
            )
        write_atomic(folder / "report.html", text.encode())
        return folder / "report.html"
    with console.writing(out):
        out.write_text(text, encoding="utf-8")
    return out


def print_run(result: Result) -> None:
    """Print a run: its counts, notes, scores and the path of its report."""
    manifest = result.manifest
    console.show(
        f"run {manifest['run_id']}: {manifest['analyses']:,} analyses, "
        f"{manifest['recommendations']:,} recommendations, "
        f"{manifest['with_zones']:,} with zones, {manifest['episodes']:,} episodes"
    )
    for note in manifest["notes"]:
        console.show(f"note: {note}")
    hindsight = None if result.judgement is None else tried.in_sample_sentence(result.judgement)
    if hindsight is not None:
        console.show(f"note: {hindsight}")
    _print_scores(result.scores)
    for sentence in conclusions(result.scores):
        console.show(f"→ {sentence}")
    if result.judgement is not None:
        console.show(tried.sentence(result.judgement))
    if result.differing_files is not None:
        console.show(
            "this run existed: "
            + (f"DIFFERENT in {', '.join(result.differing_files)}" if result.differing_files else "identical again")
        )
    console.show(f"report: {result.report}")


def run_to_json(result: Result, failure: str | None = None) -> dict[str, Any]:
    """
    A run as values for JSON: all that is printed, and the manifest.

    Args:
        result: the run. failure: why the model decided nothing, None where it decided.
    """
    fields = result.manifest | {
        "folder": str(result.folder),
        "report": str(result.report),
        "different": result.differing_files,
        "scores": result.scores,
        "conclusions": conclusions(result.scores),
        "tried": None if result.judgement is None else asdict(result.judgement),
    }
    return to_json_value(fields if failure is None else fields | {"nothing_decided": failure})


def _print_scores(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the score table without the figures of every minute and of each model of the queue: JSON has them."""
    visible = [row for row in rows if row["unit"] != "every minute" and row["model"] in SHOWN_MODELS]
    width = _width_of(visible)
    console.show(
        f"{'figure':<{width}}{'fills':<9}{'advice':>9}{'control':>9}   {'95 % of difference':<20}"
        f"{'n (independent)':>16}  {'p, corrected':<15}detectable (half in)"
    )
    baseline = None
    for row in visible:
        if row["unit"] in NAMES and row["unit"] != baseline:
            baseline = row["unit"]
            console.show(f"beside {baseline}:")
        cells = [("–" if row[k] is None else f"{row[k]:.3f}") for k in ("advice", "placebo")]
        console.show(
            f"{row['metric']:<{width}}{row['model'] or '':<9}{cells[0]:>9}{cells[1]:>9}   {_interval(row):<20}"
            f"{_count(row):>16}  {_chance(row):<15}{_power(row)}".rstrip()
        )


def _interval(row: Mapping[str, Any]) -> str:
    if row["blocks"] is None:
        return ""
    if row["low"] is not None:
        return f"{row['low']:+.3f} … {row['high']:+.3f}"
    return "too few blocks" if row["blocks"] < MIN_BLOCKS else "–"


def _count(row: Mapping[str, Any]) -> str:
    return f"{row['samples']:,}" + ("" if row["effective"] is None else f" ({row['effective']:,})")


def _chance(row: Mapping[str, Any]) -> str:
    return "" if row["p"] is None else f"{row['p']:.3f}, {row['p_corrected']:.3f}"


def _power(row: Mapping[str, Any]) -> str:
    """The smallest difference that this run could have shown, and how long a run shows half of it."""
    return "" if row["detectable"] is None else f"{row['detectable']:.3f} ({row['days_for_half']:g} d)"


def _width_of(rows: Sequence[Mapping[str, Any]]) -> int:
    """The width of the column of figures: the longest name and a blank."""
    return max(_MIN_NAME, *(len(row["metric"]) + 1 for row in rows), 0)
