"""
Binance's own archive files of aggTrades (data.binance.vision): a zip with one CSV, or the CSV itself.

Source: binance-public-data README. Spot files have no header; timestamps are microseconds from 2025-01-01 on.
"""

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from eventlog.importing import ImportedTrades
from exchanges.errors import BadFile
from market.errors import BadNumber, MarketError
from market.fixed_point import parse_column
from market.timestamps import venue_times_ns

_COLUMNS = {
    "agg_id": pa.int64(),
    "price": pa.string(),
    "quantity": pa.string(),
    "first_trade_id": pa.int64(),
    "last_trade_id": pa.int64(),
    "time": pa.int64(),
    "buyer_is_maker": pa.bool_(),
    "best_match": pa.bool_(),
}
_LARGEST_BYTES = 8 * 1024**3


def read_agg_trades(path: Path, quantity_decimals: int = 8) -> ImportedTrades:
    """
    Every row of an archive file.

    Raises:
        BadFile: missing, cut short, not a zip or CSV of aggTrades, a checksum beside it that differs, or a row with a
            number or a time nobody can mean; the message names the row.
    """
    text = _csv_bytes(path)
    if not text[:4096].strip():
        raise BadFile(f"{path} is empty; download it again")
    head = text[:512].lstrip()
    if head[:1] in (b"<", b"{"):
        raise BadFile(f"{path} holds {'HTML' if head[:1] == b'<' else 'JSON'}, not CSV; download it again")
    first_line = text[: text.find(b"\n")] if b"\n" in text[:4096] else text[:4096]
    has_header = not first_line[:1].isdigit()
    names = list(_COLUMNS)[: first_line.count(b",") + 1]
    if len(names) < 7 or first_line.count(b",") > 7 or (has_header and b"price" not in first_line.lower()):
        raise BadFile(f"{path} does not hold aggTrades: 7 or 8 columns were expected, it starts {first_line[:60]!r}")
    table = _table(path, text, names, has_header)
    if table.num_rows == 0:
        raise BadFile(f"{path} holds no trades; download it again")
    return _checked(path, table, quantity_decimals, 2 if has_header else 1)


def _csv_bytes(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        if not packed:
            return path.read_bytes()
        _expect_checksum(path)
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.filename.endswith("/")]
            if len(members) != 1:
                raise BadFile(f"{path} holds {len(members)} files, expected one CSV")
            if members[0].file_size > _LARGEST_BYTES:
                raise BadFile(f"{path} unpacks to {members[0].file_size:,} bytes; import daily files instead")
            return archive.read(members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadFile(f"{path} is cut short or damaged ({error}); download it again") from error
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror or error}") from error


def _expect_checksum(path: Path) -> None:
    """Binance publishes `<name>.CHECKSUM` beside each file; where it was kept, it must agree."""
    beside = path.with_name(path.name + ".CHECKSUM")
    if not beside.exists():
        return
    words = beside.read_text(errors="replace").split()
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not words or words[0].lower() != found:
        raise BadFile(f"{path} does not match {beside.name}; download it again")


def _table(path: Path, text: bytes, names: list[str], has_header: bool) -> pa.Table:
    try:
        return pcsv.read_csv(
            pa.BufferReader(text),
            read_options=pcsv.ReadOptions(column_names=names, skip_rows=int(has_header)),
            convert_options=pcsv.ConvertOptions(
                column_types={name: _COLUMNS[name] for name in names},
                null_values=[""],
                strings_can_be_null=False,
                true_values=["True", "true", "TRUE"],
                false_values=["False", "false", "FALSE"],
            ),
        )
    except pa.ArrowException as error:
        raise BadFile(f"{path} does not hold aggTrades: {str(error).splitlines()[0][:160]}") from error


def _checked(path: Path, table: pa.Table, quantity_decimals: int, first_row: int) -> ImportedTrades:
    for name in table.column_names:
        if table.column(name).null_count:
            row = pc.index(table.column(name).is_null(), True).as_py() + first_row
            raise BadFile(f"{path} line {row}: {name} is missing")
    try:
        prices = parse_column(table.column("price"))
        quantities = parse_column(table.column("quantity"), decimals=quantity_decimals)
        times = venue_times_ns(table.column("time").to_numpy())
    except MarketError as error:
        row = getattr(error, "row", None)
        place = f" line {row + first_row}" if row is not None else ""
        said = f"{error.text!r} {error.reason}" if isinstance(error, BadNumber) else str(error)
        raise BadFile(f"{path}{place}: {said}") from error
    best = table.column("best_match").to_numpy() if "best_match" in table.column_names else None
    trades = ImportedTrades(
        agg_id=table.column("agg_id").to_numpy(),
        price_e8=prices,
        quantity_e8=quantities,
        first_trade_id=table.column("first_trade_id").to_numpy(),
        last_trade_id=table.column("last_trade_id").to_numpy(),
        trade_time_ns=times,
        buyer_is_maker=table.column("buyer_is_maker").to_numpy(),
        best_match=best,
    )
    wrong = (trades.agg_id < 0) | (trades.first_trade_id < 0) | (trades.first_trade_id > trades.last_trade_id)
    if wrong.any():
        raise BadFile(f"{path} line {int(np.argmax(wrong)) + first_row}: its ids are negative or in the wrong order")
    return trades
