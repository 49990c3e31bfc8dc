"""
Finished runs, as commands: compared with each other, drawn again; and how a run is told on a terminal or to a program.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import console
from cli.options import ConfigOption, JsonOption, RedisOption, StorageOption, log_source
from eventlog.disk.files import write_atomic
from replay.errors import BadRun
from replay.plain_json import plain
from replay.runs import finished_runs
from replay.runs.log_digest import log_digest
from replay.runs.report import render
from replay.runs.run import Result
from replay.scoring.price_path import READS, PricePath

_TABLES = ("recommendations", "episodes", "orders", "fills", "scores")
_MIN_NAME = 22


def compare(
    a: Annotated[Path, typer.Argument(help="a run folder")],
    b: Annotated[Path, typer.Argument(help="another")],
    as_json: JsonOption = False,
) -> None:
    """Two runs side by side: inputs that differ, recommendations that agree, every figure."""
    with finished_runs.of_replay_run(a, b):
        _compare(finished_runs.compare(finished_runs.load(a), finished_runs.load(b)), as_json)


def _compare(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(plain(found))
        return
    for name, (one, two) in found["inputs"].items():
        console.show(f"{name}: {one} | {two}")
    console.show(f"{found['equal_recommendations']} of {found['common_ticks']} common ticks have equal recommendations")
    width = _width_of(found["figures"]) + 2
    console.show(f"{'figure':<{width}}{'per':<17}{'model':<9}{'a':>10}{'b':>10}{'b - a':>10}")
    for row in found["figures"]:
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
        Path | None, typer.Option("-o", "--output", help="the file to write; by default report.html there")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a run's report again from its tables and the log it was made from."""
    found = finished_runs.load(folder)
    with finished_runs.of_replay_run(folder):
        inputs = found.manifest["inputs"]
        first, last = inputs["seq"]
        source = log_source(inputs["market"], storage, redis, config)
        with source.events() as log:
            if log_digest(log, first - 1, last) != inputs["log"]:
                raise BadRun(
                    f"{folder} was not made of what {source.storage} holds of {log.name.market} now; name the storage "
                    "it was made of, or run the replay again"
                )
            path = PricePath.of(log.read(first - 1, last, list(READS), READS))
        text = render(found.manifest, {name: found.table(name) for name in _TABLES}, path)
    target = _written(text, folder, out)
    if as_json:
        console.print_json({"run_id": found.manifest["run_id"], "report": str(target)})
    else:
        console.show(target)


def _written(text: str, folder: Path, out: Path | None) -> Path:
    """Where a report lies now: where it was named, else in its run, in place of whatever has its name there."""
    if out is None:
        if folder.is_symlink():  # a run is handed on; where its links lead is not the reader's to write to
            raise console.Failure(
                f"{folder} is a link, and a report is not written through one; say where with -o FILE"
            )
        write_atomic(folder / "report.html", text.encode())
        return folder / "report.html"
    with console.writing(out):
        out.write_text(text, encoding="utf-8")
    return out


def print_run(result: Result) -> None:
    """A run for a person: what was done, what must be known of it, every score, where the report lies."""
    manifest = result.manifest
    console.show(
        f"run {manifest['run_id']}: {manifest['analyses']:,} analyses, "
        f"{manifest['recommendations']:,} recommendations, "
        f"{manifest['with_zones']:,} with zones, {manifest['episodes']:,} episodes"
    )
    for note in manifest["notes"]:
        console.show(f"note: {note}")
    _print_scores(result.scores)
    if result.again is not None:
        console.show(
            "this run existed: " + (f"DIFFERENT in {', '.join(result.again)}" if result.again else "identical again")
        )
    console.show(f"report: {result.report}")


def json_of(result: Result, undecided: str | None = None) -> dict[str, Any]:
    """
    A run for a program: all that the screen shows, and the manifest.

    Args:
        undecided: why none of its figures is the model's that was to decide, None where that is not so.
    """
    found = result.manifest | {
        "folder": str(result.folder),
        "report": str(result.report),
        "different": result.again,
        "scores": result.scores,
    }
    return plain(found if undecided is None else found | {"nothing_decided": undecided})


def _print_scores(rows: Sequence[Mapping[str, Any]]) -> None:
    """The score table; figures of every minute are for programs and the report."""
    shown = [row for row in rows if row["unit"] != "every minute"]
    width = _width_of(shown)
    console.show(f"{'figure':<{width}}{'model':<9}{'advice':>9}{'placebo':>9}   {'95 % of difference':<22}{'n':>7}  p")
    for row in shown:
        interval = f"{row['low']:+.3f} … {row['high']:+.3f}" if row["low"] is not None else "–"
        chance = "" if row["blocks"] is None else "too few blocks" if row["p"] is None else f"{row['p']:.3f}"
        cells = [("–" if row[k] is None else f"{row[k]:.3f}") for k in ("advice", "placebo")]
        console.show(
            f"{row['metric']:<{width}}{row['model'] or '':<9}{cells[0]:>9}{cells[1]:>9}   {interval:<22}"
            f"{row['samples']:>7,}  {chance}".rstrip()
        )


def _width_of(rows: Sequence[Mapping[str, Any]]) -> int:
    """Of the column of figures: the longest name and a blank."""
    return max(_MIN_NAME, *(len(row["metric"]) + 1 for row in rows), 0)
