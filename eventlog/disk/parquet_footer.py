"""
A reader of the footer of a Parquet file, without Arrow.

Arrow ends the whole process where it is asked about a column whose statistics are damaged; here that is an error.
The footer is one struct of Thrift's compact protocol; its field ids are Parquet's (parquet.thrift).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

MAX_BYTES = 4 * 1024 * 1024
"""The longest footer: a column takes some hundred bytes for every million rows."""

_MAGIC = b"PAR1"
_TAIL = 8  # the footer's length and the magic
_MAX_DEPTH = 16  # of nested structs and lists; bounds the recursion
_BYTE_ARRAY = 6  # physical type in the Parquet format

_STOP, _TRUE, _FALSE = 0, 1, 2  # types of fields in Thrift's compact protocol
_ONE_BYTE = (1, 2, 3)  # types of one byte: booleans as elements, and bytes
_INTEGERS = (4, 5, 6)  # of 16, 32 and 64 bits
_DOUBLE, _BINARY, _MAP, _STRUCT = 7, 8, 11, 12  # the same
_SEQUENCES = (9, 10)  # lists and sets


class Readable(Protocol):
    """An open file."""

    def size(self) -> int:
        """Its size in bytes."""

    def seek(self, position: int) -> int:
        """Move to a position, in bytes from its start."""

    def read(self, nbytes: int) -> bytes:
        """Read up to `nbytes` bytes; fewer at its end."""


class BadFooter(Exception):
    """There is no footer, or it is damaged; the message names the fault."""


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column in one group of rows.

    Attributes:
        path: its name, with dots where it is nested. values: number of values, of all lists together.
        unpacked_bytes: size of its pages before compression. is_text: whether each value has its own length.
    """

    path: str
    values: int
    unpacked_bytes: int
    is_text: bool


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A group of rows."""

    rows: int
    columns: tuple[Column, ...]


def row_groups(file: Readable) -> list[RowGroup]:
    """
    Read the row groups of a file.

    Raises:
        BadFooter: it has no readable footer. OSError: the file cannot be read.
    """
    size = file.size()
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or not 0 < length <= size - _TAIL - len(_MAGIC):
        raise BadFooter("it does not end as a Parquet file does")
    if length > MAX_BYTES:
        raise BadFooter(f"its footer has {length:,} bytes")
    file.seek(size - _TAIL - length)
    try:
        footer = _Compact(file.read(length)).struct()
        groups = list(_groups(footer))
        if _count(footer[3]) != sum(group.rows for group in groups):
            raise ValueError("it counts other rows than its groups")
        return groups
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BadFooter(f"its footer is damaged ({str(error)[:80]})") from error


def _groups(footer: dict[int, Any]) -> Iterator[RowGroup]:
    for group in footer[4]:
        row_group = RowGroup(_count(group[3]), tuple(_column(column[3]) for column in group[1]))
        if any(column.values != row_group.rows for column in row_group.columns if "." not in column.path):
            raise ValueError("its columns are not of one length")
        yield row_group


def _column(fields: dict[int, Any]) -> Column:
    path = ".".join(name.decode() for name in fields[3])
    return Column(path, _count(fields[5]), _count(fields[6]), fields[1] == _BYTE_ARRAY)


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{str(value)[:40]} is no count")
    return value


class _Compact:
    """A reader of Thrift's compact protocol: structs as fields by their ids."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._depth = 0

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        self._descend()
        while (head := self._byte()) != _STOP:
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._zigzag()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)
        self._depth -= 1
        return fields

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._zigzag()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct()
        if kind in _SEQUENCES:
            return self._list()
        if kind in _ONE_BYTE:
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _MAP:
            return self._map()
        raise ValueError(f"type {kind}")

    def _list(self) -> list[Any]:
        head = self._byte()
        count, kind = head >> 4, head & 15
        if count == 15:
            count = self._varint()
        return self._elements(count, kind)

    def _map(self) -> list[Any]:
        count = self._varint()
        if count == 0:
            return []
        kinds = self._byte()
        return [self._elements(1, kind) for _ in range(self._check_count(count)) for kind in (kinds >> 4, kinds & 15)]

    def _elements(self, count: int, kind: int) -> list[Any]:
        self._descend()
        values = [self._value(kind) for _ in range(self._check_count(count))]
        self._depth -= 1
        return values

    def _check_count(self, count: int) -> int:
        """Refuse more elements than bytes are left: an element takes at least one."""
        if count > len(self._data) - self._position:
            raise ValueError(f"{count} elements")
        return count

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError("too deep")

    def _byte(self) -> int:
        value = self._data[self._position]
        self._position += 1
        return value

    def _bytes(self, count: int) -> bytes:
        value = self._data[self._position : self._position + self._check_count(count)]
        self._position += count
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number without an end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
