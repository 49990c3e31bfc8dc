"""
The rows of an archive's CSV: the order of its columns, and how other archives than aggTrades are recognised.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from eventlog.transfer.imported_trades import ImportedTrades, QuantityTooLarge
from exchanges.errors import BadFile
from market.errors import BadNumber, MarketError
from market.fixed_point import DECIMALS, parse_column
from market.timestamps import venue_times_ns

MAX_LINE_BYTES = 1 << 16
"""Bytes; a trade takes a hundred."""

_TYPES = {
    "agg_id": pa.int64(),
    "price": pa.string(),
    "quantity": pa.string(),
    "first_trade_id": pa.int64(),
    "last_trade_id": pa.int64(),
    "time": pa.int64(),
    "buyer_is_maker": pa.bool_(),
    "best_match": pa.bool_(),
}
_OFFICIAL_ORDER = tuple(_TYPES)
"""The order of the columns where no header names them; futures files lack the last."""

_NAMES = {
    "agg_id": ("aggtradeid", "aggtradesid", "aggid", "aggregatetradeid", "aggregatedtradeid", "tradeid", "a"),
    "price": ("price", "p"),
    "quantity": ("quantity", "qty", "amount", "size", "q"),
    "first_trade_id": ("firsttradeid", "firstid", "f"),
    "last_trade_id": ("lasttradeid", "lastid", "l"),
    "time": ("transacttime", "transactiontime", "timestamp", "tradetime", "time", "T"),
    "buyer_is_maker": ("isbuyermaker", "buyerismaker", "buyermaker", "wasthebuyerthemaker", "isbuyerthemaker", "m"),
    "best_match": ("isbestmatch", "bestmatch", "wasthetradethebestpricematch", "M"),
}
_COLUMN_BY_NAME = {name: column for column, names in _NAMES.items() for name in names}

_OTHER_ARCHIVES = {
    "trades": ({"id", "price", "qty", "quoteqty", "time"}, {"id", "price", "qty", "baseqty", "time"}),
    "klines": ({"opentime", "open", "high", "low", "close"},),
    "bookTicker": ({"bestbidprice", "bestaskprice"},),
    "bookDepth": ({"percentage", "depth"},),
    "metrics": ({"sumopeninterest"},),
    "fundingRate": ({"fundingintervalhours"}, {"lastfundingrate"}),
    "liquidationSnapshot": ({"ordertype", "averageprice"},),
    "BVOLIndex": ({"indexvalue", "baseasset"},),
    "EOHSummary": ({"underlying", "strike"},),
}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_BOOLEANS = ("true", "false")
_BLANKS = re.compile(rb"[ \t]*([,\r\n])[ \t]*")
_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns in the order of the file, and its header line's cells, None where it has no header."""

    columns: tuple[str, ...]
    header: tuple[str, ...] | None


def find_layout(path: Path, text: bytes) -> Layout:
    """
    Find the order of the columns, from the first line that is not blank.

    Args:
        path: named in messages.
        text: the first block of the file.

    Raises:
        BadFile: it is not the first line of an archive of aggTrades.
    """
    head = text[:MAX_LINE_BYTES].lstrip()
    if head[:1] in (b"<", b"{", b"["):
        raise BadFile(f"{path} holds {'HTML' if head[:1] == b'<' else 'JSON'}, not CSV; download it again")
    first = _cells(head.partition(b"\n")[0])
    message = f"{path} does not hold aggTrades: 7 or 8 columns were expected, line 1 is {_excerpt(head)}"
    names = [_normalise(cell) for cell in first]
    for archive, shapes in _OTHER_ARCHIVES.items():
        if any(shape <= set(names) for shape in shapes):
            raise _wrong_archive(path, archive)
    if _is_header(first):
        columns = tuple(_COLUMN_BY_NAME.get(cell, "") for cell in names)
        missing = [name for name in _OFFICIAL_ORDER[:7] if name not in columns]
        duplicates = [name for name in _OFFICIAL_ORDER if columns.count(name) > 1]
        if len(missing) == 7 or "price" in missing:
            raise BadFile(message)
        if missing or duplicates:
            problem = f"no column for {missing[0]}" if missing else f"two columns for {duplicates[0]}"
            raise BadFile(f"{path} does not hold aggTrades: its header has {problem}: {_excerpt(head)}")
        return Layout(columns, tuple(first))
    kind = _find_other_archive(first)
    if kind is not None:
        raise _wrong_archive(path, kind)
    if len(first) not in (7, 8):
        separator = next((separator for separator in _SEPARATORS if len(first[0].split(separator)) in (7, 8)), "")
        raise BadFile(f"{message}; write commas instead of {separator!r}" if separator else message)
    return Layout(_OFFICIAL_ORDER[: len(first)], None)


def _wrong_archive(path: Path, kind: str) -> BadFile:
    return BadFile(f"{path} line 1: this is an archive of {kind}, not of aggTrades; download the aggTrades file")


def _find_other_archive(cells: Sequence[str]) -> str | None:
    """Which other archive a first row without a header is of, None where it may be aggTrades."""
    booleans = [i for i, cell in enumerate(cells) if cell.lower() in _BOOLEANS]
    if len(cells) in (6, 7) and booleans and booleans[0] == 5:
        return "trades"
    if len(cells) == 12 and not booleans and all(_NUMBER.fullmatch(cell) for cell in cells):
        return "klines"
    if len(cells) == 7 and not booleans and all(_NUMBER.fullmatch(cell) for cell in cells):
        return "bookTicker"
    return None


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a line names columns: words, of which one at least is a column's."""
    words = [cell for cell in cells if cell and not _NUMBER.fullmatch(cell) and cell.lower() not in _BOOLEANS]
    return len(words) * 2 > len([c for c in cells if c]) and (
        any(_normalise(word) in _COLUMN_BY_NAME for word in words)
        or any(_normalise(w) in {"id", "opentime"} for w in words)
    )


def _normalise(cell: str) -> str:
    """A column's name without case and punctuation; single letters keep their case: m and M are two columns."""
    letters = re.sub(r"[^0-9A-Za-z]", "", cell)
    return letters if len(letters) == 1 else letters.lower()


def _cells(line: bytes) -> list[str]:
    text = line.decode("utf-8", "replace").strip().replace("\r", " ")
    try:
        return [cell.strip() for cell in next(csv.reader([text]), None) or [text]]
    except csv.Error:
        return [text]


def _excerpt(text: bytes) -> str:
    return ascii(text.partition(b"\n")[0][:60].decode("utf-8", "replace"))


def _has_more_decimals(error: BadNumber) -> bool:
    return error.reason.startswith("has more decimals")


def parse_trades(path: Path, text: bytes, layout: Layout, lines_before: int, decimals: int) -> ImportedTrades | None:
    """
    Parse the trades of complete lines; see `Archive.blocks`.

    Args:
        path: named in messages.
        text: n complete lines.
        layout: the order of the columns.
        lines_before: number of lines of the file before these, for messages.
        decimals: quantities come out in counts of 10^-decimals.

    Returns:
        At most n trades, None where all lines are blank or headers.

    Raises:
        BadFile: a line is no trade; the message names it. QuantityTooLarge: see `Archive.blocks`.
    """
    return _Block(path, text, layout, lines_before).trades(decimals)


class _Block:
    """Complete lines of a file, and how many lines come before them."""

    def __init__(self, path: Path, text: bytes, layout: Layout, lines_before: int) -> None:
        self._path = path
        self._layout = layout
        self._lines_before = lines_before
        self._text = text

    def trades(self, decimals: int) -> ImportedTrades | None:
        """The trades of these lines, None where there are none among them."""
        table = self._table()
        if table.num_rows == 0:
            return None
        for name in table.column_names:
            if table.column(name).null_count:
                raise self._error_at(pc.index(table.column(name).is_null(), True).as_py(), f"{name} is missing")
        try:
            prices = parse_column(table.column("price"))
            times = venue_times_ns(table.column("time").to_numpy())
        except MarketError as error:
            raise self._to_error(error) from error
        try:
            quantities = parse_column(table.column("quantity"), decimals=decimals)
        except BadNumber as error:
            bad_file = self._to_error(error)
            if error.reason == "is too large":
                raise QuantityTooLarge(str(bad_file)) from error
            hint = (
                "; import it into another --storage" if 0 <= decimals < DECIMALS and _has_more_decimals(error) else ""
            )
            raise BadFile(f"{bad_file}{hint}") from error
        ids, first, last = (table.column(n).to_numpy() for n in ("agg_id", "first_trade_id", "last_trade_id"))
        invalid = (ids < 0) | (first < 0) | (first > last)
        if invalid.any():
            raise self._error_at(int(invalid.argmax()), "its ids are negative or in the wrong order")
        return ImportedTrades(
            agg_id=ids,
            price_e8=prices,
            quantity_e8=quantities,
            first_trade_id=first,
            last_trade_id=last,
            trade_time_ns=times,
            buyer_is_maker=table.column("buyer_is_maker").to_numpy(),
            best_match=table.column("best_match").to_numpy() if "best_match" in table.column_names else None,
            decimals=decimals,
        )

    def _table(self) -> pa.Table:
        header = self._layout.header
        text = self._text
        if b" " in text or b"\t" in text:
            text = _BLANKS.sub(rb"\1", text.strip(b" \t"))
        if header is not None or re.search(rb"(?m)^[\"' ]*[A-Za-z_,]", text):
            text = b"".join(self._data_lines(text))
        if self._has_hexadecimal(text):
            raise self._describe_unreadable()
        # Columns with an unknown name get a placeholder and are not read.
        names = [name or f"_{i}" for i, name in enumerate(self._layout.columns)]
        known_columns = [name for name in names if name in _TYPES]
        try:
            return pcsv.read_csv(
                pa.BufferReader(text or b"\n"),
                read_options=pcsv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
                convert_options=pcsv.ConvertOptions(
                    column_types={name: _TYPES[name] for name in known_columns},
                    include_columns=known_columns,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                    true_values=["True", "true", "TRUE"],
                    false_values=["False", "false", "FALSE"],
                ),
            )
        except pa.ArrowException as error:
            raise self._describe_unreadable() from error

    def _has_hexadecimal(self, text: bytes) -> bool:
        """Whether an integer is written as `0x10`, which Arrow reads as 16."""
        if b"0x" not in text and b"0X" not in text:
            return False
        integers = [i for i, name in enumerate(self._layout.columns) if _TYPES.get(name) == pa.int64()]
        rows = [_cells(line) for line in text.splitlines() if b"0x" in line.lower()]
        return any("x" in cells[i].lower() for cells in rows for i in integers if i < len(cells))

    def _data_lines(self, text: bytes) -> Iterator[bytes]:
        """The lines that are no headers: concatenated files have several."""
        for number, line in enumerate(text.splitlines(keepends=True), self._lines_before + 1):
            if line[:1].isdigit() or not line.strip():
                yield line
                continue
            cells = _cells(line)
            if not _is_header(cells):
                yield line
            elif tuple(_COLUMN_BY_NAME.get(_normalise(c), "") for c in cells) != self._layout.columns:
                raise BadFile(f"{self._path} line {number}: a second header orders the columns otherwise")

    def _to_error(self, error: MarketError) -> BadFile:
        reason = f"{error.text!r} {error.reason}" if isinstance(error, BadNumber) else str(error)
        return self._error_at(getattr(error, "row", None) or 0, reason)

    def _error_at(self, row: int, reason: str) -> BadFile:
        """An error about a row of these, with the number of its line."""
        for number, line in enumerate(self._text.splitlines(), self._lines_before + 1):
            if line.strip() and not (self._layout.header is not None and _is_header(_cells(line))):
                if row == 0:
                    return BadFile(f"{self._path} line {number}: {reason}")
                row -= 1
        return BadFile(f"{self._path}: {reason}")

    def _describe_unreadable(self) -> BadFile:
        """An error about the first line that is no trade."""
        columns = self._layout.columns
        for number, line in enumerate(self._text.splitlines(), self._lines_before + 1):
            if not line.strip() or _is_header(_cells(line)):
                continue
            cells = _cells(line)
            if len(cells) != len(columns):
                reason = f"{len(columns)} columns were expected, it has {len(cells)}: {_excerpt(line)}"
                return BadFile(f"{self._path} line {number} does not hold aggTrades: {reason}")
            for name, cell in zip(columns, cells, strict=True):
                kind = _TYPES.get(name)
                fits = re.fullmatch(r"-?[0-9]{1,18}", cell) if kind == pa.int64() else cell.lower() in _BOOLEANS
                if cell and kind not in (None, pa.string()) and not fits:
                    reason = f"{name} is {cell[:40]!a}"
                    return BadFile(f"{self._path} line {number} does not hold aggTrades: {reason}")
        return BadFile(f"{self._path} does not hold aggTrades; download it again")
