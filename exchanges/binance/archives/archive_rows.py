"""
The rows of an archive's CSV: which column stands where, and what is no archive of aggTrades.
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

LONGEST_LINE = 1 << 16
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
_OFFICIAL = tuple(_TYPES)
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
_BY_NAME = {name: column for column, names in _NAMES.items() for name in names}

_OTHERS = {
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
_TRUTHS = ("true", "false")
_BLANKS = re.compile(rb"[ \t]*([,\r\n])[ \t]*")
_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column stands where, and the header line that says so, None where none does."""

    columns: tuple[str, ...]
    header: tuple[str, ...] | None


def layout_of(path: Path, text: bytes) -> Layout:
    """
    Where the columns stand, from the first line that is not blank.

    Raises:
        BadFile: it is none of an archive of aggTrades.
    """
    head = text[:LONGEST_LINE].lstrip()
    if head[:1] in (b"<", b"{", b"["):
        raise BadFile(f"{path} holds {'HTML' if head[:1] == b'<' else 'JSON'}, not CSV; download it again")
    first = _cells(head.partition(b"\n")[0])
    said = f"{path} does not hold aggTrades: 7 or 8 columns were expected, line 1 is {_shown(head)}"
    plain = [_plain(cell) for cell in first]
    for other, shapes in _OTHERS.items():
        if any(shape <= set(plain) for shape in shapes):
            raise _other_kind(path, other)
    if _is_header(first):
        columns = tuple(_BY_NAME.get(cell, "") for cell in plain)
        missing = [name for name in _OFFICIAL[:7] if name not in columns]
        twice = [name for name in _OFFICIAL if columns.count(name) > 1]
        if len(missing) == 7 or "price" in missing:
            raise BadFile(said)
        if missing or twice:
            what = f"no column for {missing[0]}" if missing else f"two columns for {twice[0]}"
            raise BadFile(f"{path} does not hold aggTrades: its header has {what}: {_shown(head)}")
        return Layout(columns, tuple(first))
    kind = _other_shape(first)
    if kind is not None:
        raise _other_kind(path, kind)
    if len(first) not in (7, 8):
        other_sign = next((sign for sign in _SEPARATORS if len(first[0].split(sign)) in (7, 8)), "")
        raise BadFile(f"{said}; write commas instead of {other_sign!r}" if other_sign else said)
    return Layout(_OFFICIAL[: len(first)], None)


def _other_kind(path: Path, kind: str) -> BadFile:
    return BadFile(f"{path} line 1: this is an archive of {kind}, not of aggTrades; download the aggTrades file")


def _other_shape(cells: Sequence[str]) -> str | None:
    """Which other archive a first row without a header is of, None where it may be aggTrades."""
    truths = [i for i, cell in enumerate(cells) if cell.lower() in _TRUTHS]
    if len(cells) in (6, 7) and truths and truths[0] == 5:
        return "trades"
    if len(cells) == 12 and not truths and all(_NUMBER.fullmatch(cell) for cell in cells):
        return "klines"
    if len(cells) == 7 and not truths and all(_NUMBER.fullmatch(cell) for cell in cells):
        return "bookTicker"
    return None


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a line names columns: words, of which one at least is a column's."""
    words = [cell for cell in cells if cell and not _NUMBER.fullmatch(cell) and cell.lower() not in _TRUTHS]
    return len(words) * 2 > len([c for c in cells if c]) and (
        any(_plain(word) in _BY_NAME for word in words) or any(_plain(w) in {"id", "opentime"} for w in words)
    )


def _plain(cell: str) -> str:
    """A column's name without case and signs; single letters keep their case, as the venue tells m from M."""
    kept = re.sub(r"[^0-9A-Za-z]", "", cell)
    return kept if len(kept) == 1 else kept.lower()


def _cells(line: bytes) -> list[str]:
    text = line.decode("utf-8", "replace").strip().replace("\r", " ")
    try:
        return [cell.strip() for cell in next(csv.reader([text]), None) or [text]]
    except csv.Error:
        return [text]


def _shown(text: bytes) -> str:
    return ascii(text.partition(b"\n")[0][:60].decode("utf-8", "replace"))


def _is_finer(error: BadNumber) -> bool:
    return error.reason.startswith("has more decimals")


def trades_of(path: Path, text: bytes, layout: Layout, lines_before: int, decimals: int) -> ImportedTrades | None:
    """
    The trades of whole lines, None where there are none among them; see `Archive.blocks`.

    Args:
        lines_before: how many lines of the file stand before these.
    """
    return _Block(path, text, layout, lines_before).trades(decimals)


class _Block:
    """Whole lines of a file, and where they stand in it."""

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
                raise self._bad(pc.index(table.column(name).is_null(), True).as_py(), f"{name} is missing")
        try:
            prices = parse_column(table.column("price"))
            times = venue_times_ns(table.column("time").to_numpy())
        except MarketError as error:
            raise self._refusal(error) from error
        try:
            quantities = parse_column(table.column("quantity"), decimals=decimals)
        except BadNumber as error:
            refusal = self._refusal(error)
            if error.reason == "is too large":
                raise QuantityTooLarge(str(refusal)) from error
            way_on = "; import it into another --storage" if 0 <= decimals < DECIMALS and _is_finer(error) else ""
            raise BadFile(f"{refusal}{way_on}") from error
        ids, first, last = (table.column(n).to_numpy() for n in ("agg_id", "first_trade_id", "last_trade_id"))
        wrong = (ids < 0) | (first < 0) | (first > last)
        if wrong.any():
            raise self._bad(int(wrong.argmax()), "its ids are negative or in the wrong order")
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
            raise self._unreadable()
        # A file whose columns nobody knows by name keeps them under names of no use.
        names = [name or f"_{i}" for i, name in enumerate(self._layout.columns)]
        wanted = [name for name in names if name in _TYPES]
        try:
            return pcsv.read_csv(
                pa.BufferReader(text or b"\n"),
                read_options=pcsv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
                convert_options=pcsv.ConvertOptions(
                    column_types={name: _TYPES[name] for name in wanted},
                    include_columns=wanted,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                    true_values=["True", "true", "TRUE"],
                    false_values=["False", "false", "FALSE"],
                ),
            )
        except pa.ArrowException as error:
            raise self._unreadable() from error

    def _has_hexadecimal(self, text: bytes) -> bool:
        """Whether a whole number is written as `0x10`, which Arrow reads as 16."""
        if b"0x" not in text and b"0X" not in text:
            return False
        whole = [i for i, name in enumerate(self._layout.columns) if _TYPES.get(name) == pa.int64()]
        rows = [_cells(line) for line in text.splitlines() if b"0x" in line.lower()]
        return any("x" in cells[i].lower() for cells in rows for i in whole if i < len(cells))

    def _data_lines(self, text: bytes) -> Iterator[bytes]:
        """The lines of these but headers: files that were joined hold several."""
        for number, line in enumerate(text.splitlines(keepends=True), self._lines_before + 1):
            if line[:1].isdigit() or not line.strip():
                yield line
                continue
            cells = _cells(line)
            if not _is_header(cells):
                yield line
            elif tuple(_BY_NAME.get(_plain(c), "") for c in cells) != self._layout.columns:
                raise BadFile(f"{self._path} line {number}: a second header orders the columns otherwise")

    def _refusal(self, error: MarketError) -> BadFile:
        said = f"{error.text!r} {error.reason}" if isinstance(error, BadNumber) else str(error)
        return self._bad(getattr(error, "row", None) or 0, said)

    def _bad(self, row: int, reason: str) -> BadFile:
        """What is wrong with a row of these, with its line."""
        for number, line in enumerate(self._text.splitlines(), self._lines_before + 1):
            if line.strip() and not (self._layout.header is not None and _is_header(_cells(line))):
                if row == 0:
                    return BadFile(f"{self._path} line {number}: {reason}")
                row -= 1
        return BadFile(f"{self._path}: {reason}")

    def _unreadable(self) -> BadFile:
        """The first line that is no trade."""
        columns = self._layout.columns
        for number, line in enumerate(self._text.splitlines(), self._lines_before + 1):
            if not line.strip() or _is_header(_cells(line)):
                continue
            cells = _cells(line)
            if len(cells) != len(columns):
                said = f"{len(columns)} columns were expected, it has {len(cells)}: {_shown(line)}"
                return BadFile(f"{self._path} line {number} does not hold aggTrades: {said}")
            for name, cell in zip(columns, cells, strict=True):
                kind = _TYPES.get(name)
                fits = re.fullmatch(r"-?[0-9]{1,18}", cell) if kind == pa.int64() else cell.lower() in _TRUTHS
                if cell and kind not in (None, pa.string()) and not fits:
                    said = f"{name} is {cell[:40]!a}"
                    return BadFile(f"{self._path} line {number} does not hold aggTrades: {said}")
        return BadFile(f"{self._path} does not hold aggTrades; download it again")
