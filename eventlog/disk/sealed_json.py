"""
Small JSON files that say of themselves whether they are as they were written: their fields and a checksum over them.
"""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eventlog.disk.files import read_plain
from eventlog.errors import LogBroken

MAX_BYTES = 64 * 1024 * 1024
"""Of a file of this kind: a catalogue of fifty years of days is smaller."""

CHECKSUM = "checksum"
"""The field that holds the checksum of the others."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
_Body = TypeVar("_Body", bound=msgspec.Struct)


def seal(body: msgspec.Struct) -> bytes:
    """A body as the bytes of its file."""
    return seal_fields(msgspec.to_builtins(body))


def seal_fields(fields: Mapping[str, Any]) -> bytes:
    """Fields as the bytes of their file."""
    return msgspec.json.format(msgspec.json.encode({**fields, CHECKSUM: _checksum(fields)}), indent=1)


def read_sealed(path: Path, body: type[_Body], mend: str) -> _Body:
    """
    A body from its file; one without a checksum, as earlier versions wrote it, is taken at its word.

    Args:
        mend: what a person does about a damaged one, for the message.

    Raises:
        OSError: it cannot be read.
        LogBroken: it is no such file, or was changed since it was written.
    """
    data = read_plain(path, MAX_BYTES)
    try:
        if not is_as_written(data, body.__struct_fields__):
            raise LogBroken(f"{path} was changed since it was written; {mend}")
        return msgspec.json.decode(data, type=body)
    except UNREADABLE as error:
        raise LogBroken(f"{path} is damaged ({str(error)[:120]}); {mend}") from error


def is_as_written(data: bytes, known: Collection[str]) -> bool:
    """
    Whether the bytes of a file hold known fields alone, and the checksum that they were written with, if any.

    Raises:
        One of `UNREADABLE`: it is no JSON of fields.
    """
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])  # objects of what is foreign could fill memory
    checksum = fields.pop(CHECKSUM, None)
    if fields.keys() - set(known):
        return False
    return checksum is None or bool(msgspec.json.decode(checksum) == _checksum(fields))


def _checksum(fields: Mapping[str, Any]) -> str:
    compact = msgspec.json.format(msgspec.json.encode(fields), indent=-1)
    return blake2b(compact, digest_size=8).hexdigest()
