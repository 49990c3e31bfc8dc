"""
An archive's trades as a log's entries: each once, with the grid, the minute ticks and the gaps that nobody recorded.

An archive has nobody's arrival times: a trade's `recv_ns` is its trade time (the largest so far, where a venue's clock
stepped back), and a tick follows the last trade before each minute's end. The log depends on the trades alone, not on
how they were split into files; but where a file ends within a day, what it showed of the grid was said before the rest
was known.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from eventlog.errors import ImportRefused
from eventlog.facts.capture import CONFLICT, GAP, QUARANTINE, TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT
from eventlog.store.cold import ColdLog
from eventlog.transfer.imported_trades import (
    ImportedTrades,
    QuantityTooLarge,
    TradeSource,
    equal_rows,
    joined,
    stored_trades,
    trades_of,
)
from eventlog.transfer.importing import Draft, Imported, Importer, table
from eventlog.transfer.observed_market import ObservedMarket, instrument_columns, known_instrument
from market.arrays import I64, Bools
from market.fixed_point import DECIMALS
from market.instrument import Instrument
from market.timestamps import DAY_NS, MINUTE_NS, iso

_MAX_UNORDERED = 8_000_000  # rows that are sorted in memory: 0.6 GB, 0.9 GB with all the process holds beside
LARGEST_STEP_BACK_NS = 10 * MINUTE_NS
"""A venue's clock steps back by milliseconds, seldom by seconds; beyond this a stamp is wrong."""
_JOIN_STEP_BACK_NS = MINUTE_NS  # the same between two files, where nothing but the ids says that they follow
_LONGEST_SILENCE_MINUTES = 31 * 24 * 60  # beyond, the minutes in between say nothing about a market
_SCALES = (DECIMALS, 4, 0)
_TICK, _INSTRUMENT, _CONFLICT, _GAP, _TRADE = range(5)
"""The order of what stands before a trade."""


def import_trades(importer: Importer, file: str, source: TradeSource) -> Imported:
    """
    Append the trades of one archive file that the log does not hold yet.

    Raises:
        ImportRefused: they are older than the log's end, stamped in the future, or do not fit this log.
    """
    last_trade = importer.last_row(AGG_TRADE)
    if last_trade and last_trade["source"] == "trade":
        raise ImportRefused(f"{importer.cold.name} holds single trades, not aggTrades; import into another --storage")
    known = known_instrument(importer.last_row(INSTRUMENT))
    survey, source = _surveyed(file, source, importer, known)
    importer.expect_past(file, survey.last_ns)
    with importer.draft() as draft:
        entries = _Entries(importer, draft, file, survey.market)
        for block in source.blocks(survey.market.decimals):
            entries.add(block)
        entries.finish()
        draft.commit(importer.clock.now_ns())
    return entries.imported()


@dataclass(slots=True)
class _Survey:
    """What a first reading tells: the market's grid, how many rows, whether ids rise, the largest time."""

    market: ObservedMarket
    importer: Importer
    ordered: bool = True
    rows: int = 0
    last_id: int = -1
    last_ns: int = 0

    def add(self, file: str, block: ImportedTrades) -> None:
        if len(block) == 0:
            return
        self.rows += len(block)
        ids = np.append(self.last_id, block.agg_id)
        self.ordered = self.ordered and bool(np.all(np.diff(ids) >= 0))
        newest = np.maximum.accumulate(np.append(self.last_ns, block.trade_time_ns))[1:]
        late = np.flatnonzero(newest - block.trade_time_ns > LARGEST_STEP_BACK_NS)
        if self.ordered and len(late):
            row = int(late[0])
            raise ImportRefused(
                f"{file}: trade {block.agg_id[row]} is stamped {iso(int(block.trade_time_ns[row]))}, after one stamped "
                f"{iso(int(newest[row]))}; one of them is wrong"
            )
        told = self._told(block, ids)
        self.market.add(newest[told], block.price_e8[told], block.quantity_e8[told])
        self.last_id, self.last_ns = int(ids[-1]), int(newest[-1])

    def _told(self, block: ImportedTrades, ids: I64) -> Bools:
        """Which rows tell of the market: not those that contradict another of their id, which the log will not hold."""
        told = np.diff(ids) != 0
        if self.ordered:
            met, stored = _met(self.importer.cold, block)
            told[met] &= equal_rows(block.take(met), stored)
        return told


def _surveyed(
    file: str, source: TradeSource, importer: Importer, known: Instrument | None
) -> tuple[_Survey, TradeSource]:
    """Read everything once; where ids do not rise, the source that comes back is in order of them."""
    survey = _first_reading(file, source, importer, known)
    if not survey.ordered:
        source = _in_order(file, source, survey.market.decimals, survey.rows)
        survey = _first_reading(file, source, importer, known)
    survey.market.settle(file)
    return survey, source


def _first_reading(file: str, source: TradeSource, importer: Importer, known: Instrument | None) -> _Survey:
    """Quantities are read as exactly as they fit."""
    for decimals in _SCALES if known is None else (known.quantity_decimals,):
        survey = _Survey(ObservedMarket(importer.cold.name.market.symbol, decimals, known), importer)
        try:
            for block in source.blocks(decimals):
                survey.add(file, block)
        except QuantityTooLarge as error:
            if known is not None:
                said = f"for the {decimals} decimals that this log keeps; import it into another --storage"
                raise QuantityTooLarge(f"{error} {said}") from error
            if decimals != _SCALES[-1]:
                continue
            raise
        break
    return survey


def _in_order(file: str, source: TradeSource, decimals: int, rows: int) -> ImportedTrades:
    """So many rows by their ids. They are put into columns as they are read: nothing is held twice but one column."""
    if rows > _MAX_UNORDERED:
        raise ImportRefused(f"{file}: its agg ids do not rise, and it is too long to be sorted here; sort it first")
    columns: dict[str, Any] = {}
    done = 0
    for block in source.blocks(decimals):
        if done + len(block) > rows:
            raise ImportRefused(f"{file} changed while it was read; import it when it is whole")
        for name, column in block.columns().items():
            if name not in columns:
                columns[name] = None if column is None else np.empty(rows, column.dtype)
            if columns[name] is not None:
                columns[name][done : done + len(block)] = column
        done += len(block)
    order = np.argsort(columns["agg_id"][:done], kind="stable")
    for name, column in columns.items():
        columns[name] = None if column is None else column[order]
    return ImportedTrades(**columns, decimals=decimals)


def _met(cold: ColdLog, block: ImportedTrades) -> tuple[I64, ImportedTrades]:
    """Which of some trades, whose ids do not fall, have an id that a log holds, and what it holds under each."""
    found = stored_trades(cold, cold.catalogue.segments, int(block.agg_id[0]), int(block.agg_id[-1]))
    if found is None:
        none = np.empty(0, np.int64)
        return none, block.take(none)
    stored = trades_of(found, block.decimals)
    at = np.minimum(np.searchsorted(stored.agg_id, block.agg_id), len(stored) - 1)
    met = np.flatnonzero(stored.agg_id[at] == block.agg_id)
    return met, stored.take(at[met])


class _Conflict(NamedTuple):
    """A trade whose id stands for another already: before which trade of a block it comes, and both contents."""

    before: int
    agg_id: int
    data: bytes


class _Entries:
    """Numbers what an archive brings, in the order in which it would have been recorded."""

    def __init__(self, importer: Importer, draft: Draft, file: str, market: ObservedMarket) -> None:
        self._importer = importer
        self._draft = draft
        self._file = file
        self._market = market
        self._last_id = importer.last_agg_id
        last, tick = importer.last_row(AGG_TRADE), importer.last_row(TICK)
        self._last_ns: int | None = last["recv_ns"] if last else None
        self._next_boundary_ns: int = tick["boundary_ns"] + MINUTE_NS if tick else 0
        self._before: ImportedTrades | None = None
        self._aside: set[bytes] | None = None
        self._known = self._ticks = self._holes = self._added = self._conflicts = 0
        self._reopened = False

    def imported(self) -> Imported:
        """What was written so far."""
        return Imported(self._added, self._known, self._ticks, self._holes, conflicts=self._conflicts)

    def add(self, block: ImportedTrades) -> None:
        """Take trades whose ids do not fall."""
        if len(block) == 0:
            return
        trades, conflicts = self._new(block)
        if len(trades) and self._added == 0:
            self._expect_after_end(trades)
        recv_ns = np.maximum.accumulate(np.append(self._draft.last_recv_ns, trades.trade_time_ns))[1:]
        starts = [0, *(np.flatnonzero(np.diff(recv_ns // DAY_NS)) + 1).tolist()]
        for first, stop in zip(starts, [*starts[1:], len(trades)], strict=True):
            end = stop if stop < len(trades) else stop + 1
            inside = [c._replace(before=c.before - first) for c in conflicts if first <= c.before < end]
            self._write(trades.take(slice(first, stop)), recv_ns[first:stop], inside)

    def finish(self) -> None:
        """The tick after the last trade, in a segment of its own: the next file may bring more of its minute."""
        if self._last_ns is None or not (self._added or self._reopened):
            return
        boundary = self._last_ns // MINUTE_NS * MINUTE_NS + MINUTE_NS
        seq = self._draft.next_seq
        ends, before = np.array([boundary]), np.array([self._last_ns])
        tick = _tick_table(np.array([seq]), ends, np.array([True]), np.array([self._last_id]), before)
        self._draft.write(seq, {TICK: tick})
        self._ticks += 1

    def _expect_after_end(self, trades: ImportedTrades) -> None:
        """What is new must follow what the log holds: by its time, or where ids leave no doubt by its id."""
        first_id, first_ns = int(trades.agg_id[0]), int(trades.trade_time_ns[0])
        tick = self._draft.provisional()
        if tick is not None and first_ns < tick["boundary_ns"]:
            self._draft.replace_provisional()
            self._next_boundary_ns = tick["boundary_ns"]
        end = self._draft.last_recv_ns
        follows = self._last_id is not None and first_id == self._last_id + 1
        if first_ns < end and not (follows and end - first_ns <= _JOIN_STEP_BACK_NS):
            self._importer.refuse_older(self._file, first_ns, end)
        if self._last_id is not None and first_id < self._last_id:
            raise ImportRefused(
                f"{self._file}: trade {first_id} comes after {self._last_id} in time; ids of a market rise, so it is "
                "of another, or the venue began anew: import into another --storage"
            )
        self._next_boundary_ns = max(self._next_boundary_ns, end // MINUTE_NS * MINUTE_NS + MINUTE_NS)

    def _new(self, block: ImportedTrades) -> tuple[ImportedTrades, list[_Conflict]]:
        """The trades that nobody knows yet, and those that differ from what is known under their id."""
        whole, done = (block, 0) if self._before is None else (joined([self._before, block]), 1)
        rows = np.arange(len(whole))
        fresh = np.append(True, np.diff(whole.agg_id) > 0)
        first_of = np.maximum.accumulate(np.where(fresh, rows, 0))
        self._before = whole.take(first_of[-1:])
        fresh[:done] = False
        again = rows[done:][first_of[done:] < rows[done:]]
        conflicts = self._compared(whole.take(again), whole.take(first_of[again]), again)
        met, stored = _met(self._importer.cold, block)
        first_met = fresh[done:][met]
        met, stored = met[first_met] + done, stored.take(np.flatnonzero(first_met))
        fresh[met] = False
        conflicts += self._compared(whole.take(met), stored, met)
        placed = [c._replace(before=int(fresh[: c.before].sum())) for c in sorted(conflicts)]
        return whole.take(fresh), placed

    def _compared(self, ours: ImportedTrades, theirs: ImportedTrades, rows: I64) -> list[_Conflict]:
        """Equal content is known; other content under the same id is a conflict, once."""
        equal = equal_rows(ours, theirs)
        self._known += int(equal.sum())
        found = []
        for i in np.flatnonzero(~equal).tolist():
            if self._aside is None:
                self._aside = self._importer.quarantined_bytes()
            data = msgspec.json.encode({"known": theirs.text_of(i), "conflicting": ours.text_of(i)})
            self._conflicts += 1
            if data in self._aside:
                continue
            self._aside.add(data)
            found.append(_Conflict(int(rows[i]), int(ours.agg_id[i]), data))
        return found

    def _write(self, trades: ImportedTrades, recv_ns: I64, conflicts: list[_Conflict]) -> None:
        """A segment of the trades of one day, and what belongs before each of them."""
        n = len(trades)
        tables: list[tuple[int, I64, str, dict[str, Any]]] = []
        if n:
            ids = np.append(trades.agg_id[0] - 1 if self._last_id is None else self._last_id, trades.agg_id)
            times = np.append(recv_ns[0] if self._last_ns is None else self._last_ns, recv_ns)
            tables.append((_TRADE, np.arange(n), AGG_TRADE, _trade_columns(trades, recv_ns)))
            tables.append(self._tick_columns(ids, times))
            tables.append(self._gap_columns(ids, recv_ns))
            change = self._market.change_before(int(recv_ns[0]))
            if change is not None:
                columns = {"recv_ns": recv_ns[:1], **instrument_columns(change)}
                tables.append((_INSTRUMENT, np.zeros(1, np.int64), INSTRUMENT, columns))
            self._last_id, self._last_ns = int(ids[-1]), int(times[-1])
        if conflicts:
            tick = self._draft.provisional() if n == 0 else None
            if tick is not None:  # it stays the last, for what comes next to go on from
                self._draft.replace_provisional()
                self._next_boundary_ns, self._reopened = tick["boundary_ns"], True
            tables.append(self._conflict_columns(recv_ns, conflicts))
        if tables:
            self._number(tables)
        self._added += n

    def _tick_columns(self, ids: I64, times: I64) -> tuple[int, I64, str, dict[str, Any]]:
        """Ticks at the boundaries between each trade and the one before; of a long silence the first alone."""
        minutes = times // MINUTE_NS
        counts = np.diff(minutes)
        counts = np.where(counts > _LONGEST_SILENCE_MINUTES, 1, counts)
        row = np.repeat(np.arange(len(counts)), counts)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        ends = (minutes[:-1][row] + 1 + nth) * MINUTE_NS
        # The first boundary after a trade saw it come. Whether a later one missed a trade, the next id tells.
        live = (nth == 0) | (np.diff(ids)[row] == 1)
        due = ends >= self._next_boundary_ns
        row, ends, live = row[due], ends[due], live[due]
        if len(ends):
            self._next_boundary_ns = int(ends[-1]) + MINUTE_NS
        self._ticks += len(ends)
        return _TICK, row, TICK, _tick_columns(ends, live, ids[:-1][row], times[:-1][row])

    def _gap_columns(self, ids: I64, recv_ns: I64) -> tuple[int, I64, str, dict[str, Any]]:
        """A gap before each trade whose id does not follow."""
        at = np.flatnonzero(np.diff(ids) > 1)
        self._holes += len(at)
        words = {"what": "agg_ids", "cause": "not_in_file", "state": "open"}
        columns = {name: [word] * len(at) for name, word in words.items()}
        return _GAP, at, GAP, columns | {"recv_ns": recv_ns[at], "first": ids[:-1][at] + 1, "last": ids[1:][at] - 1}

    def _conflict_columns(self, recv_ns: I64, conflicts: list[_Conflict]) -> tuple[int, I64, str, dict[str, Any]]:
        """Trades that differ under a known id, as they stand; none arrives before what it follows."""
        latest = int(recv_ns[-1]) if len(recv_ns) else self._draft.last_recv_ns
        arrivals = [int(recv_ns[c.before]) if c.before < len(recv_ns) else latest for c in conflicts]
        return _CONFLICT, np.array([c.before for c in conflicts], np.int64), QUARANTINE, {
            "recv_ns": arrivals,
            "agg_id": [c.agg_id for c in conflicts],
            "reason": [CONFLICT] * len(arrivals),
            "source": ["import"] * len(arrivals),
            "data": [c.data for c in conflicts],
        }  # fmt: skip

    def _number(self, parts: list[tuple[int, I64, str, dict[str, Any]]]) -> None:
        """Give each entry the seq of its place and write them."""
        ranks = np.concatenate([np.full(len(before), rank) for rank, before, _, _ in parts])
        places = np.concatenate([before for _, before, _, _ in parts])
        order = np.lexsort((ranks, places))
        seqs = np.empty(len(order), np.int64)
        seqs[order] = self._draft.next_seq + np.arange(len(order))
        tables, done = {}, 0
        for _, before, kind, columns in parts:
            if len(before):
                tables[kind] = table(kind, {"seq": seqs[done : done + len(before)], **columns})
            done += len(before)
        self._draft.write(self._draft.next_seq + len(order) - 1, tables)


def _trade_columns(trades: ImportedTrades, recv_ns: I64) -> dict[str, Any]:
    source = pa.array(["archive"]).dictionary_encode()
    repeated = pa.DictionaryArray.from_arrays(np.zeros(len(recv_ns), np.int32), source.dictionary).cast(pa.string())
    return {"recv_ns": recv_ns, "source": repeated, **trades.columns()}


def _tick_columns(ends: I64, live: Any, last_agg_id: I64, last_recv_ns: I64) -> dict[str, Any]:
    return {
        "recv_ns": ends,
        "boundary_ns": ends,
        "interval_ns": np.full(len(ends), MINUTE_NS),
        "trades": np.where(live, "live", "down"),
        "depth": ["down"] * len(ends),
        "last_agg_id": last_agg_id,
        "last_trade_recv_ns": last_recv_ns,
    }


def _tick_table(seq: I64, ends: I64, live: Any, last_agg_id: I64, last_recv_ns: I64) -> pa.Table:
    return table(TICK, {"seq": seq, **_tick_columns(ends, live, last_agg_id, last_recv_ns)})
