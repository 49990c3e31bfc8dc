"""
`liquidity sql`: SQL over recordings, decisions and runs.
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.cells import cell_len

from cli import console
from cli.options import ConfigOption, JsonOption, MarketOption, StorageOption, log_source
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from market.instrument import Market
from market.printable import printable
from research.answers import Answer, ask, one_line_errors, statements_of
from research.errors import BadQuery
from research.views import open_views

app = console.application(__doc__ or "")

_MAX_CELL = 40  # characters of a cell, so that a table fits on a screen
_MAX_ROWS = 10**9  # what DuckDB takes as a limit; more would be refused there
_QUIET = "SET python_enable_replacements = false; SET enable_progress_bar_print = false"
"""Variables of this program are not tables, and only the answer is printed."""
_NOTHING_TO_SHOW = "done; the statement returns no rows"
_NOT_ARCHIVED = (
    "note: nothing of this market's recording is archived yet, so its views are empty; `liquidity log export` "
    "reads what is still in the log's server"
)


@app.command(context_settings={"ignore_unknown_options": True})  # a query may begin with a comment
def sql(
    query: Annotated[
        str, typer.Argument(help="DuckDB SQL; `show tables` lists the views, `describe VIEW` its columns")
    ],
    market: MarketOption = None,
    storage: StorageOption = None,
    runs: Annotated[Path | None, typer.Option("--runs", help="the folder of all runs; adds the views run_…")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, max=_MAX_ROWS, help="maximum number of rows to print")] = 50,
) -> None:
    """
    Run a query over a market's archive, its decisions and finished runs.

    Files are checked against their digests before they are read. Tables truncate long cells with …; JSON truncates
    nothing: times are ISO text, decimals are text, NaN and infinities are "NaN", "Infinity" and "-Infinity".
    """
    statements, source = statements_of(query), log_source(market, storage, None, config)
    with _views(source.storage, source.market, runs) as connection:
        answer = ask(connection, statements, limit)
    if as_json:
        console.print_json(answer.records())
    else:
        _print(answer)
    if not _is_archived(source.storage, source.market):
        print(_NOT_ARCHIVED, file=sys.stderr)
    if answer.more:
        print(f"(first {limit} rows; --limit shows more)", file=sys.stderr if as_json else sys.stdout)


@contextmanager
def _views(storage: Path, market: Market, runs: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection that reports damaged files as such."""
    with one_line_errors():
        connection, sources = open_views(storage, market, runs)
        connection.execute(_QUIET).fetchall()
    with connection:
        try:
            yield connection
        except BadQuery as error:
            if sources.failure is not None:
                raise sources.failure from error
            if runs is None and "run_" in str(error):
                raise BadQuery(f"{error}; views of runs need --runs") from error
            raise


def _is_archived(storage: Path, market: Market) -> bool:
    """False for a recording without an archived entry; True where there is no recording."""
    recording = ColdLog(storage, LogName("events", market))
    return not recording.exists() or bool(recording.refresh().segments)


def _print(answer: Answer) -> None:
    if not answer.columns:
        console.show(_NOTHING_TO_SHOW)
        return
    if answer.drawing:
        console.show("\n".join(str(row[-1]).rstrip("\n") for row in answer.rows))
        return
    table = [_cells(answer.columns), *(_cells([_text(value) for value in row]) for row in answer.rows)]
    widths = [max(cell_len(row[i]) for row in table) for i in range(len(answer.columns))]
    for row in table:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        console.show("  ".join(cells).rstrip())


def _cells(texts: Sequence[str]) -> list[str]:
    return [printable(text, _MAX_CELL) for text in texts]


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    console.run(app)
