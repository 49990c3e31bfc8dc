"""
Binance's own archive files of aggTrades (data.binance.vision): a zip with one CSV, or the CSV itself, or gzip.

Source: binance-public-data README. Spot files have no header; timestamps are microseconds from 2025-01-01 on. Files
that went through other hands have headers, byte order marks, quotes; columns are then read by their names.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from eventlog.transfer.imported_trades import ImportedTrades, QuantityTooLarge, concatenate
from exchanges.binance.archives.archive_names import symbol_in
from exchanges.binance.archives.archive_rows import LONGEST_LINE, Layout, layout_of, trades_of
from exchanges.errors import BadFile
from exchanges.packed_files import unpacked
from market.fixed_point import DECIMALS

_BLOCK_BYTES = 16 * 1024**2

_LIKE_FUTURES = (
    "it has no column is_best_match, which Binance's spot archives have and its futures archives, of the same names, "
    "have not: make sure that it is of the spot market"
)


class Archive:
    """
    One archive file.

    Args:
        symbol: that it must be of, as far as its name says; None takes any. on_read: told how many bytes were read.

    Raises:
        BadFile: its name says that it is of another symbol, or it differs from the checksum beside it.
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
        The rows of the file from the first on.

        Args:
            decimals: in counts of 10^-decimals quantities come.

        Raises:
            BadFile: missing, cut short, not a zip or CSV of aggTrades, or a row with a number or a time nobody can
                mean; the message names the line. QuantityTooLarge: they do not fit so many decimals.
        """
        rows = line = 0
        layout: Layout | None = None
        with unpacked(self.path, ".csv", self._on_read) as (name, stream):
            self._expect_symbol(name)
            for text in _whole_lines(self.path, stream):
                if layout is None:
                    layout = layout_of(self.path, text)
                    self._lacks_best_match = "best_match" not in layout.columns
                trades = trades_of(self.path, text, layout, line, decimals)
                line += text.count(b"\n")
                if trades is not None:
                    rows += len(trades)
                    yield trades
        if rows == 0:
            raise BadFile(f"{self.path} {'is empty' if line == 0 else 'holds no trades'}; download it again")

    def notes(self) -> tuple[str, ...]:
        """What a person must know of it, a line each, once it was read."""
        unnamed = f"no name in it says of which market it is: taken for {self._symbol}, as --market says"
        return (
            *((_LIKE_FUTURES,) if self._lacks_best_match else ()),
            *((unnamed,) if self._symbol is not None and not self._is_named else ()),
        )

    def _expect_symbol(self, name: str) -> None:
        found = symbol_in(name, self._symbol)
        self._is_named |= found is not None
        if found is not None and self._symbol is not None and found != self._symbol:
            way_on = "check --market, or rename the file if its name is wrong"
            raise BadFile(f"{name} is of {found}, the market is {self._symbol}; {way_on}")


def read_agg_trades(path: Path, quantity_decimals: int = DECIMALS) -> ImportedTrades:
    """
    Every row of an archive file at once; see `Archive.blocks`.

    Raises:
        BadFile: it cannot be read.
    """
    try:
        return concatenate(list(Archive(path).blocks(quantity_decimals)))
    except QuantityTooLarge as error:
        raise BadFile(str(error)) from error


def _expect_checksum(path: Path) -> None:
    """Binance publishes `<name>.CHECKSUM` beside each file; where it was kept, it must agree."""
    beside = path.with_name(path.name + ".CHECKSUM")
    try:
        if not beside.is_file() or not path.is_file():
            return
        with open(beside, "rb") as file:
            words = file.read(1 << 12).decode(errors="replace").split()
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadFile(f"cannot read {beside}: {error.strerror or error}") from error
    if not words or words[0].lower() != found:
        raise BadFile(f"{path} does not match {beside.name}; download it again")


def _whole_lines(path: Path, stream: IO[bytes]) -> Iterator[bytes]:
    """The text in blocks of whole lines, each ending in a line end."""
    rest, line = b"", 1
    while True:
        piece = stream.read(_BLOCK_BYTES)
        text = rest + piece
        cut = text.rfind(b"\n") + 1 if piece else len(text)
        if len(text) - cut > LONGEST_LINE:
            raise BadFile(f"{path} line {line + text.count(bytes([10]))} is longer than any trade; it is no CSV")
        if text[:cut].strip():
            yield text[:cut] if text[:cut].endswith(b"\n") else text[:cut] + b"\n"
        line += text[:cut].count(b"\n")
        rest = text[cut:]
        if not piece:
            return
