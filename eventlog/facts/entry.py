"""
A fact, the entry it becomes in the log, and the bases of their bodies.
"""

import msgspec


class Fact(msgspec.Struct, frozen=True, gc=False):
    """Something that happened, not yet numbered: its kind, when it reached us, its bytes."""

    kind: str
    recv_ns: int
    data: bytes


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A fact at its place in the log."""

    seq: int
    kind: str
    recv_ns: int
    data: bytes


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the bodies of our own kinds; written as JSON in field order."""

    def fact(self, kind: str, recv_ns: int) -> Fact:
        """This body as a fact of that kind."""
        return Fact(kind, recv_ns, msgspec.json.encode(self))


class Columns(msgspec.Struct, frozen=True):
    """Base of the columns that a mapper reads out of the venue's bytes; a declaration only, never instantiated."""
