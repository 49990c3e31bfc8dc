"""
Small JSON files that carry a checksum over their fields.
"""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eventlog.disk.files import read_plain
from eventlog.errors import LogBroken

MAX_BYTES = 64 * 1024 * 1024
"""The longest such file: a catalogue of fifty years of days is smaller."""

CHECKSUM = "checksum"
"""The field that holds the checksum of the others."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
_Body = TypeVar("_Body", bound=msgspec.Struct)


def seal(body: msgspec.Struct) -> bytes:
    """Encode a body as the bytes of its file, checksum included."""
    return seal_fields(msgspec.to_builtins(body))


def seal_fields(fields: Mapping[str, Any]) -> bytes:
    """Encode fields as the bytes of their file, checksum included."""
    return msgspec.json.format(msgspec.json.encode({**fields, CHECKSUM: _checksum(fields)}), indent=1)


def read_sealed(path: Path, body: type[_Body], fix: str) -> _Body:
    """
    Read a body from its file; a file without a checksum, as earlier versions wrote it, is accepted.

    Args:
        path: of the file.
        body: the struct to decode into; other fields than its own are refused.
        fix: what a person should do about a damaged file, for the message.

    Raises:
        OSError: it cannot be read.
        LogBroken: it does not decode, or was changed since it was written.
    """
    data = read_plain(path, MAX_BYTES)
    try:
        if not is_intact(data, body.__struct_fields__):
            raise LogBroken(f"{path} was changed since it was written; {fix}")
        return msgspec.json.decode(data, type=body)
    except UNREADABLE as error:
        raise LogBroken(f"{path} is damaged ({str(error)[:120]}); {fix}") from error


def is_intact(data: bytes, field_names: Collection[str]) -> bool:
    """
    Whether the bytes of a file hold no other fields than those named, and match their checksum where they have one.

    Args:
        data: the bytes of the file. field_names: the allowed fields, checksum aside.

    Raises:
        One of `UNREADABLE`: it is no JSON object.
    """
    # Raw: decoded objects of an untrusted file could fill memory
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    checksum = fields.pop(CHECKSUM, None)
    if fields.keys() - set(field_names):
        return False
    return checksum is None or bool(msgspec.json.decode(checksum) == _checksum(fields))


def _checksum(fields: Mapping[str, Any]) -> str:
    compact = msgspec.json.format(msgspec.json.encode(fields), indent=-1)
    return blake2b(compact, digest_size=8).hexdigest()
