"""
A recording's facts as entries of a log: each once, numbered, with the missing ticks, grids and gaps inserted.
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
from exchanges.binance.recordings.recorded_updates import MissingUpdates, find_newest_update
from exchanges.binance.recordings.recording_blocks import Block
from exchanges.binance.recordings.unread_trades import inspect_unreadable
from market.arrays import I64
from market.ranges import Range
from market.timestamps import DAY_NS, HOUR_NS, SECOND_NS

_SEGMENT_ROWS = 500_000  # with _SEGMENT_BYTES: bounds of what is held in memory before a segment is written
_SEGMENT_BYTES = 128 * 1024**2  # see _SEGMENT_ROWS
_OVERLAP_NS = HOUR_NS  # how far clocks of recorders of the same market may differ
_JOIN_STEP_BACK_NS = SECOND_NS  # a recorder's clock steps back by milliseconds, also between two files
_IDS = {AGG_TRADE: "agg_id", DIFF: "last_update_id", SNAPSHOT: "last_update_id"}
_DIFF_CONTENT = ("first_update_id", *LEVELS)


class RecordedEntries:
    """
    Numbers the facts of a recording and writes them to a draft.

    Args:
        importer: of the log. draft: that is written to.
        file: name of the recording, for messages.
        market: grids observed in the recording, settled.
        runs: its trades, see `TradeChain.runs`.
        updates: its book updates, see `UpdateRanges.ranges`.
        first_ns: its first receive time.
        trade_event: which of its messages are its trades, `aggTrade` or `trade`.

    Attributes:
        counts: facts added and known already; ticks, gaps ("holes"), quarantined messages and conflicts written.
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
        self._gaps = {last + 1: (first, last) for first, last in _gaps_after(importer.last_agg_id, runs)}
        last_id = int(runs[:, LAST].max()) if len(runs) else -1
        self._ticks = RecordedTicks(importer, draft, list(self._gaps.values()), last_id)
        self._open_gaps = OpenGaps(importer.cold, runs)
        self._missing_updates = MissingUpdates(find_newest_update(importer), updates)
        self._existing = _StoredFacts(importer, draft, first_ns - _OVERLAP_NS)
        self._trade_event = trade_event
        self._quarantined_bytes = importer.load_quarantined_bytes()
        self._parts: dict[str, list[pa.Table]] = {}
        self._own: dict[str, list[dict[str, Any]]] = {}
        self._size = self._rows = 0
        self._seq = draft.next_seq
        self._day = -1
        self._has_begun = False
        self.counts = dict.fromkeys(("added", "known", "ticks", "holes", "quarantined", "conflicts"), 0)

    def add(self, block: Block) -> None:
        """Add the next block of messages."""
        duplicates: set[int] = set()
        for kind, (places, rows) in block.tables.items():
            repeats, conflicting = self._find_repeats(kind, rows)
            self.counts["known"] += len(repeats)
            duplicates |= {places[row] for row in repeats}
            for row in conflicting:
                duplicates.add(places[row])
                block.quarantine[places[row]] = CONFLICT, block.messages[places[row]]
        for place, (reason, data) in list(block.quarantine.items()):
            self.counts["conflicts"] += reason is CONFLICT
            if data in self._quarantined_bytes:
                del block.quarantine[place]
                self.counts["known"] += reason is not CONFLICT
                continue
            self.counts["quarantined"] += reason is not CONFLICT
        self._number_messages(block, duplicates)
        if self._rows >= _SEGMENT_ROWS or self._size >= _SEGMENT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was numbered since the last call as a segment."""
        if self._parts:
            self._draft.write(self._seq - 1, {kind: pa.concat_tables(parts) for kind, parts in self._parts.items()})
            self._parts, self._size, self._rows = {}, 0, 0

    def _find_repeats(self, kind: str, rows: pa.Table) -> tuple[list[int], list[int]]:
        """Rows that are known already, and rows whose id is known with other content."""
        if kind == SNAPSHOT:
            return self._find_repeated_books(rows)
        ids = rows.column(_IDS[kind]).to_numpy()
        _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
        duplicates = np.flatnonzero(first[inverse] < np.arange(len(ids)))
        pairs = [(duplicates, rows.take(first[inverse][duplicates]))]
        existing = self._existing.find_rows(kind, ids, self._parts.get(kind, []))
        if existing is not None:
            stored_ids = existing.column(_IDS[kind]).to_numpy()
            positions = np.minimum(np.searchsorted(stored_ids, ids), len(stored_ids) - 1)
            matches = np.setdiff1d(np.flatnonzero(stored_ids[positions] == ids), duplicates)
            pairs.append((matches, existing.take(positions[matches])))
        repeats: list[int] = []
        conflicting: list[int] = []
        for mine, others in pairs:
            for row, same in zip(mine.tolist(), _equal_rows(kind, rows.take(mine), others), strict=True):
                (repeats if same else conflicting).append(row)
        return repeats, conflicting

    def _find_repeated_books(self, rows: pa.Table) -> tuple[list[int], list[int]]:
        """
        The same for books: several of one update id agree where they differ in depth alone; an equal one that came at
        another time is new, as it shows that the book was still the same then.
        """
        ids = rows.column("last_update_id").to_numpy()
        existing = self._existing.find_rows(SNAPSHOT, ids, self._parts.get(SNAPSHOT, []))
        books: dict[int, Books] = {}
        for book in [] if existing is None else existing.select(["recv_ns", *BOOK_COLUMNS]).to_pylist():
            books.setdefault(book["last_update_id"], Books()).add(book.pop("recv_ns"), book)
        repeated_ids = {number for number, count in zip(*np.unique(ids, return_counts=True), strict=True) if count > 1}
        repeats: list[int] = []
        conflicting: list[int] = []
        for row in [i for i, number in enumerate(ids.tolist()) if number in repeated_ids or number in books]:
            (book,) = rows.slice(row, 1).select(["recv_ns", *BOOK_COLUMNS]).to_pylist()
            recv_ns, others = book.pop("recv_ns"), books.setdefault(book["last_update_id"], Books())
            if others.contains(recv_ns, book):
                repeats.append(row)
            elif others.contradicts(book):
                conflicting.append(row)
            else:
                others.add(recv_ns, book)
        return repeats, conflicting

    def _number_messages(self, block: Block, duplicates: set[int]) -> None:
        """Give each remaining message its seq, after the entries that belong before it."""
        facts = {place: (kind, row) for kind, (places, _) in block.tables.items() for row, place in enumerate(places)}
        ids = {kind: _id_columns(kind, rows) for kind, (_, rows) in block.tables.items()}
        rows_and_seqs: dict[str, list[tuple[int, int]]] = {kind: [] for kind in block.tables}
        remaining = [place for place in facts if place not in duplicates]
        if remaining and not self._has_begun:
            self._begin(block.recv_ns[min(remaining)])
        for place, recv_ns in enumerate(block.recv_ns):
            if place in block.quarantine:
                reason, data = block.quarantine[place]
                arrival = max(recv_ns, self._draft.last_recv_ns)
                self._insert_ticks_and_grid(arrival)
                self._append_own(
                    QUARANTINE, {"recv_ns": arrival, "reason": reason, "data": data, **self._describe_unreadable(data)}
                )
            elif place in facts and place not in duplicates:
                kind, row = facts[place]
                self._insert_ticks_and_grid(recv_ns)
                self._note_fact(kind, ids[kind][row], recv_ns)
                rows_and_seqs[kind].append((row, self._next()))
                if kind == AGG_TRADE:
                    self._close_gap(ids[kind][row][1], recv_ns)
        for kind, (_, rows) in block.tables.items():
            places, seqs = (pa.array([pair[i] for pair in rows_and_seqs[kind]], pa.int64()) for i in (0, 1))
            self._add_rows(kind, rows.take(places).set_column(0, rows.schema.field(0), seqs))
            self.counts["added"] += len(seqs)
        for kind, own in self._own.items():
            self._add_rows(kind, pa.Table.from_pylist(own, SCHEMAS[kind]))
        self._own = {}

    def _begin(self, recv_ns: int) -> None:
        """Check that the first new fact is not older than the log's end."""
        self._has_begun = True
        tick = self._draft.provisional_tick()
        if tick is not None and recv_ns < tick["boundary_ns"] and self._seq == self._draft.next_seq:
            self._draft.replace_provisional_tick()
            self._seq = self._draft.next_seq
            self._ticks.restart_at(tick["boundary_ns"])
        if recv_ns < self._draft.last_recv_ns - _JOIN_STEP_BACK_NS:
            self._importer.refuse_older(self._file, recv_ns, self._draft.last_recv_ns)

    def _insert_ticks_and_grid(self, recv_ns: int) -> None:
        """Insert the ticks and a changed grid that are due before an entry."""
        for tick in self._ticks.ticks_before(recv_ns):
            self._append_own(TICK, {"recv_ns": tick.boundary_ns, **structs.asdict(tick)})
            self.counts["ticks"] += 1
        if recv_ns // DAY_NS != self._day:
            self._day = recv_ns // DAY_NS
            change = self._market.pop_change(recv_ns)
            if change is not None:
                self._append_own(INSTRUMENT, {"recv_ns": recv_ns, **asdict(change)})

    def _note_fact(self, kind: str, ids: tuple[int, int], recv_ns: int) -> None:
        """Take note of the next fact; what is missing before it becomes a gap."""
        if kind == AGG_TRADE:
            self._ticks.note_trade(ids[1], recv_ns)
            gap = self._gaps.pop(ids[1], None)
            if gap is not None:
                self._append_gap("agg_ids", gap, "open", recv_ns)
        elif kind == DIFF:
            self._ticks.note_diff(recv_ns)
            for gap in self._missing_updates.pop_before(ids[0]):  # diffs cannot be fetched later
                self._append_gap("update_ids", gap, "given_up", recv_ns)
        else:
            self._ticks.note_book(self._seq, recv_ns)

    def _describe_unreadable(self, message: bytes) -> dict[str, Any]:
        """Source and agg id of a quarantined message, as far as they can be told."""
        trade = inspect_unreadable(message, self._importer.cold.name.market.symbol, self._trade_event)
        source = UNREAD_TRADE if trade.may_be_trade and trade.agg_id is None else "import"
        return {"source": source, "agg_id": trade.agg_id}

    def _close_gap(self, agg_id: int, recv_ns: int) -> None:
        """Close a gap of the log if a late trade is the last that it lacked."""
        gap = self._open_gaps.fill(agg_id)
        if gap is not None:
            fields = {name: gap[name] for name in ("what", "first", "last", "cause")}
            self._append_own(GAP, {"recv_ns": recv_ns, **fields, "state": "filled"})

    def _append_gap(self, what: str, missing: Range, state: str, recv_ns: int) -> None:
        fields = {"what": what, "first": missing[0], "last": missing[1], "cause": "not_in_file", "state": state}
        self._append_own(GAP, {"recv_ns": recv_ns, **fields})
        self.counts["holes"] += 1

    def _append_own(self, kind: str, row: dict[str, Any]) -> None:
        """Append an entry that is not in the recording."""
        self._own.setdefault(kind, []).append({"seq": self._next(), **row})

    def _add_rows(self, kind: str, rows: pa.Table) -> None:
        if rows.num_rows:
            self._parts.setdefault(kind, []).append(rows)
            self._size += rows.nbytes
            self._rows += rows.num_rows

    def _next(self) -> int:
        self._seq += 1
        return self._seq - 1


class _StoredFacts:
    """Facts in log and draft by id; books and updates are searched only since a time."""

    def __init__(self, importer: Importer, draft: Draft, since_ns: int) -> None:
        self._cold = importer.cold
        self._draft = draft
        self._since_ns = since_ns
        self._ranges: dict[str, Range] = {}

    def find_rows(self, kind: str, ids: I64, pending: list[pa.Table]) -> pa.Table | None:
        """
        Find the rows with some ids.

        Args:
            kind: of the facts.
            ids: n ids, at least one.
            pending: tables that are not in the draft yet.

        Returns:
            The rows by rising id, None for none.
        """
        id_set = pa.array(np.unique(ids))
        low, high = int(ids.min()), int(ids.max())
        tables = [*self._tables(kind, low, high), *pending]
        parts = [rows.filter(pc.is_in(rows.column(_IDS[kind]), value_set=id_set)) for rows in tables]
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
            bounds = pc.min_max(self._cold.table(file, [_IDS[kind]]).column(_IDS[kind])).as_py()
            self._ranges[name] = bounds["min"], bounds["max"]
        return self._ranges[name][0] <= high and self._ranges[name][1] >= low


def _gaps_after(newest: int | None, runs: I64) -> list[Range]:
    """Ranges of agg ids that are missing after a log's largest and within a recording."""
    if newest is not None:
        later = runs[runs[:, LAST] > newest]
        runs = np.vstack([np.full((1, 6), newest, np.int64), later])
    return find_gaps(runs)


def _id_columns(kind: str, rows: pa.Table) -> list[tuple[int, int]]:
    last = rows.column(_IDS[kind]).to_pylist()
    first = rows.column("first_update_id").to_pylist() if kind == DIFF else last
    return list(zip(first, last, strict=True))


def _equal_rows(kind: str, mine: pa.Table, others: pa.Table) -> list[bool]:
    """Whether two tables of n rows with the same ids have the same content, row by row."""
    if mine.num_rows == 0:
        return []
    if kind == AGG_TRADE:
        same: list[bool] = equal_rows(to_imported_trades(mine, 0), to_imported_trades(others, 0)).tolist()
        return same
    pairs = zip(*(table.select(_DIFF_CONTENT).to_pylist() for table in (mine, others)), strict=True)
    return [one == other for one, other in pairs]
