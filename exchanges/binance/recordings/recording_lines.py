"""
The lines of a recording: when a message came, and the message. `<receive time> <message>`, plain, gzip or zip.

A receive time is a number of s, ms, µs or ns since 1970, whichever fits its size, with or without decimals, and a colon
may follow it. Lines of connection, subscription and settings, as some recorders write them, are skipped.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from exchanges.binance.recordings.recording_addresses import NO_ADDRESS, Address, address_of
from exchanges.errors import BadFile
from exchanges.packed_files import TruncatedFile, open_unpacked

_MAX_LINE_BYTES = 16 * 1024**2  # a book of 5000 levels takes 300 kB
_MAX_BLANK = 100_000  # lines in a row
_EXCERPT_BYTES = 4096  # kept of a line that cannot be used
_STAMP = rb"([0-9]{10,19})(?:\.([0-9]{1,18}))?"
_LINE = re.compile(_STAMP + rb"[:,;|]?\s+(.*)", re.S)
_CONNECTION = re.compile(rb"([a-z]{2,5}://\S{1,65536}) (<->|<-|->) (.*)", re.S)
_SETTINGS = b"configuration: "  # of the recorder, in the first line
_MARK = b"\xef\xbb\xbf"  # of byte order; in the middle where files were joined
_MAX_TIME_NS = 2**62  # in 2116: sums with a time still fit 64 bits
# Least number of a stamp in ns, µs, ms and s, and its nanoseconds.
_UNITS = ((10**18, 1), (10**15, 10**3), (10**12, 10**6), (10**9, 10**9))


class Line(NamedTuple):
    """
    A line of a recording.

    Attributes:
        number: from 1.
        recv_ns: when the message came; of a faulty line the time of the line before.
        message: without receive time and address.
        fault: why the line cannot be used, else empty.
        address: that stands before the message.
    """

    number: int
    recv_ns: int
    message: bytes
    fault: str = ""
    address: Address = NO_ADDRESS


class RecordedLines:
    """
    The lines of one recording; each iteration reads the file again.

    Args:
        path: of the recording, plain, gzip or zip.
        on_read: called with the number of bytes read from disk since its last call.

    Attributes:
        truncation: how the file ends within a line, as it does when its recorder was killed; empty where it does not.
            Valid after an iteration to the end.
    """

    def __init__(self, path: Path, on_read: Callable[[int], None] = lambda _: None) -> None:
        self.path = path
        self.truncation = ""
        self._on_read = on_read

    def __iter__(self) -> Iterator[Line]:
        """
        Read all lines but blank ones and those of connections.

        Raises:
            BadFile: the file cannot be read, does not start with a line of a recording, or is of a futures market.
        """
        self.truncation = ""
        number = previous_ns = blank = 0
        with open_unpacked(self.path, on_read=self._on_read) as (_, stream):
            while raw := self._next(stream, number):
                number += 1
                text = raw.strip().removeprefix(_MARK)
                blank = 0 if text else blank + 1
                if blank > _MAX_BLANK:
                    raise BadFile(f"{self.path}: the lines before {number} are blank; it is no recording")
                has_newline = raw.endswith(b"\n")
                if len(raw) > _MAX_LINE_BYTES:
                    size, has_newline = len(raw) + _rest_of_line(stream), True
                    fault = f"line {number} is longer than {_MAX_LINE_BYTES:,} bytes: {size:,}"
                    line: Line | None = Line(number, previous_ns, text[:_EXCERPT_BYTES], fault)
                else:
                    line = self._line_of(number, text)
                if line is None:
                    continue
                if (line.fault and not has_newline) or (not has_newline and not _is_json(line.message)):
                    self.truncation = f"line {number} is torn at the end of the file: {_excerpt(text)}"
                    return
                if line.fault and previous_ns == 0:
                    raise BadFile(f"{self.path} line {number} is not `<receive time> <message>`: {_excerpt(text)}")
                if not line.fault:
                    previous_ns = line.recv_ns
                yield line if line.recv_ns else line._replace(recv_ns=previous_ns)

    def _next(self, stream: IO[bytes], number: int) -> bytes:
        try:
            return stream.readline(_MAX_LINE_BYTES + 1)
        except TruncatedFile:
            if number == 0:
                raise
            self.truncation = f"the file ends within its packing, after line {number}"
            return b""

    def _line_of(self, number: int, text: bytes) -> Line | None:
        """Parse a line, None where it is not about the market."""
        if not text or text.startswith(_SETTINGS):
            return None
        connection, rest, address = _CONNECTION.match(text), text, NO_ADDRESS
        if connection is not None:
            address = address_of(connection[1])
            if address.other_market:
                problem = f"its address {_excerpt(connection[1])} is of {address.other_market}, which is not spot"
                raise BadFile(f"{self.path} line {number}: {problem}; record the spot streams")
            if connection[2] != b"->":
                return None
            rest = connection[3]
        match = _LINE.match(rest)
        recv_ns = None if match is None else _time_ns(match[1], match[2] or b"")
        if match is None or recv_ns is None:
            return Line(
                number, 0, text[:_EXCERPT_BYTES], f"line {number} is not `<receive time> <message>`: {_excerpt(text)}"
            )
        return Line(number, recv_ns, match[3], address=address)


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """
    Read receive time (ns) and message of each line.

    Raises:
        BadFile: it cannot be read, or a line is not one of a recording.
    """
    for line in RecordedLines(path):
        if line.fault:
            raise BadFile(f"{path}: {line.fault}")
        yield line.recv_ns, line.message


def _time_ns(integer: bytes, fraction: bytes) -> int | None:
    """A receive time (ns), None for a number that cannot be one."""
    number = int(integer)
    unit = next((unit for minimum, unit in _UNITS if number >= minimum), 0)
    if not unit or (unit > 1 and number >= 5 * 10**18 // unit):  # between two units: a torn number
        return None
    time_ns = number * unit + int(fraction or b"0") * unit // 10 ** len(fraction)
    return time_ns if time_ns <= _MAX_TIME_NS else None


def _rest_of_line(stream: IO[bytes]) -> int:
    size = 0
    while part := stream.readline(_MAX_LINE_BYTES):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size


def _is_json(message: bytes) -> bool:
    try:
        msgspec.json.decode(message, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _excerpt(text: bytes) -> str:
    return ascii(text[:40].decode("utf-8", "replace"))
