"""
From entries as bytes to columns: our own kinds here, the venue's through its mapper.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import pyarrow as pa

from eventlog.errors import BadEntry
from eventlog.facts.entry import Entry
from eventlog.facts.registry import KINDS, SCHEMAS

Decode = Callable[[Sequence[Entry]], pa.Table]
"""Turns entries of one kind, in seq order, into a table of that kind's schema; raises BadEntry."""


def decode_entries(entries: Sequence[Entry], venue_decoders: Mapping[str, Decode]) -> dict[str, pa.Table]:
    """
    Decode entries of any kinds into one table per kind, rows in seq order.

    Args:
        entries: in seq order.
        venue_decoders: for a kind of the venue, the mapper's function that decodes it; our own kinds need none.

    Raises:
        BadEntry: an entry does not decode; the message names its seq.
    """
    by_kind: dict[str, list[Entry]] = {}
    for entry in entries:
        by_kind.setdefault(entry.kind, []).append(entry)
    return {kind: _decode(rows, venue_decoders.get(kind) or decode_own) for kind, rows in by_kind.items()}


def _decode(entries: Sequence[Entry], decode: Decode) -> pa.Table:
    try:
        return decode(entries)
    except BadEntry as error:
        row = getattr(error, "row", None)  # a mapper names the index among its entries, not the seq
        if row is None:
            raise
        raise BadEntry(f"seq {entries[row].seq}: not a {entries[row].kind}: {error}") from error


def decode_own(entries: Sequence[Entry]) -> pa.Table:
    """
    Decode entries of one of our own kinds, at least one, into its table.

    Raises:
        BadEntry: the kind is unknown, or an entry does not decode; the message names its seq.
    """
    kind = entries[0].kind
    declaration = KINDS.get(kind)
    if declaration is None or not declaration.is_ours:
        raise BadEntry(f"seq {entries[0].seq}: kind {kind!r} is unknown here; was it written by a newer version?")
    decoder = msgspec.json.Decoder(declaration.body)
    bodies = []
    for entry in entries:
        try:
            bodies.append(decoder.decode(entry.data))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadEntry(f"seq {entry.seq}: not a {kind}: {error}") from error
    return table_of(kind, entries, {name: [getattr(b, name) for b in bodies] for name in SCHEMAS[kind].names[2:]})


def table_of(kind: str, entries: Sequence[Entry], columns: Mapping[str, object]) -> pa.Table:
    """
    Build a kind's table from its entries and the columns that were decoded from their bytes.

    Args:
        kind: a name in `SCHEMAS`.
        entries: n entries of that kind; seq and recv_ns are taken from them.
        columns: n values for each further column of the schema, as an Arrow array or a sequence.
    """
    schema = SCHEMAS[kind]
    arrays = [
        pa.array([e.seq for e in entries], pa.int64()),
        pa.array([e.recv_ns for e in entries], pa.int64()),
    ]
    for field in list(schema)[2:]:
        column = columns[field.name]
        arrays.append(column if isinstance(column, pa.Array) else pa.array(column, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
