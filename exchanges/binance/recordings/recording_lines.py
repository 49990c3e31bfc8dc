"""
The lines of a recording: when a message came, and the message. `<receive time> <message>`, plain, gzip or zip.

A receive time is a whole number of s, ms, µs or ns since 1970, told by its size, or one with decimals, and a colon may
follow it. Lines of connection, subscription and settings, as some recorders write them, are passed over.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from exchanges.binance.recordings.recording_addresses import NO_ADDRESS, Address, address_of
from exchanges.errors import BadFile
from exchanges.packed_files import CutShort, unpacked

_LONGEST_LINE = 16 * 1024**2  # a book of 5000 levels takes 300 kB
_MAX_BLANK = 100_000  # lines in a row
_KEPT = 4096  # of a line nobody can use
_STAMP = rb"([0-9]{10,19})(?:\.([0-9]{1,18}))?"
_LINE = re.compile(_STAMP + rb"[:,;|]?\s+(.*)", re.S)
_CONNECTION = re.compile(rb"([a-z]{2,5}://\S{1,65536}) (<->|<-|->) (.*)", re.S)
_SETTINGS = b"configuration: "  # of the recorder, in the first line
_MARK = b"\xef\xbb\xbf"  # of byte order; in the middle where files were joined
_LATEST_NS = 2**62  # in 2116: what is added to a time still fits 64 bits
_UNITS = ((10**18, 1), (10**15, 10**3), (10**12, 10**6), (10**9, 10**9))


class Line(NamedTuple):
    """
    A line of a recording.

    Attributes:
        number: from 1. fault: why nobody can use it, else empty; its time is then that of the line before.
        address: what the address before the message says of it.
    """

    number: int
    recv_ns: int
    message: bytes
    fault: str = ""
    address: Address = NO_ADDRESS


class RecordedLines:
    """
    The lines of one recording, each time it is walked through.

    Attributes:
        torn: how the file ends within a line, as one does whose recorder was killed; empty where it does not. Right
            once the lines were walked through.
    """

    def __init__(self, path: Path, on_read: Callable[[int], None] = lambda _: None) -> None:
        self.path = path
        self.torn = ""
        self._on_read = on_read

    def __iter__(self) -> Iterator[Line]:
        """
        All lines but blank ones and those of connections.

        Raises:
            BadFile: the file cannot be read, starts with what is no line of a recording, or is of a futures market.
        """
        self.torn = ""
        number = before_ns = blank = 0
        with unpacked(self.path, on_read=self._on_read) as (_, stream):
            while raw := self._next(stream, number):
                number += 1
                text = raw.strip().removeprefix(_MARK)
                blank = 0 if text else blank + 1
                if blank > _MAX_BLANK:
                    raise BadFile(f"{self.path}: the lines before {number} are blank; it is no recording")
                ended = raw.endswith(b"\n")
                if len(raw) > _LONGEST_LINE:
                    size, ended = len(raw) + _rest_of_line(stream), True
                    fault = f"line {number} is longer than {_LONGEST_LINE:,} bytes: {size:,}"
                    line: Line | None = Line(number, before_ns, text[:_KEPT], fault)
                else:
                    line = self._line_of(number, text)
                if line is None:
                    continue
                if (line.fault and not ended) or (not ended and not _is_json(line.message)):
                    self.torn = f"line {number} is torn at the end of the file: {_shown(text)}"
                    return
                if line.fault and before_ns == 0:
                    raise BadFile(f"{self.path} line {number} is not `<receive time> <message>`: {_shown(text)}")
                if not line.fault:
                    before_ns = line.recv_ns
                yield line if line.recv_ns else line._replace(recv_ns=before_ns)

    def _next(self, stream: IO[bytes], number: int) -> bytes:
        try:
            return stream.readline(_LONGEST_LINE + 1)
        except CutShort:
            if number == 0:
                raise
            self.torn = f"the file ends within its packing, after line {number}"
            return b""

    def _line_of(self, number: int, text: bytes) -> Line | None:
        """What a line says, None where it says nothing of the market."""
        if not text or text.startswith(_SETTINGS):
            return None
        connection, rest, address = _CONNECTION.match(text), text, NO_ADDRESS
        if connection is not None:
            address = address_of(connection[1])
            if address.other_market:
                said = f"its address {_shown(connection[1])} is of {address.other_market}, which is not spot"
                raise BadFile(f"{self.path} line {number}: {said}; record the spot streams")
            if connection[2] != b"->":
                return None
            rest = connection[3]
        found = _LINE.match(rest)
        recv_ns = None if found is None else _time_ns(found[1], found[2] or b"")
        if found is None or recv_ns is None:
            return Line(number, 0, text[:_KEPT], f"line {number} is not `<receive time> <message>`: {_shown(text)}")
        return Line(number, recv_ns, found[3], address=address)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """
    Receive time (ns) and message of each line.

    Raises:
        BadFile: it cannot be read, or a line is none of a recording's.
    """
    for line in RecordedLines(path):
        if line.fault:
            raise BadFile(f"{path}: {line.fault}")
        yield line.recv_ns, line.message


def _time_ns(whole: bytes, fraction: bytes) -> int | None:
    """A receive time, None for a number that is none."""
    number = int(whole)
    unit = next((unit for least, unit in _UNITS if number >= least), 0)
    if not unit or (unit > 1 and number >= 5 * 10**18 // unit):  # between the ranges lies nothing: a torn number
        return None
    time_ns = number * unit + int(fraction or b"0") * unit // 10 ** len(fraction)
    return time_ns if time_ns <= _LATEST_NS else None


def _rest_of_line(stream: IO[bytes]) -> int:
    size = 0
    while piece := stream.readline(_LONGEST_LINE):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def _is_json(message: bytes) -> bool:
    try:
        msgspec.json.decode(message, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _shown(text: bytes) -> str:
    return ascii(text[:40].decode("utf-8", "replace"))
