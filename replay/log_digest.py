"""
The digest of a stretch of log: the same however it was cut into segments and wherever it is stored.
"""

from hashlib import blake2b
from itertools import chain

import numpy as np

from eventlog.facts import AGG_TRADE, INSTRUMENT, SNAPSHOT, TICK
from eventlog.log import Log

_COLUMNS = {
    AGG_TRADE: ("recv_ns", "trade_time_ns", "agg_id", "price_e8", "quantity_e8", "buyer_is_maker"),
    TICK: ("recv_ns", "boundary_ns", "interval_ns"),
    SNAPSHOT: ("recv_ns", "request_ns", "last_update_id"),
    INSTRUMENT: ("tick_size_e8",),
}


def log_digest(log: Log, after_seq: int, until_seq: int) -> str:
    """BLAKE2b over the columns that can decide a replay, earlier grids included; one running digest a column."""
    running = {(kind, name): blake2b(digest_size=16) for kind, names in _COLUMNS.items() for name in ("seq", *names)}
    grids = log.read(0, after_seq, [INSTRUMENT], _COLUMNS)
    for batch in chain(grids, log.read(after_seq, until_seq, list(_COLUMNS), _COLUMNS)):
        for kind, rows in batch.rows.items():
            for name in ("seq", *_COLUMNS[kind]):
                running[kind, name].update(np.ascontiguousarray(rows[name]).data)
    whole = blake2b(digest_size=16)
    for key in sorted(running):
        whole.update(running[key].digest())
    return whole.hexdigest()
