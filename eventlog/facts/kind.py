"""
The declaration of a kind of fact: from it come its table's schema, who decodes it, and what proofs read of it.

Adding a kind takes a struct, a `Kind` and its place in the `…_KINDS` of one of the modules of this folder; table, SQL
view, export, checks follow.
Beside that: whoever writes the fact; for `Columns` a decoder in the exchange's mapper (`Exchange.decoders`); where a
fold reads it, `STATE_KINDS` and `READS` in `projections/state.py`; an example in `tests/builders.py`, which a test asks
for; a line in `docs/capture.md` and `docs/research.md`.

Adding a column to a kind that is in logs already takes a field at the end that may be None, and the next `version`:
rows from before have null there.
"""

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pyarrow as pa

from eventlog.facts.entry import Body

EVENTS = "events"
"""The stream of what happened on a market."""
DECISIONS = "decisions"
"""The stream of the analyses and recommendations."""

_TYPES = {int: pa.int64(), str: pa.string(), bool: pa.bool_(), bytes: pa.binary()}


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One kind of fact.

    Attributes:
        name: as it is stored; it never changes.
        body: the struct whose fields are the columns, in order, behind seq and recv_ns. A `Body` is what is stored, as
            JSON, and decoded by the log itself; `Columns` are what the venue's mapper reads out of the venue's bytes.
        stream: which log of a market holds it.
        version: of the columns, from 1.
        check_columns: columns that `liquidity log check` reads, by name; empty for none.
        coverage_columns: columns that coverage is worked out from, None for a kind that proves nothing about coverage.
    """

    name: str
    body: type[msgspec.Struct]
    stream: str
    version: int = 1
    check_columns: tuple[str, ...] = ()
    coverage_columns: tuple[str, ...] | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the log decodes it, rather than the venue's mapper."""
        return issubclass(self.body, Body)

    def schema(self) -> pa.Schema:
        """The schema of its table: seq, recv_ns, then the fields of its body."""
        hints = get_type_hints(self.body)
        fields = [pa.field("seq", pa.int64(), nullable=False), pa.field("recv_ns", pa.int64(), nullable=False)]
        return pa.schema([*fields, *(_field(name, hints[name]) for name in self.body.__struct_fields__)])


def _field(name: str, hint: Any) -> pa.Field:
    types = set(get_args(hint)) if isinstance(hint, UnionType) else {hint}
    (value_type,) = types - {NoneType}
    return pa.field(name, _type(value_type), nullable=NoneType in types)


def _type(hint: Any) -> pa.DataType:
    if get_origin(hint) is Literal:
        return pa.string()
    if get_origin(hint) is list:
        (element_type,) = get_args(hint)
        return pa.list_(pa.field("element", _TYPES[element_type], nullable=False))
    return _TYPES[hint]
