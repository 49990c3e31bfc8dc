"""
A log against the ledger of the exchange it was recorded from: the same, or without exactly what could not be had.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from eventlog.codec import decode_entries
from eventlog.facts.capture import BOOK_AUDIT, GAP, QUARANTINE, SESSION, TICK
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF
from eventlog.names import LogName
from eventlog.proof.check import check, latest_states, permanent_gaps
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from runtime.open_log import mapper_for, quantity_decimals
from tests.soak.scenario import Play

_KINDS = (AGG_TRADE, DIFF, GAP, QUARANTINE, SESSION, TICK, BOOK_AUDIT)
_TRADE = ("agg_id", "price_e8", "quantity_e8", "first_trade_id", "last_trade_id", "trade_time_ns", "buyer_is_maker")
_DIFF = ("event_time_ns", "first_update_id", "last_update_id", "bid_price_e8", "bid_quantity_e8", "ask_price_e8",
         "ask_quantity_e8")  # fmt: skip
_GARBLES = {"malformed_json", "truncated_json", "invalid_utf8", "json_numbers", "unknown_event", "other_symbol",
            "binary_noise", "giant_message", "cut_json"}  # fmt: skip

Ids = set[int]


@dataclass
class Verdict:
    """
    What a log holds, and what is wrong with it.

    Attributes:
        lacking: how many trades and diffs were not to be had. counts: how many facts of each kind.
    """

    wrong: list[str] = field(default_factory=list)
    trades: int = 0
    diffs: int = 0
    lacking_trades: int = 0
    lacking_diffs: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def expect(self, is_so: bool, otherwise: str) -> None:
        """Note what is wrong."""
        if not is_so:
            self.wrong.append(otherwise)


def judge(play: Play) -> Verdict:
    """Read the log and compare it with what the exchange made, handed out and hid."""
    verdict = Verdict(wrong=list(play.wrong))
    name = LogName("events", play.market)
    cold, hot = ColdLog(play.folder, name), HotLog(play.line.connect(), name)
    log = Log(cold, hot, mapper_for(play.market, quantity_decimals(cold, hot)).decoders)
    tables = _read(log)
    gaps = latest_states(tables[GAP].to_pylist()) if GAP in tables else []
    verdict.counts = {kind: table.num_rows for kind, table in tables.items()}
    _judge_trades(play, verdict, tables.get(AGG_TRADE), [g for g in gaps if g["what"] == "agg_ids"])
    _judge_diffs(play, verdict, log, tables.get(DIFF), [g for g in gaps if g["what"] == "update_ids"])
    _judge_words(play, verdict, tables)
    report = check(log)
    for word in ("open_gaps", "unnamed_seqs", "unnamed_agg_ids", "broken_chain", "damaged"):
        found = getattr(report, word)
        verdict.expect(not found, f"check: {word}: {found[:3]}")
    verdict.expect(report.duplicates == 0, f"check: {report.duplicates} duplicates")
    others = [r for r in report.reasons if not r.startswith("missing for good")]  # updates alone may be, by name
    lost = [gap for gap in permanent_gaps(report.given_up_gaps) if gap["what"] not in ("update_ids", "snapshot")]
    verdict.expect(report.trades_complete and not others and not lost, f"check: {others} {lost}")
    return verdict


def _read(log: Log) -> dict[str, pa.Table]:
    parts: dict[str, list[pa.Table]] = {}
    for batch in log.read(kinds=_KINDS):
        for kind, rows in batch.rows.items():
            parts.setdefault(kind, []).append(rows.table())
    return {kind: pa.concat_tables(tables) for kind, tables in parts.items()}


def _judge_trades(play: Play, verdict: Verdict, table: pa.Table | None, gaps: list[dict[str, Any]]) -> None:
    assert play.exchange.venue is not None
    conditions = play.exchange.conditions
    truth = conditions.publish_trades(play.exchange.venue.ledger.dump())
    there = {int(row[0]): tuple(row) for row in truth.columns.T.tolist()}
    if table is None:
        verdict.wrong.append("no trades at all")
        return
    columns = [table.column(name).to_pylist() for name in _TRADE]
    rows = [tuple(map(int, row)) for row in zip(*columns, strict=True)]
    held = {row[0]: row for row in rows}
    verdict.trades, last = len(rows), max(held)
    verdict.expect(len(held) == len(rows), f"{len(rows) - len(held)} trades are there twice")
    other = [i for i, row in held.items() if there.get(i) != row]
    verdict.expect(not other, f"trades differ from the ledger's: {other[:3]}")
    verdict.expect(last >= play.must_know[0], f"trades end at {last}, before {play.must_know[0]}")
    missing = {i for i in there if i <= last} - set(held)
    hidden = {i for i in conditions.hidden_agg_ids if i <= last}
    verdict.lacking_trades = len(missing)
    verdict.expect(missing == hidden, f"trades missing though there: {_shown(missing - hidden)}")
    verdict.expect(hidden <= missing, f"trades there though hidden: {_shown(hidden - missing)}")
    absent = _absent(np.array(sorted(held), np.int64))
    _expect_named(verdict, "agg ids", absent, gaps, set(held))


def _judge_diffs(play: Play, verdict: Verdict, log: Log, table: pa.Table | None, gaps: list[dict[str, Any]]) -> None:
    made = play.exchange.hub.diffs.records
    if table is None:
        verdict.wrong.append("no diffs at all")
        return
    truth = decode_entries([Entry(i, DIFF, 0, d.payload) for i, d in enumerate(made)], log.venue)[DIFF]
    there = {row[1:3]: row for row in zip(*(truth.column(n).to_pylist() for n in _DIFF), strict=True)}
    rows = list(zip(*(table.column(n).to_pylist() for n in _DIFF), strict=True))
    held = {row[1:3]: row for row in rows}
    verdict.diffs = len(rows)
    verdict.expect(len(held) == len(rows), f"{len(rows) - len(held)} diffs are there twice")
    other = [key for key, row in held.items() if there.get(key) != row]
    verdict.expect(not other, f"diffs differ from those made: {other[:3]}")
    first, last = min(held)[0], max(held)[1]
    verdict.expect(last >= play.must_know[1], f"diffs end at {last}, before {play.must_know[1]}")
    missing = [d for d in made if first <= d.first and d.last <= last and (d.first, d.last) not in held]
    verdict.lacking_diffs = len(missing)
    away = [(at, min((a for a, _ in held if a > at), default=at)) for at in play.stopped_at]
    # Told to stop at update id `at`, which may still have been on its way, and back with the first one after it.
    dropped = [(d.first, d.last) for d in missing if d.deliveries and not any(at <= d.last < back for at, back in away)]
    if play.on_the_way:  # and, where messages take time, those sent into a connection that was ending
        ended = [g for g in gaps if g["cause"] in ("disconnect", "silent", "restart")]
        dropped = [d for d in dropped if not any(g["first"] <= d[0] and d[1] <= g["last"] for g in ended)]
    causes = sorted({g["cause"] for g in gaps if any(g["first"] <= d[0] <= g["last"] for d in dropped)})
    verdict.expect(not dropped, f"{len(dropped)} diffs missing though handed over ({causes}): {dropped[:3]}")
    ids = np.concatenate([np.arange(a, b + 1) for a, b in sorted(held)])
    _expect_named(verdict, "update ids", _absent(ids), gaps, set(ids.tolist()))


def _expect_named(verdict: Verdict, what: str, absent: Ids, gaps: list[dict[str, Any]], held: Ids) -> None:
    """The ids absent between the first and the last are those that gaps name as given up, no more and no fewer."""
    given_up = [range(g["first"], g["last"] + 1) for g in gaps if g["state"] == "given_up"]
    named = {i for ids in given_up for i in ids}
    verdict.expect(absent <= named, f"{what} missing that no gap names: {_shown(absent - named)}")
    beyond = named - held - absent
    verdict.expect(not beyond, f"{what} named as missing outside of what is held: {_shown(beyond)}")
    empty = [ids for ids in given_up if held.issuperset(ids)]
    verdict.expect(not empty, f"{what} named as given up though all are held: {empty[:3]}")
    filled = {i for g in gaps if g["state"] == "filled" for i in range(g["first"], g["last"] + 1)}
    verdict.expect(filled - named <= held, f"{what} named as filled but missing: {_shown(filled - named - held)}")


def _judge_words(play: Play, verdict: Verdict, tables: dict[str, pa.Table]) -> None:
    """What the collector said of itself and of the venue."""
    boundaries = tables[TICK].column("boundary_ns").to_pylist() if TICK in tables else []
    rising = all(a < b for a, b in pairwise(boundaries))
    verdict.expect(rising, "ticks do not rise")
    if BOOK_AUDIT in tables:
        sick = [row for row in tables[BOOK_AUDIT].to_pylist() if not row["healthy"]]
        verdict.expect(not sick, f"{len(sick)} books found wrong: {sick[0]['examples'][:2] if sick else ''}")
    if not _GARBLES & {rule["fault"] for rule in play.scenario.rules} and QUARANTINE in tables:
        verdict.wrong.append(f"quarantined without a reason: {tables[QUARANTINE].column('reason').to_pylist()[:2]}")
    events = tables[SESSION].column("event").to_pylist() if SESSION in tables else []
    verdict.expect(bool(events) and events[-1] == "stopped", f"the last word is not that it stopped: {events[-3:]}")


def _absent(numbers: Any) -> Ids:
    """The ids missing between rising ones."""
    at = np.flatnonzero(np.diff(numbers) > 1)
    return {i for k in at for i in range(int(numbers[k]) + 1, int(numbers[k + 1]))}


def _shown(ids: Ids) -> str:
    return f"{len(ids)}: {sorted(ids)[:3]}…{max(ids)}" if ids else "none"
