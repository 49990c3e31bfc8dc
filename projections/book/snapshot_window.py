"""
The last book snapshots, one slot a minute.

A snapshot belongs to the minute in which it was requested; one that arrives after its tick still fills that slot.
Within a minute the one requested last stays, and of two requested at once the one with the larger update id.
"""

from dataclasses import dataclass

import numpy as np

from eventlog.facts.market import SNAPSHOT
from eventlog.store.batch import Batch, Rows
from market.arrays import I64
from market.timestamps import MINUTE_NS
from projections import digest


@dataclass(slots=True)
class Snapshot:
    """
    One book: k bid levels, best first, and j ask levels, best first, int64 prices and quantities.

    Attributes:
        limit: requested number of levels a side; a side that has fewer is complete, else it is cut off there.
    """

    seq: int
    request_ns: int
    response_ns: int
    last_update_id: int
    limit: int
    bid_price_e8: I64
    bid_quantity_e8: I64
    ask_price_e8: I64
    ask_quantity_e8: I64
    digest: bytes | None = None

    @property
    def minute_ns(self) -> int:
        """The minute it belongs to."""
        return self.request_ns - self.request_ns % MINUTE_NS

    @property
    def mid_e8(self) -> float | None:
        """Half-way between best bid and best ask; None where a side is empty."""
        if len(self.bid_price_e8) == 0 or len(self.ask_price_e8) == 0:
            return None
        return (int(self.bid_price_e8[0]) + int(self.ask_price_e8[0])) / 2


class SnapshotWindow:
    """
    The fold of snapshots.

    Args:
        slots: number of minutes that are kept, ending with the boundary of the last tick.
    """

    def __init__(self, slots: int = 60) -> None:
        self.slots = slots
        self.end_ns = 0
        self._by_minute: dict[int, Snapshot] = {}

    def apply(self, batch: Batch) -> None:
        """Apply a batch's snapshots."""
        rows = batch.rows.get(SNAPSHOT)
        if rows is not None:
            for row in range(rows.start, rows.stop):
                self._take(_snapshot(rows, row))

    def close(self, boundary_ns: int) -> None:
        """Close the window at a tick: it now ends with the slot of its boundary."""
        self.end_ns = max(self.end_ns, boundary_ns - boundary_ns % MINUTE_NS)
        for minute_ns in [m for m in self._by_minute if m <= self.end_ns - self.slots * MINUTE_NS]:
            del self._by_minute[minute_ns]

    def snapshots(self) -> list[Snapshot]:
        """The snapshots of the window, oldest first; a minute without one is left out."""
        oldest = self.end_ns - self.slots * MINUTE_NS
        return [self._by_minute[m] for m in sorted(self._by_minute) if oldest < m <= self.end_ns]

    def latest(self) -> Snapshot | None:
        """The newest snapshot of the window."""
        snapshots = self.snapshots()
        return snapshots[-1] if snapshots else None

    def digest(self) -> str:
        """The digest of every filled slot."""
        parts = [np.array([self.slots, self.end_ns], "<i8").tobytes()]
        for minute_ns in sorted(self._by_minute):
            snapshot = self._by_minute[minute_ns]
            if snapshot.digest is None:
                snapshot.digest = _digest_of(snapshot)
            parts.append(snapshot.digest)
        return digest.of_digests(parts).hex()

    def _take(self, snapshot: Snapshot) -> None:
        existing = self._by_minute.get(snapshot.minute_ns)
        rank = (snapshot.request_ns, snapshot.last_update_id)
        if existing is None or (existing.request_ns, existing.last_update_id) <= rank:
            self._by_minute[snapshot.minute_ns] = snapshot


def _snapshot(rows: Rows, row: int) -> Snapshot:
    columns = rows.columns
    return Snapshot(
        seq=int(columns["seq"][row]),
        request_ns=int(columns["request_ns"][row]),
        response_ns=int(columns["response_ns"][row]),
        last_update_id=int(columns["last_update_id"][row]),
        limit=int(columns["limit"][row]),
        bid_price_e8=columns.levels("bid_price_e8", row),
        bid_quantity_e8=columns.levels("bid_quantity_e8", row),
        ask_price_e8=columns.levels("ask_price_e8", row),
        ask_quantity_e8=columns.levels("ask_quantity_e8", row),
    )


def _digest_of(snapshot: Snapshot) -> bytes:
    head = [snapshot.seq, snapshot.request_ns, snapshot.response_ns, snapshot.last_update_id, snapshot.limit]
    return digest.of_columns(
        np.array(head, np.int64),
        snapshot.bid_price_e8,
        snapshot.bid_quantity_e8,
        snapshot.ask_price_e8,
        snapshot.ask_quantity_e8,
    )
