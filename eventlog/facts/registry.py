"""
All kinds by name, and the schemas and streams that follow from their declarations.
"""

import pyarrow as pa

from eventlog.facts.analysis import ANALYSIS_KINDS
from eventlog.facts.capture import CAPTURE_KINDS
from eventlog.facts.kind import Kind
from eventlog.facts.market import MARKET_KINDS
from eventlog.facts.model import MODEL_KINDS

KINDS: dict[str, Kind] = {kind.name: kind for kind in (*MARKET_KINDS, *CAPTURE_KINDS, *ANALYSIS_KINDS, *MODEL_KINDS)}

SCHEMAS: dict[str, pa.Schema] = {name: kind.schema() for name, kind in KINDS.items()}
"""The typed columns of every kind: what a reader gets, whether an entry came from the hot tail or from Parquet."""

STREAMS: tuple[str, ...] = tuple(dict.fromkeys(kind.stream for kind in KINDS.values()))
"""The logs that a market may have."""


def kinds_of(stream: str) -> tuple[str, ...]:
    """The names of the kinds that a stream may hold, in the order of their declarations."""
    return tuple(name for name, kind in KINDS.items() if kind.stream == stream)
