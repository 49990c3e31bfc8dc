"""
A folder in which the collector is killed at point after point, and what is then asked of its log.
"""

import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from eventlog.codec import decode_entries
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF
from eventlog.names import LogName
from eventlog.server import embedded_server
from eventlog.store.log import Log
from market.instrument import Market
from market.timestamps import iso
from runtime.daemon import status
from runtime.open_log import open_log
from tests.integration.daemons import MARKET, Stage, wait_for
from tests.soak import traced_server
from tests.soak.kill_points import BESIDE_THE_LOG, SITES, Life, Point, Told, done_file, lives, read_journal
from tests.soak.killed_collector import live

_FORKS = multiprocessing.get_context("forkserver")  # what a collector imports is imported once
_FORKS.set_forkserver_preload(["tests.soak.killed_collector"])
_LIFE_S = 20.0
_PATIENT_LIFE_S = 60.0
_WRONG = ("open_gaps", "unnamed_seqs", "unnamed_agg_ids", "broken_chain", "damaged", "duplicates")
_TRADE_COLUMNS = {
    "agg_id": "agg_id", "price_e8": "price_e8", "quantity_e8": "quantity_e8", "first_trade_id": "first_id",
    "last_trade_id": "last_id", "trade_time_ns": "time_ns", "buyer_is_maker": "buyer_is_maker",
}  # fmt: skip


@dataclass
class _Living:
    """A collector's process, what it was told, and what it printed."""

    process: ForkServerProcess
    journal: Path
    output: Path

    def text(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def interrupt(self) -> int | None:
        if self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.process.pid or 0, signal.SIGINT)
        self.process.join(15)
        return self.process.exitcode


@dataclass
class KillStage:
    """
    An exchange that trades fast, and the lives of one collector.

    Attributes:
        until_reached: every point is waited for until its very write comes, however busy the machine.
        told: what every life was told, in order. refused: lives that ended with a word because the server was gone.
    """

    folder: Path
    until_reached: bool = False
    told: list[Told] = field(default_factory=list)
    started: int = 0
    refused: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.stage = Stage(self.folder, interval_s=2, history_hours=0.01, archive_s=1, trades_per_second=200.0)
        self.stage.exchange()
        self._living: list[_Living] = []

    def kill_at(self, points: Sequence[Point]) -> None:
        """Let one life after the other end at its point, then let the last one catch up and stop it in order."""
        began = time.monotonic()
        for part in lives(points):
            left = part
            while left:
                left = left[self._live(left) :]
        self._catch_up_and_stop()
        self.seconds = time.monotonic() - began

    def kill_server_at(self, points: Sequence[str]) -> list[str]:
        """Let the server end at point after point of its own; how each of them ended it."""
        began = time.monotonic()
        left, done, binary = (self.folder / name for name in ("points", "killed", "server.sh"))
        left.write_text("".join(f"{point}\n" for point in points))
        done.touch()
        words = (sys.executable, traced_server.__file__, embedded_server._binary(), left, done)
        binary.write_text(f'#!/bin/sh\nexec {" ".join(map(str, words))} "$@"\n')
        binary.chmod(0o700)
        deadline = began + _LIFE_S * len(points)
        while len(killed := done.read_text().splitlines()) < len(points):
            life = self._begin([], str(binary))
            while life.process.is_alive() and len(done.read_text().splitlines()) < len(points):
                assert time.monotonic() < deadline, f"{killed}\n{life.text()}"
                life.process.join(0.05)
            code = life.interrupt()
            assert code == 0 or (code == 1 and "\nerror: the " in f"\n{life.text()}"), life.text()
            self.refused += code == 1
            self.told += read_journal(life.journal)
        self._catch_up_and_stop()
        self.seconds = time.monotonic() - began
        return killed

    def findings(self) -> list[str]:
        """What the log holds against what the collector was told and the exchange traded; nothing where all is well."""
        arguments = ("--market", MARKET, "--storage", str(self.stage.storage), "--json")
        done = self.stage.run("-m", "eventlog", "check", *arguments, code=None)
        if not done.stdout:
            return [done.stderr]
        report = json.loads(done.stdout)
        found = [f"check: {name} {report[name]}" for name in _WRONG if report[name]]
        found += [] if report["trades_complete"] else [f"check: trades are missing: {report['reasons']}"]
        with open_log(self.stage.storage, Market.parse(MARKET)) as log:
            tables = _tables(log)
            held = {seq: digest for kind, table in tables.items() for seq, digest in _digests(kind, table)}
            found += _against_what_was_told(held, self.told, log)
        trades = tables[AGG_TRADE]
        ids = trades.column("agg_id").to_numpy()
        found += _against_ledger(trades, self.stage.ledger(int(ids.min()), int(ids.max())))
        updates = tables[DIFF].column("last_update_id").to_pylist()
        found += [f"a diff is there twice: {u}" for u, times in Counter(updates).items() if times > 1]
        strange = {t.site for t in self.told if t.what == "site"} - SITES.keys() - BESIDE_THE_LOG
        return found + [f"site {site!r} is not in the list of sites" for site in sorted(strange)]

    def count(self, what: str) -> int:
        """How many entries or facts were told of, or records of another sort there are."""
        records = [t for t in self.told if t.what == what]
        return sum(len(t.entries) + len(t.facts) or 1 for t in records)

    @property
    def reached(self) -> int:
        """How many points were the very write; the others' time was up first."""
        return sum(t.reached for t in self.told)

    def summary(self) -> str:
        """What came of it, on one line."""
        return (
            f"{self.started} lives, {self.refused} ended by a word, {self.count('acknowledged')} acknowledged, "
            f"{self.count('spilled')} spilled, {self.seconds:.0f} s"
        )

    def end(self) -> None:
        """Nothing is left running."""
        for life in self._living:
            if life.process.is_alive():
                life.process.kill()
                life.process.join()
        self.stage.end()

    def _catch_up_and_stop(self) -> None:
        since = iso(time.time_ns())
        life = self._begin([])
        wait_for(lambda: self._caught_up(since) or not life.process.is_alive(), 30, 0.05)
        assert life.interrupt() == 0, life.text()
        self.told += read_journal(life.journal)

    def _begin(self, points: list[Point], binary: str = "") -> "_Living":
        self.started += 1
        path = self.folder / f"life-{self.started}.json"
        journal, output = path.with_suffix(".told"), path.with_suffix(".out")
        life = Life(str(self.stage.config), str(self.stage.storage), str(journal), points, binary, self.until_reached)
        path.write_bytes(msgspec.json.encode(life))
        process = _FORKS.Process(target=live, args=(path, output))
        process.start()
        self._living.append(_Living(process, journal, output))
        return self._living[-1]

    def _live(self, points: list[Point]) -> int:
        """One life; how many points it took."""
        of_server = points[0].who == "server"
        life = self._begin(points)
        deadline = time.monotonic() + (_PATIENT_LIFE_S if self.until_reached else _LIFE_S) * len(points)
        while life.process.is_alive() and not (of_server and done_file(life.journal).exists()):
            assert time.monotonic() < deadline, f"{points[0]} never came\n{life.text()}"
            life.process.join(0.05)
        code = life.interrupt()  # a collector outlives its server, and can be stopped in order
        told = read_journal(life.journal)
        self.told += told
        taken = sum(t.what == "point" for t in told)
        assert taken > 0, life.text()
        if points[0].who != "collector" and code == 1:  # no server while the log was being opened: one line says so
            assert "\nerror: the " in f"\n{life.text()}", life.text()
            self.refused += 1
        else:
            assert code == (0 if of_server else -9), life.text()
        return taken

    def _caught_up(self, since: str) -> bool:
        said = status.read_status(LogName("events", Market.parse(MARKET)).folder(self.stage.storage))
        here = said.get("written_at", "") > since and said["running"] and not said.get("server_away", True)
        return bool(here and said.get("trades") == "live" and said.get("waiting_on_disk") == 0)


def _tables(log: Log) -> dict[str, pa.Table]:
    parts: dict[str, list[pa.Table]] = {}
    for batch in log.read():
        for kind, rows in batch.rows.items():
            parts.setdefault(kind, []).append(rows.table())
    return {kind: pa.concat_tables(found) for kind, found in parts.items()}


def _digests(kind: str, table: pa.Table) -> Iterator[tuple[int, bytes]]:
    """The seq of each row, and a digest of everything else in it."""
    for seq, row in zip(table.column("seq").to_pylist(), table.drop_columns(["seq"]).to_pylist(), strict=True):
        yield seq, hashlib.blake2b(f"{kind} {row}".encode(), digest_size=16).digest()


def _decoded(entries: Sequence[Entry], log: Log) -> Iterator[tuple[int, bytes]]:
    for kind, table in decode_entries(entries, log.venue).items():
        yield from _digests(kind, table)


def _against_what_was_told(held: dict[int, bytes], told: Sequence[Told], log: Log) -> list[str]:
    acknowledged = dict(_decoded([e for t in told for e in t.entries], log))
    facts = [f for t in told for f in t.facts]
    spilled = dict(_decoded([Entry(n, f.kind, f.recv_ns, f.data) for n, f in enumerate(facts)], log))
    times = Counter(held.values())
    missing = sorted(acknowledged.keys() - held.keys())
    changed = sorted(s for s in acknowledged.keys() & held.keys() if acknowledged[s] != held[s])
    bytes_of = {e.seq: e for t in told for e in t.entries}
    changed += [e.seq for e in log.entries(0, len(held)) if bytes_of.get(e.seq, e) != e]
    unstored = [n for n in spilled if times[spilled[n]] == 0]
    twice = sorted(s for s, digest in held.items() if times[digest] > 1)
    findings = {
        "acknowledged, not in the log": missing, "acknowledged with other bytes": changed,
        "spilled, not in the log (as the n-th)": unstored, "in the log twice": twice,
    }  # fmt: skip
    return [f"{name}: {len(found)}, {found[:10]}" for name, found in findings.items() if found]


def _against_ledger(trades: pa.Table, ledger: dict[str, list[int]]) -> list[str]:
    """Trade by trade: nothing missing, nothing twice, nothing different."""
    order = np.argsort(trades.column("agg_id").to_numpy(), kind="stable")
    found = []
    for name, name_there in _TRADE_COLUMNS.items():
        ours = trades.column(name).to_numpy(zero_copy_only=False)[order].astype(np.int64)
        if not np.array_equal(ours, np.array(ledger[name_there], np.int64)):
            found.append(f"{name} is not what the exchange traded")
    return found
