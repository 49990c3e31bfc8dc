"""
A recording's facts as entries of a log: each once, numbered, with the ticks, grids and gaps that it lacks put in.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from eventlog.facts.capture import CONFLICT, GAP, QUARANTINE, TICK, UNREAD_TRADE
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.facts.registry import SCHEMAS
from eventlog.proof.chains import LAST, find_gaps
from eventlog.proof.open_gaps import OpenGaps
from eventlog.store.catalogue import Segment
from eventlog.transfer.imported_trades import equal_rows, to_imported_trades
from eventlog.transfer.importing import Draft, Importer
from eventlog.transfer.observed_market import ObservedMarket
from exchanges.binance.recordings.recorded_books import BOOK_COLUMNS, LEVELS, Books
from exchanges.binance.recordings.recorded_ticks import RecordedTicks
from exchanges.binance.recordings.recorded_updates import MissingUpdates, newest_update
from exchanges.binance.recordings.recording_blocks import Block
from exchanges.binance.recordings.unread_trades import unread
from market.arrays import I64
from market.ranges import Range
from market.timestamps import DAY_NS, HOUR_NS, SECOND_NS

_SEGMENT_ROWS = 500_000
_SEGMENT_BYTES = 128 * 1024**2
_OVERLAP_NS = HOUR_NS  # how far clocks of recorders of the same market may differ
_JOIN_STEP_BACK_NS = SECOND_NS  # a recorder's clock steps back by milliseconds, also between two files
_IDS = {AGG_TRADE: "agg_id", DIFF: "last_update_id", SNAPSHOT: "last_update_id"}
_DIFF_CONTENT = ("first_update_id", *LEVELS)


class RecordedEntries:
    """
    Numbers what a recording brings.

    Args:
        market: the grids it was found to have, settled. runs: its trades, see `TradeChain.runs`.
        updates: its book updates, see `UpdateRanges.ranges`. first_ns: its first receive time.
        trade_event: which of its messages are its trades, `aggTrade` or `trade`.

    Attributes:
        counts: facts added and known, and how many ticks, holes, quarantined messages and conflicts were written.
    """

    def __init__(
        self,
        importer: Importer,
        draft: Draft,
        file: str,
        market: ObservedMarket,
        runs: I64,
        updates: I64,
        first_ns: int,
        trade_event: str,
    ) -> None:
        self._importer = importer
        self._draft = draft
        self._file = file
        self._market = market
        self._holes = {last + 1: (first, last) for first, last in _holes_after(importer.last_agg_id, runs)}
        last_id = int(runs[:, LAST].max()) if len(runs) else -1
        self._ticks = RecordedTicks(importer, draft, list(self._holes.values()), last_id)
        self._open_gaps = OpenGaps(importer.cold, runs)
        self._missing_updates = MissingUpdates(newest_update(importer), updates)
        self._stored = _StoredFacts(importer, draft, first_ns - _OVERLAP_NS)
        self._trade_event = trade_event
        self._set_aside = importer.load_quarantined_bytes()
        self._parts: dict[str, list[pa.Table]] = {}
        self._own: dict[str, list[dict[str, Any]]] = {}
        self._size = self._rows = 0
        self._seq = draft.next_seq
        self._day = -1
        self._begun = False
        self.counts = dict.fromkeys(("added", "known", "ticks", "holes", "quarantined", "conflicts"), 0)

    def add(self, block: Block) -> None:
        """Take messages that follow those before."""
        dropped: set[int] = set()
        for kind, (places, rows) in block.tables.items():
            known, conflicting = self._repeated(kind, rows)
            self.counts["known"] += len(known)
            dropped |= {places[row] for row in known}
            for row in conflicting:
                dropped.add(places[row])
                block.aside[places[row]] = CONFLICT, block.messages[places[row]]
        for place, (reason, data) in list(block.aside.items()):
            self.counts["conflicts"] += reason is CONFLICT
            if data in self._set_aside:
                del block.aside[place]
                self.counts["known"] += reason is not CONFLICT
                continue
            self.counts["quarantined"] += reason is not CONFLICT
        self._number(block, dropped)
        if self._rows >= _SEGMENT_ROWS or self._size >= _SEGMENT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was numbered as a segment."""
        if self._parts:
            self._draft.write(self._seq - 1, {kind: pa.concat_tables(parts) for kind, parts in self._parts.items()})
            self._parts, self._size, self._rows = {}, 0, 0

    def _repeated(self, kind: str, rows: pa.Table) -> tuple[list[int], list[int]]:
        """Rows that say again what is known, and rows whose id is known for something else."""
        if kind == SNAPSHOT:
            return self._repeated_books(rows)
        ids = rows.column(_IDS[kind]).to_numpy()
        _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
        again = np.flatnonzero(first[inverse] < np.arange(len(ids)))
        pairs = [(again, rows.take(first[inverse][again]))]
        stored = self._stored.of(kind, ids, self._parts.get(kind, []))
        if stored is not None:
            theirs = stored.column(_IDS[kind]).to_numpy()
            at = np.minimum(np.searchsorted(theirs, ids), len(theirs) - 1)
            met = np.setdiff1d(np.flatnonzero(theirs[at] == ids), again)
            pairs.append((met, stored.take(at[met])))
        known: list[int] = []
        conflicting: list[int] = []
        for mine, others in pairs:
            for row, same in zip(mine.tolist(), _equal(kind, rows.take(mine), others), strict=True):
                (known if same else conflicting).append(row)
        return known, conflicting

    def _repeated_books(self, rows: pa.Table) -> tuple[list[int], list[int]]:
        """
        The same of books: several of one update are true where they differ in their depth alone, and one that came at
        another time says that the book was still the same then.
        """
        ids = rows.column("last_update_id").to_numpy()
        stored = self._stored.of(SNAPSHOT, ids, self._parts.get(SNAPSHOT, []))
        books: dict[int, Books] = {}
        for book in [] if stored is None else stored.select(["recv_ns", *BOOK_COLUMNS]).to_pylist():
            books.setdefault(book["last_update_id"], Books()).add(book.pop("recv_ns"), book)
        several = {number for number, count in zip(*np.unique(ids, return_counts=True), strict=True) if count > 1}
        known: list[int] = []
        conflicting: list[int] = []
        for row in [i for i, number in enumerate(ids.tolist()) if number in several or number in books]:
            (book,) = rows.slice(row, 1).select(["recv_ns", *BOOK_COLUMNS]).to_pylist()
            recv_ns, others = book.pop("recv_ns"), books.setdefault(book["last_update_id"], Books())
            if others.hold(recv_ns, book):
                known.append(row)
            elif others.contradict(book):
                conflicting.append(row)
            else:
                others.add(recv_ns, book)
        return known, conflicting

    def _number(self, block: Block, dropped: set[int]) -> None:
        """Give each message that stays its seq, and what belongs before it."""
        facts = {place: (kind, row) for kind, (places, _) in block.tables.items() for row, place in enumerate(places)}
        ids = {kind: _id_columns(kind, rows) for kind, (_, rows) in block.tables.items()}
        taken: dict[str, list[tuple[int, int]]] = {kind: [] for kind in block.tables}
        staying = [place for place in facts if place not in dropped]
        if staying and not self._begun:
            self._begin(block.recv_ns[min(staying)])
        for place, recv_ns in enumerate(block.recv_ns):
            if place in block.aside:
                reason, data = block.aside[place]
                arrival = max(recv_ns, self._draft.last_recv_ns)
                self._put_in(arrival)
                self._say(QUARANTINE, {"recv_ns": arrival, "reason": reason, "data": data, **self._told_of(data)})
            elif place in facts and place not in dropped:
                kind, row = facts[place]
                self._put_in(recv_ns)
                self._follow(kind, ids[kind][row], recv_ns)
                taken[kind].append((row, self._next()))
                if kind == AGG_TRADE:
                    self._close_gap(ids[kind][row][1], recv_ns)
        for kind, (_, rows) in block.tables.items():
            places, seqs = (pa.array([pair[i] for pair in taken[kind]], pa.int64()) for i in (0, 1))
            self._keep(kind, rows.take(places).set_column(0, rows.schema.field(0), seqs))
            self.counts["added"] += len(seqs)
        for kind, own in self._own.items():
            self._keep(kind, pa.Table.from_pylist(own, SCHEMAS[kind]))
        self._own = {}

    def _begin(self, recv_ns: int) -> None:
        """The first fact that is new must not be older than what the log holds."""
        self._begun = True
        tick = self._draft.provisional_tick()
        if tick is not None and recv_ns < tick["boundary_ns"] and self._seq == self._draft.next_seq:
            self._draft.replace_provisional_tick()
            self._seq = self._draft.next_seq
            self._ticks.begin_at(tick["boundary_ns"])
        if recv_ns < self._draft.last_recv_ns - _JOIN_STEP_BACK_NS:
            self._importer.refuse_older(self._file, recv_ns, self._draft.last_recv_ns)

    def _put_in(self, recv_ns: int) -> None:
        """Ticks and a new grid before an entry."""
        for tick in self._ticks.before(recv_ns):
            self._say(TICK, {"recv_ns": tick.boundary_ns, **structs.asdict(tick)})
            self.counts["ticks"] += 1
        if recv_ns // DAY_NS != self._day:
            self._day = recv_ns // DAY_NS
            change = self._market.pop_change(recv_ns)
            if change is not None:
                self._say(INSTRUMENT, {"recv_ns": recv_ns, **asdict(change)})

    def _follow(self, kind: str, ids: tuple[int, int], recv_ns: int) -> None:
        """Take note of a fact that comes next; what is missing before it is a gap."""
        if kind == AGG_TRADE:
            self._ticks.saw_trade(ids[1], recv_ns)
            hole = self._holes.pop(ids[1], None)
            if hole is not None:
                self._say_gap("agg_ids", hole, "open", recv_ns)
        elif kind == DIFF:
            self._ticks.saw_diff(recv_ns)
            for hole in self._missing_updates.before(ids[0]):  # nobody can ask for them again
                self._say_gap("update_ids", hole, "given_up", recv_ns)
        else:
            self._ticks.saw_book(self._seq, recv_ns)

    def _told_of(self, message: bytes) -> dict[str, Any]:
        """What is known of a message that is set aside."""
        found = unread(message, self._importer.cold.name.market.symbol, self._trade_event)
        source = UNREAD_TRADE if found.may_be_trade and found.agg_id is None else "import"
        return {"source": source, "agg_id": found.agg_id}

    def _close_gap(self, agg_id: int, recv_ns: int) -> None:
        """A trade that came late may be the last that a gap of the log lacked."""
        gap = self._open_gaps.fill(agg_id)
        if gap is not None:
            words = {name: gap[name] for name in ("what", "first", "last", "cause")}
            self._say(GAP, {"recv_ns": recv_ns, **words, "state": "filled"})

    def _say_gap(self, what: str, missing: Range, state: str, recv_ns: int) -> None:
        words = {"what": what, "first": missing[0], "last": missing[1], "cause": "not_in_file", "state": state}
        self._say(GAP, {"recv_ns": recv_ns, **words})
        self.counts["holes"] += 1

    def _say(self, kind: str, row: dict[str, Any]) -> None:
        """An entry in our own words."""
        self._own.setdefault(kind, []).append({"seq": self._next(), **row})

    def _keep(self, kind: str, rows: pa.Table) -> None:
        if rows.num_rows:
            self._parts.setdefault(kind, []).append(rows)
            self._size += rows.nbytes
            self._rows += rows.num_rows

    def _next(self) -> int:
        self._seq += 1
        return self._seq - 1


class _StoredFacts:
    """What log and draft hold of ids; books and updates are looked for since a time alone."""

    def __init__(self, importer: Importer, draft: Draft, since_ns: int) -> None:
        self._cold = importer.cold
        self._draft = draft
        self._since_ns = since_ns
        self._ranges: dict[str, Range] = {}

    def of(self, kind: str, ids: I64, pending: list[pa.Table]) -> pa.Table | None:
        """The rows of some ids, lowest first; None for none."""
        wanted = pa.array(np.unique(ids))
        low, high = int(ids.min()), int(ids.max())
        found = [*self._tables(kind, low, high), *pending]
        parts = [rows.filter(pc.is_in(rows.column(_IDS[kind]), value_set=wanted)) for rows in found]
        parts = [part for part in parts if part.num_rows]
        return pa.concat_tables(parts).sort_by(_IDS[kind]) if parts else None

    def _tables(self, kind: str, low: int, high: int) -> Iterator[pa.Table]:
        for segment in self._draft.segments:
            for file in segment.files:
                if file.kind == kind and self._may_hold(segment, file.name, kind, low, high):
                    yield self._cold.table(file)

    def _may_hold(self, segment: Segment, name: str, kind: str, low: int, high: int) -> bool:
        if kind == AGG_TRADE:
            first, last = segment.first_agg_id, segment.last_agg_id
            return first is not None and last is not None and first <= high and last >= low
        if segment.last_recv_ns < self._since_ns:
            return False
        if name not in self._ranges:
            file = next(f for f in segment.files if f.name == name)
            found = pc.min_max(self._cold.table(file, [_IDS[kind]]).column(_IDS[kind])).as_py()
            self._ranges[name] = found["min"], found["max"]
        return self._ranges[name][0] <= high and self._ranges[name][1] >= low


def _holes_after(newest: int | None, runs: I64) -> list[Range]:
    """Missing agg ids between a log's largest and those of a recording, and among these."""
    if newest is not None:
        later = runs[runs[:, LAST] > newest]
        runs = np.vstack([np.full((1, 6), newest, np.int64), later])
    return find_gaps(runs)


def _id_columns(kind: str, rows: pa.Table) -> list[tuple[int, int]]:
    last = rows.column(_IDS[kind]).to_pylist()
    first = rows.column("first_update_id").to_pylist() if kind == DIFF else last
    return list(zip(first, last, strict=True))


def _equal(kind: str, mine: pa.Table, others: pa.Table) -> list[bool]:
    """Whether two tables of n rows with the same ids say the same, row by row."""
    if mine.num_rows == 0:
        return []
    if kind == AGG_TRADE:
        same: list[bool] = equal_rows(to_imported_trades(mine, 0), to_imported_trades(others, 0)).tolist()
        return same
    pairs = zip(*(table.select(_DIFF_CONTENT).to_pylist() for table in (mine, others)), strict=True)
    return [one == other for one, other in pairs]
