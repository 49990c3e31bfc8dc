"""
`liquidity log tail`: the last entries of a log and the new ones, a line each.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated

import typer

from cli import console
from cli.options import ConfigOption, MarketOption, RedisOption, StorageOption, log_source
from eventlog.store.batch import Batch
from eventlog.transfer import export as exports
from market.printable import printable
from runtime.open_log import quantity_decimals

_MAX_VALUE = 60  # characters of a value, so that a row stays on a line

Formatter = Callable[[Batch, int], Iterator[tuple[int, str]]]
"""Formats the entries of a batch, whose quantities have a number of decimals, as (seq, line)."""


def tail(
    market: MarketOption = None,
    storage: StorageOption = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    count: Annotated[int, typer.Option("-n", help="number of entries", min=1)] = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="keep printing new entries")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="one JSON object per line; nothing is truncated, times are ISO text and ns")
    ] = False,
) -> None:
    """Print the last entries of a log, one per line."""
    form: Formatter = _as_json if as_json else _as_text
    with log_source(market, storage, redis, config).events() as log, suppress(BrokenPipeError):
        last, decimals = log.last_seq(), quantity_decimals(log.cold, log.hot)
        for batch in log.read(max(0, last - count), last):
            _print(form(batch, decimals))
        if follow:
            if log.hot is None:
                raise console.Failure("this log has no server with new entries; --follow needs a running collector")
            for batch in log.follow(last, lambda: False):
                _print(form(batch, decimals))


def _print(lines: Iterator[tuple[int, str]]) -> None:
    for _, line in sorted(lines):
        console.show(line, flush=True)


def _as_text(batch: Batch, decimals: int) -> Iterator[tuple[int, str]]:
    for kind, rows in batch.rows.items():
        table = exports.to_text(rows.table(), decimals)
        for row in table.to_pylist():
            seq, recv = row.pop("seq"), row.pop("recv")
            words = [f"{name}={printable(str(v), _MAX_VALUE)}" for name, v in row.items() if v is not None]
            yield seq, f"{seq:>10} {recv} {kind:<11} {' '.join(words)}"


def _as_json(batch: Batch, decimals: int) -> Iterator[tuple[int, str]]:
    for kind, rows in batch.rows.items():
        for record in exports.to_records(kind, rows.table(), decimals):
            yield record["seq"], json.dumps(record)
