"""
Bringing what others recorded into a log: whole files, each fact once, with the minute ticks they never had.

An archive has nobody's arrival times: a trade's `recv_ns` is its trade time (the largest so far, where a venue's
clock stepped back), and a tick follows the last trade before each minute's end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from eventlog import parquet_files
from eventlog.clock import Clock
from eventlog.cold import ColdLog
from eventlog.errors import ImportRefused
from eventlog.facts import AGG_TRADE, GAP, INSTRUMENT, SESSION, TICK, Gap
from eventlog.kinds import SCHEMAS
from eventlog.writer import StorageLock
from market.fixed_point import I64, common_unit
from market.instrument import Instrument
from market.timestamps import MINUTE_NS, SECOND_NS, floor_to, iso

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ImportedTrades:
    """n aggregated trades in the file's order, columns of shape (n,)."""

    agg_id: I64
    price_e8: I64
    quantity_e8: I64
    first_trade_id: I64
    last_trade_id: I64
    trade_time_ns: I64
    buyer_is_maker: Bools
    best_match: Bools | None

    def __len__(self) -> int:
        return len(self.agg_id)

    def take(self, rows: Any) -> "ImportedTrades":
        """The same columns at some rows."""
        picked: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        taken: dict[str, Any] = {name: None if c is None else c[rows] for name, c in picked.items()}
        return replace(self, **taken)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: rows added, rows already there, what else it wrote or passed over."""

    added: int
    known: int
    ticks: int = 0
    holes: int = 0
    skipped: int = 0
    quarantined: int = 0


class Importer:
    """
    Writes to one log that no recorder writes to.

    Args:
        cold: the log; created where it is missing.

    Raises:
        ImportRefused: the log was recorded live.
        WriterRefused: somebody is writing to it.
    """

    def __init__(self, cold: ColdLog, clock: Clock) -> None:
        self.cold = cold
        self.clock = clock
        self._lock = StorageLock(cold.folder, cold.name.key)
        try:
            cold.create(clock.now_ns())
            if self._recorded_live():
                raise ImportRefused(f"{cold.name} was recorded live; import into another --storage")
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Let other writers in."""
        self._lock.release()

    def agg_trades(self, file: str, trades: ImportedTrades) -> Imported:
        """
        Append the trades of one archive file that the log does not hold yet.

        Raises:
            ImportRefused: they are older than the log's end, or stamped in the future.
        """
        if np.any(np.diff(trades.agg_id) < 0):
            trades = trades.take(np.argsort(trades.agg_id, kind="stable"))
        unique = np.append(True, np.diff(trades.agg_id) > 0)
        known = int((~unique).sum())
        fresh = unique & ~self._known_ids(trades.agg_id)
        known = len(trades) - int(fresh.sum())
        if known:
            trades = trades.take(fresh)
        if len(trades) == 0:
            return Imported(0, known)
        recv_ns = np.maximum.accumulate(trades.trade_time_ns)
        self.expect_later(file, int(recv_ns[0]), int(recv_ns[-1]))
        tables, last_seq, holes = self._tables(trades, recv_ns)
        self.cold.append(self.cold.catalogue.last_seq + 1, last_seq, tables)
        return Imported(len(trades), known, tables[TICK].num_rows, holes)

    def expect_later(self, file: str, first_ns: int, last_ns: int) -> None:
        """Refuse what starts before the log ends, or ends in the future."""
        end = self.cold.catalogue.last_recv_ns
        if first_ns < end:
            raise ImportRefused(
                f"{file} starts at {iso(first_ns)}, before the log's end at {iso(end)}; "
                "import files in order of time, or into another --storage"
            )
        if last_ns > self.clock.now_ns() + 60 * SECOND_NS:
            raise ImportRefused(f"{file} holds a trade stamped {iso(last_ns)}, in the future; nothing was imported")

    def has(self, kind: str) -> bool:
        """Whether the log holds entries of a kind."""
        return any(f.kind == kind for s in self.cold.catalogue.segments for f in s.files)

    def column(self, kind: str, name: str) -> I64:
        """One column of everything of a kind in the log."""
        parts = [b.rows[kind][name] for b in self.cold.read(0, self.cold.catalogue.last_seq, [kind], {kind: [name]})
                 if kind in b.rows]  # fmt: skip
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _recorded_live(self) -> bool:
        return self.has(SESSION) or (self.cold.folder / "reserved.json").exists()

    def _known_ids(self, ids: I64) -> Bools:
        known = np.zeros(len(ids), bool)
        for segment in self.cold.catalogue.segments:
            if segment.first_agg_id is None or segment.last_agg_id is None:
                continue
            if segment.last_agg_id < ids[0] or segment.first_agg_id > ids[-1]:
                continue
            for file in segment.files:
                if file.kind == AGG_TRADE:
                    stored = parquet_files.read(AGG_TRADE, self.cold.path_of(file), ["agg_id"])
                    known |= np.isin(ids, stored.column("agg_id").to_numpy())
        return known

    def _tables(self, trades: ImportedTrades, recv_ns: I64) -> tuple[dict[str, pa.Table], int, int]:
        n = len(trades)
        base = self.cold.catalogue.last_seq
        tables: dict[str, pa.Table] = {}
        if not self.has(INSTRUMENT):
            base += 1
            tables[INSTRUMENT] = _inferred(base, self.cold.name.market.symbol, trades, int(recv_ns[0]))
        first_end = floor_to(int(recv_ns[0]), MINUTE_NS) + MINUTE_NS
        ends = np.arange(first_end, floor_to(int(recv_ns[-1]), MINUTE_NS) + MINUTE_NS + 1, MINUTE_NS)
        before = np.searchsorted(recv_ns, ends, side="left")
        trade_seq = base + 1 + np.arange(n) + np.searchsorted(ends, recv_ns, side="right")
        tick_seq = base + 1 + before + np.arange(len(ends))
        tables[AGG_TRADE] = _trade_table(trades, trade_seq, recv_ns)
        tables[TICK] = _tick_table(ends, tick_seq, trades.agg_id[before - 1], recv_ns[before - 1])
        last_seq = base + n + len(ends)
        holes = self.holes(trades.agg_id)
        if holes:
            tables[GAP] = table(GAP, {
                "seq": last_seq + 1 + np.arange(len(holes)),
                "recv_ns": np.full(len(holes), int(ends[-1])),
                **{name: [getattr(g, name) for g in holes] for name in ("what", "first", "last", "cause", "state")},
            })  # fmt: skip
        return tables, last_seq + len(holes), len(holes)

    def holes(self, ids: I64) -> list[Gap]:
        """What is missing among rising trade ids, and between them and the log's last; nothing for no ids."""
        if len(ids) == 0:
            return []
        newest = [s.last_agg_id for s in self.cold.catalogue.segments if s.last_agg_id is not None]
        whole = np.append(max(newest), ids) if newest else ids
        at = np.flatnonzero(np.diff(whole) > 1)
        return [Gap("agg_ids", int(whole[i]) + 1, int(whole[i + 1]) - 1, "not_in_file", "open") for i in at]


def table(kind: str, columns: Mapping[str, Any]) -> pa.Table:
    """A kind's table from columns by name; what is not named is null."""
    schema = SCHEMAS[kind]
    rows = len(columns["seq"])
    arrays = [
        pa.array(columns[f.name], f.type) if columns.get(f.name) is not None else pa.nulls(rows, f.type) for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _trade_table(trades: ImportedTrades, seq: I64, recv_ns: I64) -> pa.Table:
    columns = {f.name: getattr(trades, f.name) for f in fields(trades)}
    source = pa.array(["archive"]).dictionary_encode()
    repeated = pa.DictionaryArray.from_arrays(np.zeros(len(seq), np.int32), source.dictionary).cast(pa.string())
    return table(AGG_TRADE, {"seq": seq, "recv_ns": recv_ns, "source": repeated, **columns})


def _tick_table(ends: I64, seq: I64, last_agg_id: I64, last_recv_ns: I64) -> pa.Table:
    return table(
        TICK,
        {
            "seq": seq,
            "recv_ns": ends,
            "boundary_ns": ends,
            "interval_ns": np.full(len(ends), MINUTE_NS),
            "trades": ["live"] * len(ends),
            "depth": ["down"] * len(ends),
            "last_agg_id": last_agg_id,
            "last_trade_recv_ns": last_recv_ns,
        },
    )


def _inferred(seq: int, symbol: str, trades: ImportedTrades, recv_ns: int) -> pa.Table:
    seen = Instrument(
        symbol, "unknown", common_unit(trades.price_e8), common_unit(trades.quantity_e8), source="inferred"
    )
    names = ("symbol", "status", "tick_size_e8", "step_size_e8", "min_notional_e8", "quantity_decimals", "source")
    columns = {name: [getattr(seen, name)] for name in names}
    return table(INSTRUMENT, {"seq": [seq], "recv_ns": [recv_ns], **columns})
