"""
The digest of a stretch of log, which does not depend on its segments or on where it is stored.
"""

from collections import defaultdict
from hashlib import blake2b
from itertools import chain

import numpy as np
import pyarrow as pa

from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.store.batch import Rows
from eventlog.store.log import Log

_SIDES = ("bid_price_e8", "bid_quantity_e8", "ask_price_e8", "ask_quantity_e8")
_COLUMNS = {
    AGG_TRADE: ("recv_ns", "trade_time_ns", "agg_id", "price_e8", "quantity_e8", "buyer_is_maker"),
    TICK: ("recv_ns", "boundary_ns", "interval_ns", "trades", "depth"),
    SNAPSHOT: ("recv_ns", "request_ns", "last_update_id", *_SIDES),
    DIFF: ("event_time_ns", "first_update_id", "last_update_id", *_SIDES),
    INSTRUMENT: ("tick_size_e8", "quantity_decimals", "status"),
}


def _new_digest() -> blake2b:
    return blake2b(digest_size=16)


def log_digest(log: Log, after_seq: int, until_seq: int) -> str:
    """
    BLAKE2b over the columns that can affect a replay, one running digest for each column, two for a column of lists.

    Args:
        log: the market log.
        after_seq: the stretch begins after this seq; grids (tick sizes) before it are included.
        until_seq: its last seq.
    """
    running: defaultdict[tuple[str, str], blake2b] = defaultdict(_new_digest)
    grids = log.read(0, after_seq, [INSTRUMENT], _COLUMNS)
    for batch in chain(grids, log.read(after_seq, until_seq, list(_COLUMNS), _COLUMNS)):
        for kind, rows in batch.rows.items():
            for name in ("seq", *_COLUMNS[kind]):
                for part, content in _bytes_of(rows, name).items():
                    running[kind, name + part].update(content)
    total = blake2b(digest_size=16)
    for key in sorted(running):
        total.update(repr(key).encode() + running[key].digest())
    return total.hexdigest()


def _bytes_of(rows: Rows, name: str) -> dict[str, bytes | memoryview]:
    """A column's values as bytes that do not depend on how the rows were batched; of lists also their lengths."""
    column = rows.columns.table.schema.field(name)
    if pa.types.is_string(column.type):
        return {"": b"".join(str(value).encode() + b"\0" for value in rows[name])}
    if pa.types.is_list(column.type):
        offsets, values = rows.columns.flatten(name)
        own = offsets[rows.start : rows.stop + 1]
        return {"": values[own[0] : own[-1]].data, " length": np.diff(own).data}
    return {"": np.ascontiguousarray(rows[name]).data}
