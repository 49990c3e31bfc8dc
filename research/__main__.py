"""
`python -m research`: SQL over everything.
"""

from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer

import console
from console import JsonOption, MarketOption, StorageOption
from eventlog.errors import EventLogError
from research.views import connect

app = console.application(__doc__ or "")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="DuckDB SQL; `show tables` lists the views")],
    market: MarketOption,
    storage: StorageOption,
    runs: Annotated[Path | None, typer.Option("--runs", help="the folder of all runs")] = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, help="rows to print at most")] = 50,
) -> None:
    """Run a query over a market's archive, its decisions and finished runs."""
    with connect(storage, console.market_of(market), runs) as connection:
        result = connection.execute(query)
        names = [column[0] for column in result.description or []]
        rows = result.fetchmany(limit)
    if as_json:
        console.print_json([dict(zip(names, map(_plain, row), strict=True)) for row in rows])
        return
    table = [names, *[[str(_plain(cell)) for cell in row] for row in rows]]
    widths = [min(40, max(len(row[i]) for row in table)) for i in range(len(names))]
    for row in table:
        print("  ".join(cell[:width].ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(rows) == limit:
        print(f"(first {limit} rows; --limit shows more)")


def _plain(cell: Any) -> Any:
    return cell if isinstance(cell, int | float | str | bool | None) else str(cell)


if __name__ == "__main__":
    console.run(app, (EventLogError, duckdb.Error))
