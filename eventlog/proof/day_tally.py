"""
Counts of what arrived in one day: the part of a certificate that needs only the day's own entries.
"""

from collections import Counter
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from eventlog.facts.capture import BOOK_AUDIT, BOOK_RESET, QUARANTINE, SESSION, TICK
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.proof.chains import FIRST, FIRST_ID, LAST, LAST_ID, TradeChain, UpdateChain
from market.ranges import Range
from market.timestamps import MINUTE_NS, iso

_REPAIR_SOURCES = ("rest", "archive")  # trades that a request or a file brought, not the stream


class Trades(msgspec.Struct, frozen=True):
    """
    The trades that arrived.

    Attributes:
        agg_ids, trade_ids: runs without a gap, and the trade ids that each run holds without a gap.
        sources: number of trades by source. repaired: runs of agg ids that a file or a request brought, by source.
    """

    count: int
    agg_ids: list[Range]
    trade_ids: list[Range]
    sources: dict[str, int]
    repaired: dict[str, list[Range]]


class Updates(msgspec.Struct, frozen=True):
    """The book updates that arrived: runs of update ids U to u, in which each update follows the one before."""

    count: int
    chained: list[Range]


class Book(msgspec.Struct, frozen=True):
    """The book's health: findings of its audits, summed over the day, and time and cause of its resets."""

    snapshots: int
    audits: int
    unhealthy: int
    missing: int
    ghost: int
    wrong_size: int
    resets: list[tuple[str, str]]


class DayTally:
    """Counts the entries of one day; add tables in seq order per kind."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.first_seq: int | None = None
        self.last_seq: int | None = None
        self.quarantine_reasons: Counter[str] = Counter()
        self.sessions: Counter[str] = Counter()
        self.disconnects: list[tuple[str, str]] = []
        self.recorded_by: set[str] = set()
        self.chain = TradeChain()
        self.starts: list[int] = []  # seqs at which a recorder started: updates before it were not received
        self.resets: list[Range] = []
        self.interval_ns = MINUTE_NS
        self._offsets_ns: list[int] = []
        self._updates = UpdateChain()
        self._sources: Counter[str] = Counter()
        self._repair_chains = {source: TradeChain() for source in _REPAIR_SOURCES}
        self._audits: Counter[str] = Counter()
        self._resets: list[tuple[str, str]] = []

    def add(self, kind: str, table: pa.Table) -> None:
        """Add rows of one kind."""
        if table.num_rows == 0:
            return
        self.kinds[kind] += table.num_rows
        seqs = pc.min_max(table.column("seq")).as_py()
        self.first_seq = seqs["min"] if self.first_seq is None else min(self.first_seq, seqs["min"])
        self.last_seq = seqs["max"] if self.last_seq is None else max(self.last_seq, seqs["max"])
        if "offset_ns" in table.column_names:
            self._offsets_ns += table.column("offset_ns").drop_null().to_pylist()
        if kind == AGG_TRADE:
            self._add_trades(table)
        elif kind == DIFF:
            names = ("seq", "first_update_id", "last_update_id", "recv_ns")
            self._updates.add(*(table.column(n).to_numpy() for n in names))
        elif kind == QUARANTINE:
            self.quarantine_reasons.update(reason.partition(":")[0] for reason in table.column("reason").to_pylist())
        elif kind == SESSION:
            self._add_sessions(table.to_pylist())
        elif kind == BOOK_AUDIT:
            self._audits["unhealthy"] += pc.sum(pc.invert(table.column("healthy"))).as_py()
            self._audits.update({n: pc.sum(table.column(n)).as_py() for n in ("missing", "ghost", "wrong_size")})
        elif kind == TICK:
            self.interval_ns = pc.min(table.column("interval_ns")).as_py()
        elif kind == BOOK_RESET:
            rows = table.to_pylist()
            self._resets += [(iso(row["recv_ns"]), row["cause"]) for row in rows]
            self.resets += [(row["first_missing"], row["last_missing"]) for row in rows]

    def trades(self) -> Trades:
        """Summarise the trades so far."""
        runs = self.chain.runs()
        repairs = {source: _ranges(chain.runs(), FIRST, LAST) for source, chain in self._repair_chains.items()}
        return Trades(
            self.kinds[AGG_TRADE],
            _ranges(runs, FIRST, LAST),
            _ranges(runs, FIRST_ID, LAST_ID),
            dict(sorted(self._sources.items())),
            {source: ranges for source, ranges in repairs.items() if ranges},
        )

    def updates(self) -> Updates:
        """Summarise the book updates so far."""
        return Updates(self.kinds[DIFF], _ranges(self._updates.runs(), 0, 1))

    def book(self) -> Book:
        """Summarise the book's health so far."""
        audits = self._audits
        numbers = (audits["unhealthy"], audits["missing"], audits["ghost"], audits["wrong_size"])
        return Book(self.kinds[SNAPSHOT], self.kinds[BOOK_AUDIT], *numbers, self._resets)

    def clock(self) -> dict[str, int] | None:
        """Smallest, middle and largest measured clock offset, ns; None where none was recorded."""
        offsets_ns = sorted(self._offsets_ns)
        if not offsets_ns:
            return None
        return {
            "measured": len(offsets_ns),
            "least_ns": offsets_ns[0],
            "middle_ns": offsets_ns[len(offsets_ns) // 2],
            "most_ns": offsets_ns[-1],
        }

    def _add_trades(self, table: pa.Table) -> None:
        names = ("agg_id", "first_trade_id", "last_trade_id", "trade_time_ns")
        self.chain.add(*(table.column(n).to_numpy() for n in names))
        for count in pc.value_counts(table.column("source")).to_pylist():
            self._sources[count["values"]] += count["counts"]
            if count["values"] in _REPAIR_SOURCES:
                rows = table.filter(pc.equal(table.column("source"), count["values"]))
                self._repair_chains[count["values"]].add(*(rows.column(n).to_numpy() for n in names))

    def _add_sessions(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self.sessions[row["event"]] += 1
            self.starts += [row["seq"]] if row["event"] == "started" else []
            if row["event"] == "disconnected":
                self.disconnects.append((iso(row["recv_ns"]), row["detail"]))
            if row["code"]:
                self.recorded_by.add(row["code"])


def _ranges(runs: Any, first: int, last: int) -> list[Range]:
    return [(int(run[first]), int(run[last])) for run in runs]
