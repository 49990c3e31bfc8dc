"""
An archive's trades as a log's entries: each once, with the inferred grid, minute ticks and gaps.

An archive has no arrival times: a trade's `recv_ns` is its trade time (the largest so far, where the venue's clock
stepped back), and a tick follows the last trade before each minute's end. The log depends on the trades alone, not on
how they were split into files, with one exception: where a file ends within a day, that day's grid is inferred from the
file, before the rest of the day is known.
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
    concatenate,
    equal_rows,
    load_trades,
    to_imported_trades,
)
from eventlog.transfer.importing import Draft, Importer, ImportSummary, table
from eventlog.transfer.observed_market import ObservedMarket, instrument_columns, parse_instrument
from market.arrays import I64, Bools
from market.fixed_point import DECIMALS
from market.instrument import Instrument
from market.timestamps import DAY_NS, MINUTE_NS, iso

_MAX_UNORDERED = 8_000_000  # rows that are sorted in memory: 0.6 GB, 0.9 GB with all the process holds beside
LARGEST_STEP_BACK_NS = 10 * MINUTE_NS
"""A venue's clock steps back by milliseconds, seldom by seconds; beyond this a time is wrong."""
_JOIN_STEP_BACK_NS = MINUTE_NS  # the same between two files, where only the ids show that they follow
_LONGEST_SILENCE_MINUTES = 31 * 24 * 60  # beyond, the minutes in between get no ticks
_SCALES = (DECIMALS, 4, 0)  # quantity decimals that are tried, the most exact first
_TICK, _INSTRUMENT, _CONFLICT, _GAP, _TRADE = range(5)
"""The order of entries of the same place: a trade comes after the others."""


def import_trades(importer: Importer, file: str, source: TradeSource) -> ImportSummary:
    """
    Append the trades of one archive file that the log does not hold yet.

    Args:
        importer: of the log. file: its name, for messages.
        source: its trades, in any order of ids; read twice, or three times where the ids do not rise.

    Raises:
        ImportRefused: they are older than the log's end, stamped in the future, or do not fit this log.
    """
    last_trade = importer.last_row(AGG_TRADE)
    if last_trade and last_trade["source"] == "trade":
        raise ImportRefused(f"{importer.cold.name} holds single trades, not aggTrades; import into another --storage")
    instrument = parse_instrument(importer.last_row(INSTRUMENT))
    survey, source = _survey_source(file, source, importer, instrument)
    importer.expect_past(file, survey.last_ns)
    with importer.draft() as draft:
        entries = _Entries(importer, draft, file, survey.market)
        for block in source.blocks(survey.market.decimals):
            entries.add(block)
        entries.finish()
        draft.commit(importer.clock.now_ns())
    return entries.summary()


@dataclass(slots=True)
class _Survey:
    """Result of a first reading: the market's grid, number of rows, whether ids rise, the largest time."""

    market: ObservedMarket
    importer: Importer
    is_ordered: bool = True
    rows: int = 0
    last_id: int = -1
    last_ns: int = 0

    def add(self, file: str, block: ImportedTrades) -> None:
        if len(block) == 0:
            return
        self.rows += len(block)
        ids = np.append(self.last_id, block.agg_id)
        self.is_ordered = self.is_ordered and bool(np.all(np.diff(ids) >= 0))
        newest = np.maximum.accumulate(np.append(self.last_ns, block.trade_time_ns))[1:]
        late_rows = np.flatnonzero(newest - block.trade_time_ns > LARGEST_STEP_BACK_NS)
        if self.is_ordered and len(late_rows):
            row = int(late_rows[0])
            raise ImportRefused(
                f"{file}: trade {block.agg_id[row]} is stamped {iso(int(block.trade_time_ns[row]))}, after one stamped "
                f"{iso(int(newest[row]))}; one of them is wrong"
            )
        for_grid = self._rows_for_grid(block, ids)
        self.market.add(newest[for_grid], block.price_e8[for_grid], block.quantity_e8[for_grid])
        self.last_id, self.last_ns = int(ids[-1]), int(newest[-1])

    def _rows_for_grid(self, block: ImportedTrades, ids: I64) -> Bools:
        """Rows that the grid is inferred from: not those that contradict another trade of their id."""
        for_grid = np.diff(ids) != 0
        if self.is_ordered:
            rows, log_trades = _find_stored(self.importer.cold, block)
            for_grid[rows] &= equal_rows(block.take(rows), log_trades)
        return for_grid


def _survey_source(
    file: str, source: TradeSource, importer: Importer, instrument: Instrument | None
) -> tuple[_Survey, TradeSource]:
    """Read everything once; where ids do not rise, the returned source is sorted by them."""
    survey = _read_survey(file, source, importer, instrument)
    if not survey.is_ordered:
        source = _sort_by_id(file, source, survey.market.decimals, survey.rows)
        survey = _read_survey(file, source, importer, instrument)
    survey.market.finalize(file)
    return survey, source


def _read_survey(file: str, source: TradeSource, importer: Importer, instrument: Instrument | None) -> _Survey:
    """Read quantities with the most decimals with which they fit."""
    for decimals in _SCALES if instrument is None else (instrument.quantity_decimals,):
        survey = _Survey(ObservedMarket(importer.cold.name.market.symbol, decimals, instrument), importer)
        try:
            for block in source.blocks(decimals):
                survey.add(file, block)
        except QuantityTooLarge as error:
            if instrument is not None:
                advice = f"for the {decimals} decimals that this log keeps; import it into another --storage"
                raise QuantityTooLarge(f"{error} {advice}") from error
            if decimals != _SCALES[-1]:
                continue
            raise
        break
    return survey


def _sort_by_id(file: str, source: TradeSource, decimals: int, rows: int) -> ImportedTrades:
    """Sort a source of `rows` rows by id. Blocks are copied into columns as they are read, to save memory."""
    if rows > _MAX_UNORDERED:
        raise ImportRefused(f"{file}: its agg ids do not rise, and it is too long to be sorted here; sort it first")
    columns: dict[str, Any] = {}
    count = 0
    for block in source.blocks(decimals):
        if count + len(block) > rows:
            raise ImportRefused(f"{file} changed while it was read; import it when it is whole")
        for name, column in block.columns().items():
            if name not in columns:
                columns[name] = None if column is None else np.empty(rows, column.dtype)
            if columns[name] is not None:
                columns[name][count : count + len(block)] = column
        count += len(block)
    order = np.argsort(columns["agg_id"][:count], kind="stable")
    for name, column in columns.items():
        columns[name] = None if column is None else column[order]
    return ImportedTrades(**columns, decimals=decimals)


def _find_stored(cold: ColdLog, block: ImportedTrades) -> tuple[I64, ImportedTrades]:
    """The rows of a block, ids not falling, whose ids a log holds, and the log's trades of these ids."""
    log_rows = load_trades(cold, cold.catalogue.segments, int(block.agg_id[0]), int(block.agg_id[-1]))
    if log_rows is None:
        empty = np.empty(0, np.int64)
        return empty, block.take(empty)
    log_trades = to_imported_trades(log_rows, block.decimals)
    index = np.minimum(np.searchsorted(log_trades.agg_id, block.agg_id), len(log_trades) - 1)
    rows = np.flatnonzero(log_trades.agg_id[index] == block.agg_id)
    return rows, log_trades.take(index[rows])


class _Conflict(NamedTuple):
    """A trade that contradicts another of its id: the row of a block that it comes before, and both contents."""

    before: int
    agg_id: int
    data: bytes


class _Entries:
    """Numbers an archive's entries, in the order in which they would have been recorded."""

    def __init__(self, importer: Importer, draft: Draft, file: str, market: ObservedMarket) -> None:
        self._importer = importer
        self._draft = draft
        self._file = file
        self._market = market
        self._last_id = importer.last_agg_id
        last, tick = importer.last_row(AGG_TRADE), importer.last_row(TICK)
        self._last_ns: int | None = last["recv_ns"] if last else None
        self._next_boundary_ns: int = tick["boundary_ns"] + MINUTE_NS if tick else 0
        self._previous: ImportedTrades | None = None
        self._quarantined_bytes: set[bytes] | None = None
        self._known_count = self._tick_count = self._gap_count = self._added_count = self._conflict_count = 0
        self._is_reopened = False

    def summary(self) -> ImportSummary:
        """Counts of what was written so far."""
        return ImportSummary(
            self._added_count, self._known_count, self._tick_count, self._gap_count, conflicts=self._conflict_count
        )

    def add(self, block: ImportedTrades) -> None:
        """Add trades whose ids do not fall."""
        if len(block) == 0:
            return
        trades, conflicts = self._select_new(block)
        if len(trades) and self._added_count == 0:
            self._expect_after_end(trades)
        recv_ns = np.maximum.accumulate(np.append(self._draft.last_recv_ns, trades.trade_time_ns))[1:]
        starts = [0, *(np.flatnonzero(np.diff(recv_ns // DAY_NS)) + 1).tolist()]
        for first, stop in zip(starts, [*starts[1:], len(trades)], strict=True):
            end = stop if stop < len(trades) else stop + 1
            inside = [c._replace(before=c.before - first) for c in conflicts if first <= c.before < end]
            self._write(trades.take(slice(first, stop)), recv_ns[first:stop], inside)

    def finish(self) -> None:
        """Write the tick after the last trade, in a segment of its own: the next file may hold more of its minute."""
        if self._last_ns is None or not (self._added_count or self._is_reopened):
            return
        boundary = self._last_ns // MINUTE_NS * MINUTE_NS + MINUTE_NS
        seq = self._draft.next_seq
        ends, last_recv_ns = np.array([boundary]), np.array([self._last_ns])
        tick = _tick_table(np.array([seq]), ends, np.array([True]), np.array([self._last_id]), last_recv_ns)
        self._draft.write(seq, {TICK: tick})
        self._tick_count += 1

    def _expect_after_end(self, trades: ImportedTrades) -> None:
        """Refuse new trades that do not follow the log's end: by time, or within a minute by consecutive ids."""
        first_id, first_ns = int(trades.agg_id[0]), int(trades.trade_time_ns[0])
        tick = self._draft.provisional_tick()
        if tick is not None and first_ns < tick["boundary_ns"]:
            self._draft.replace_provisional_tick()
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

    def _select_new(self, block: ImportedTrades) -> tuple[ImportedTrades, list[_Conflict]]:
        """The trades that are new to file and log, and those that contradict an earlier trade of their id."""
        trades, offset = (block, 0) if self._previous is None else (concatenate([self._previous, block]), 1)
        rows = np.arange(len(trades))
        is_new = np.append(True, np.diff(trades.agg_id) > 0)
        first_rows = np.maximum.accumulate(np.where(is_new, rows, 0))
        self._previous = trades.take(first_rows[-1:])
        is_new[:offset] = False
        repeats = rows[offset:][first_rows[offset:] < rows[offset:]]
        conflicts = self._find_conflicts(trades.take(repeats), trades.take(first_rows[repeats]), repeats)
        stored_rows, log_trades = _find_stored(self._importer.cold, block)
        is_first = is_new[offset:][stored_rows]
        stored_rows, log_trades = stored_rows[is_first] + offset, log_trades.take(np.flatnonzero(is_first))
        is_new[stored_rows] = False
        conflicts += self._find_conflicts(trades.take(stored_rows), log_trades, stored_rows)
        ordered_conflicts = [c._replace(before=int(is_new[: c.before].sum())) for c in sorted(conflicts)]
        return trades.take(is_new), ordered_conflicts

    def _find_conflicts(self, ours: ImportedTrades, theirs: ImportedTrades, rows: I64) -> list[_Conflict]:
        """Count equal trades as known; trades of other content are conflicts, each content once."""
        equal = equal_rows(ours, theirs)
        self._known_count += int(equal.sum())
        conflicts = []
        for i in np.flatnonzero(~equal).tolist():
            if self._quarantined_bytes is None:
                self._quarantined_bytes = self._importer.load_quarantined_bytes()
            data = msgspec.json.encode({"known": theirs.describe_trade(i), "conflicting": ours.describe_trade(i)})
            self._conflict_count += 1
            if data in self._quarantined_bytes:
                continue
            self._quarantined_bytes.add(data)
            conflicts.append(_Conflict(int(rows[i]), int(ours.agg_id[i]), data))
        return conflicts

    def _write(self, trades: ImportedTrades, recv_ns: I64, conflicts: list[_Conflict]) -> None:
        """Write a segment of the trades of one day, with the entries that belong before each of them."""
        n = len(trades)
        tables: list[tuple[int, I64, str, dict[str, Any]]] = []
        if n:
            ids = np.append(trades.agg_id[0] - 1 if self._last_id is None else self._last_id, trades.agg_id)
            times = np.append(recv_ns[0] if self._last_ns is None else self._last_ns, recv_ns)
            tables.append((_TRADE, np.arange(n), AGG_TRADE, _trade_columns(trades, recv_ns)))
            tables.append(self._tick_columns(ids, times))
            tables.append(self._gap_columns(ids, recv_ns))
            change = self._market.pop_change(int(recv_ns[0]))
            if change is not None:
                columns = {"recv_ns": recv_ns[:1], **instrument_columns(change)}
                tables.append((_INSTRUMENT, np.zeros(1, np.int64), INSTRUMENT, columns))
            self._last_id, self._last_ns = int(ids[-1]), int(times[-1])
        if conflicts:
            tick = self._draft.provisional_tick() if n == 0 else None
            if tick is not None:  # it must stay last, for the next file to continue from
                self._draft.replace_provisional_tick()
                self._next_boundary_ns, self._is_reopened = tick["boundary_ns"], True
            tables.append(self._conflict_columns(recv_ns, conflicts))
        if tables:
            self._number(tables)
        self._added_count += n

    def _tick_columns(self, ids: I64, times: I64) -> tuple[int, I64, str, dict[str, Any]]:
        """Ticks at the boundaries between each trade and the one before; in a long silence only the first."""
        minutes = times // MINUTE_NS
        counts = np.diff(minutes)
        counts = np.where(counts > _LONGEST_SILENCE_MINUTES, 1, counts)
        row = np.repeat(np.arange(len(counts)), counts)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        ends = (minutes[:-1][row] + 1 + nth) * MINUTE_NS
        # At the first boundary after a trade the feed was live; at later ones only if the next id follows.
        live = (nth == 0) | (np.diff(ids)[row] == 1)
        due = ends >= self._next_boundary_ns
        row, ends, live = row[due], ends[due], live[due]
        if len(ends):
            self._next_boundary_ns = int(ends[-1]) + MINUTE_NS
        self._tick_count += len(ends)
        return _TICK, row, TICK, _tick_columns(ends, live, ids[:-1][row], times[:-1][row])

    def _gap_columns(self, ids: I64, recv_ns: I64) -> tuple[int, I64, str, dict[str, Any]]:
        """A gap before each trade whose id does not follow the one before."""
        jumps = np.flatnonzero(np.diff(ids) > 1)
        self._gap_count += len(jumps)
        values = {"what": "agg_ids", "cause": "not_in_file", "state": "open"}
        columns = {name: [value] * len(jumps) for name, value in values.items()}
        return (
            _GAP,
            jumps,
            GAP,
            columns | {"recv_ns": recv_ns[jumps], "first": ids[:-1][jumps] + 1, "last": ids[1:][jumps] - 1},
        )

    def _conflict_columns(self, recv_ns: I64, conflicts: list[_Conflict]) -> tuple[int, I64, str, dict[str, Any]]:
        """Quarantine facts of contradicting trades; none arrives before the entry that it follows."""
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
        """Give each entry its seq by its place and write all of them."""
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
    sources = pa.DictionaryArray.from_arrays(np.zeros(len(recv_ns), np.int32), source.dictionary).cast(pa.string())
    return {"recv_ns": recv_ns, "source": sources, **trades.columns()}


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
