"""
What is fuzzed: bytes in, a list of what is wrong out; any error that is not declared is a finding by itself.

Every fact that is read must say what the bytes say (see `oracles`), in company as alone.
"""

import io
import tempfile
import zipfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pyarrow as pa

from eventlog.clock import ManualClock
from eventlog.facts.capture import QUARANTINE
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from exchanges.binance.archives.archive import read_agg_trades
from exchanges.binance.messages import BadMessage, pack_snapshot, unwrap
from exchanges.binance.recordings.recording import Recording
from exchanges.binance.rest import BinanceRest
from exchanges.errors import BadFile, ExchangeError
from tests.builders import MAPPER, T0
from tests.fuzz.oracles import archive_wrongs, diff_wrongs, instrument_wrongs, plain, snapshot_wrongs, trade_wrongs

LARGEST = 4096
"""Inputs are cut here: what makes a reader slow must not be their mere length."""

KINDS = (AGG_TRADE, DIFF, SNAPSHOT, INSTRUMENT)
_IDS = {AGG_TRADE: ("agg_id", "trade_time_ns"), DIFF: ("first_update_id", "last_update_id")}
WRONGS = {AGG_TRADE: trade_wrongs, DIFF: diff_wrongs, SNAPSHOT: snapshot_wrongs, INSTRUMENT: instrument_wrongs}
_MEMORY = Path("/dev/shm")
_FOLDER = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)


def mapper(data: bytes) -> list[str]:
    """A byte that picks the kind, then messages apart by NUL: each read alone, and all at once."""
    kind = KINDS[data[0] % len(KINDS)] if data else AGG_TRADE
    messages = data[1:LARGEST].split(b"\0")[:4]
    entries = [Entry(i + 1, kind, T0, _fact_bytes(kind, m)) for i, m in enumerate(messages)]
    alone = [_read(kind, [entry]) for entry in entries]
    together = _read(kind, entries)
    wrongs = []
    for entry, message, table in zip(entries, messages, alone, strict=True):
        if isinstance(table, pa.Table):
            wrongs += [f"alone {entry.seq}: {w}" for w in WRONGS[kind](table.to_pylist()[0], message)]
        if kind in _IDS and _ids(kind, entry) != (_row_ids(kind, table) if isinstance(table, pa.Table) else None):
            wrongs.append(f"alone {entry.seq}: its ids are read otherwise than the message")
    bad = [i for i, table in enumerate(alone) if not isinstance(table, pa.Table)]
    if isinstance(together, BadMessage):
        wrongs += [] if together.row in bad else [f"row {together.row} is refused in company: {together}"]
    elif bad:
        wrongs.append(f"row {bad[0]} is taken in company only")
    elif together.to_pylist() != [row for table in alone for row in table.to_pylist()]:
        wrongs.append("rows differ in company")
    return wrongs


def message(data: bytes) -> list[str]:
    """What a socket brings, combined stream or raw."""
    raw = data[:LARGEST]
    try:
        name, inner = unwrap(raw)
    except BadMessage:
        return []
    try:
        said = plain(raw)
    except ValueError:
        return []  # what nobody names or what the mapper refuses later
    expected = said["data"] if {"stream", "data"} <= set(said) and "e" not in said else said
    wrongs = [] if plain(inner) == expected else ["the message is not what the stream holds"]
    named = isinstance(expected, dict) and "e" in expected
    if name and named and name != expected["e"] and not str(said.get("stream")).partition("@")[2]:
        wrongs.append(f"the event is {name!r}, said {expected['e']!r}")
    return wrongs


def recording(data: bytes) -> list[str]:
    """A recording's file: every line is a fact, quarantined or passed over, and facts say what their lines say."""
    path = _file(data, "r")
    try:
        held = Recording(path, MAPPER.symbol)
    except BadFile as error:
        return [f"two lines: {error}"] if "\n" in str(error) else []
    wrongs = []
    facts = list(held.facts())
    blocks = list(held.blocks(8))
    rows = sum(len(places) for block in blocks for places, _ in block.tables.values())
    aside = sum(len(block.quarantine) for block in blocks)
    if rows + aside != len(facts) or any(fact.kind not in (*KINDS, QUARANTINE) for fact in facts):
        wrongs.append("a fact that is neither read nor set aside")
    readable = 0
    for fact in facts:
        table = _read(fact.kind, [Entry(1, fact.kind, fact.recv_ns, fact.data)]) if fact.kind != QUARANTINE else None
        readable += isinstance(table, pa.Table)
        if isinstance(table, pa.Table) and fact.kind != SNAPSHOT:
            wrongs += WRONGS[fact.kind](table.to_pylist()[0], fact.message)
    if readable != rows:
        wrongs.append(f"{readable} facts can be read alone, {rows} in company")
    return wrongs


def archive(data: bytes) -> list[str]:
    """A byte that says whether the rest is to be zipped; then the file, CSV or zip."""
    text, to_zip = data[1:LARGEST], bool(data) and data[0] % 2 == 1
    path = _file(_zipped(text) if to_zip else text, "a")
    try:
        trades = read_agg_trades(path)
    except BadFile as error:
        return [f"two lines: {error}"] if "\n" in str(error) else []
    columns = {name: column.tolist() for name, column in trades.columns().items() if column is not None}
    return archive_wrongs(columns, text if to_zip or text[:4] != b"PK\x03\x04" else _unzipped(text))


def rest(data: bytes) -> list[str]:
    """A byte that picks the request, then the body of its reply."""
    body, venue = data[1:LARGEST], _Canned(data[1:LARGEST])
    asked = (venue.instrument(), venue.snapshot(5), venue.latest_trades(5))
    picked = data[0] % 3 if data else 0
    for i, other in enumerate(asked):
        if i != picked:
            other.close()
    try:
        found = _finished(asked[picked])
    except ExchangeError:
        return []
    if picked == 2:
        held = [(row, _read(AGG_TRADE, [Entry(1, AGG_TRADE, T0, row.fact.data)])) for row in found]
        read = [(row.agg_id, t.column("agg_id")[0].as_py()) for row, t in held if isinstance(t, pa.Table)]
        return [f"trade {was} is taken for {taken}" for taken, was in read if taken != was]
    if picked == 0 and isinstance(_read(INSTRUMENT, [Entry(1, INSTRUMENT, T0, found.data)]), BadMessage):
        return []  # told as a bad reply by `BinanceExchange`
    if picked == 0:
        return [] if found.data in body else ["not the symbol that was sent"]
    table = _read(SNAPSHOT, [Entry(1, SNAPSHOT, T0, found.data)])
    return snapshot_wrongs(table.to_pylist()[0], body) if isinstance(table, pa.Table) else []


TARGETS: dict[str, Callable[[bytes], list[str]]] = {
    "mapper": mapper,
    "message": message,
    "recording": recording,
    "archive": archive,
    "rest": rest,
}


class _Canned(BinanceRest):
    """Answers every request with one body."""

    def __init__(self, body: bytes) -> None:
        super().__init__("http://nowhere", MAPPER.symbol, 1.0, 6000, ManualClock(T0))
        self._body = body

    async def _get(
        self, path: str, parameters: dict[str, str], weight: int, is_book: bool = False
    ) -> tuple[bytes, int, int]:
        return self._body, T0, T0


def _finished(asking: Coroutine[Any, Any, Any]) -> Any:
    try:
        asking.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a request with nothing to wait for waits")


def _fact_bytes(kind: str, body: bytes) -> bytes:
    return pack_snapshot(T0, T0, 5, body) if kind == SNAPSHOT else body


def _read(kind: str, entries: list[Entry]) -> Any:
    try:
        return MAPPER.decoders[kind](entries)
    except BadMessage as error:
        return error


def _ids(kind: str, entry: Entry) -> tuple[int, int] | None:
    """What the feed is sorted by, read without the rest; None where it is refused."""
    try:
        return MAPPER.diff_ids(entry) if kind == DIFF else MAPPER.agg_trade_ids([entry])[0]
    except BadMessage:
        return None


def _row_ids(kind: str, table: pa.Table) -> tuple[int, int]:
    first, last = (table.column(name)[0].as_py() for name in _IDS[kind])
    return first, last


def _file(data: bytes, name: str) -> Path:
    path = Path(_FOLDER.name) / name
    path.write_bytes(data[:LARGEST])
    return path


def _zipped(text: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.csv", text)
    return held.getvalue()


def _unzipped(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return next(file.read(name) for name in file.namelist() if not name.endswith("/"))
