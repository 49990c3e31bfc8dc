"""
Binance's own archive files of aggTrades (data.binance.vision): a zip with one CSV, or the CSV itself, or gzip.

Source: binance-public-data README. Spot files have no header; timestamps are microseconds from 2025-01-01 on. Files
that other programs rewrote have headers, byte order marks, quotes; columns are then read by their names.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from eventlog.transfer.imported_trades import ImportedTrades, QuantityTooLarge, concatenate
from exchanges.binance.archives.archive_names import find_symbol
from exchanges.binance.archives.archive_rows import MAX_LINE_BYTES, Layout, find_layout, parse_trades
from exchanges.errors import BadFile
from exchanges.packed_files import open_unpacked
from market.fixed_point import DECIMALS

_BLOCK_BYTES = 16 * 1024**2  # parsed at once; bounds the memory of an import

_FUTURES_NOTE = (
    "it has no column is_best_match, which Binance's spot archives have and its futures archives, of the same names, "
    "have not: make sure that it is of the spot market"
)


class Archive:
    """
    One archive file.

    Args:
        path: of the zip, CSV or gzip.
        symbol: that the file must be of, as far as its name tells; None takes any.
        on_read: called with the number of bytes read from disk since its last call.

    Raises:
        BadFile: its name says that it is of another symbol, or it does not match the checksum file beside it.
    """

    def __init__(self, path: Path, symbol: str | None = None, on_read: Callable[[int], None] = lambda _: None) -> None:
        self.path = path
        self._on_read = on_read
        self._symbol = symbol
        self._lacks_best_match = False
        self._is_named = False
        self._expect_symbol(path.name)
        _expect_checksum(path)

    def blocks(self, decimals: int) -> Iterator[ImportedTrades]:
        """
        Parse the rows of the file, block by block from the first on.

        Args:
            decimals: quantities come out in counts of 10^-decimals.

        Raises:
            BadFile: missing, cut short, not a zip or CSV of aggTrades, or a row with an impossible number or time; the
                message names the line. QuantityTooLarge: a quantity does not fit 64 bits with these decimals.
        """
        rows = line = 0
        layout: Layout | None = None
        with open_unpacked(self.path, ".csv", self._on_read) as (name, stream):
            self._expect_symbol(name)
            for text in _read_line_blocks(self.path, stream):
                if layout is None:
                    layout = find_layout(self.path, text)
                    self._lacks_best_match = "best_match" not in layout.columns
                trades = parse_trades(self.path, text, layout, line, decimals)
                line += text.count(b"\n")
                if trades is not None:
                    rows += len(trades)
                    yield trades
        if rows == 0:
            raise BadFile(f"{self.path} {'is empty' if line == 0 else 'holds no trades'}; download it again")

    def notes(self) -> tuple[str, ...]:
        """Warnings for the user, one line each; complete once `blocks` is exhausted."""
        market_note = f"no name in it says of which market it is: taken for {self._symbol}, as --market says"
        return (
            *((_FUTURES_NOTE,) if self._lacks_best_match else ()),
            *((market_note,) if self._symbol is not None and not self._is_named else ()),
        )

    def _expect_symbol(self, name: str) -> None:
        file_symbol = find_symbol(name, self._symbol)
        self._is_named |= file_symbol is not None
        if file_symbol is not None and self._symbol is not None and file_symbol != self._symbol:
            hint = "check --market, or rename the file if its name is wrong"
            raise BadFile(f"{name} is of {file_symbol}, the market is {self._symbol}; {hint}")


def read_agg_trades(path: Path, quantity_decimals: int = DECIMALS) -> ImportedTrades:
    """
    Read every row of an archive file at once; see `Archive.blocks`.

    Raises:
        BadFile: it cannot be read.
    """
    try:
        return concatenate(list(Archive(path).blocks(quantity_decimals)))
    except QuantityTooLarge as error:
        raise BadFile(str(error)) from error


def _expect_checksum(path: Path) -> None:
    """Binance publishes `<name>.CHECKSUM` beside each file; where it was downloaded too, it must agree."""
    checksum_path = path.with_name(path.name + ".CHECKSUM")
    try:
        if not checksum_path.is_file() or not path.is_file():
            return
        with open(checksum_path, "rb") as file:
            words = file.read(1 << 12).decode(errors="replace").split()
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadFile(f"cannot read {checksum_path}: {error.strerror or error}") from error
    if not words or words[0].lower() != digest:
        raise BadFile(f"{path} does not match {checksum_path.name}; download it again")


def _read_line_blocks(path: Path, stream: IO[bytes]) -> Iterator[bytes]:
    """The text in blocks of complete lines, each ending in a line end."""
    rest, line = b"", 1
    while True:
        data = stream.read(_BLOCK_BYTES)
        text = rest + data
        end = text.rfind(b"\n") + 1 if data else len(text)
        if len(text) - end > MAX_LINE_BYTES:
            raise BadFile(f"{path} line {line + text.count(bytes([10]))} is longer than any trade; it is no CSV")
        if text[:end].strip():
            yield text[:end] if text[:end].endswith(b"\n") else text[:end] + b"\n"
        line += text[:end].count(b"\n")
        rest = text[end:]
        if not data:
            return
