"""A storage that somebody else hands on, what lies outside of it, and every command that opens it."""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventlog.names import LogName
from eventlog.proof.certificate import certify, path_of, save
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from market.instrument import Market
from tests.builders import MAPPER, archive_csv, archive_row, as_tables, one_of_each_decision_kind
from tests.commands import run_here
from tests.market_builders import T0, a_market, write_log

MARKET = Market("binance", "BTCFDUSD")
EVENTS, DECISIONS = LogName("events", MARKET), LogName("decisions", MARKET)
LONGEST_S = 60
"""For a command on what others hand on: one that a pipe or a link holds up is an error."""
SCREEN = "\x1b[2J\x1b]0;owned\x07"
"""What a terminal obeys."""

Listing = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """A storage as it was handed on, and what is nobody's business."""

    folder: Path

    @property
    def storage(self) -> Path:
        """The storage; beside it, in `runs`, what was made of it."""
        return self.folder / "handed" / "storage"

    @property
    def runs(self) -> Path:
        """The folder of runs."""
        return self.folder / "handed" / "runs"

    @property
    def outside(self) -> Path:
        """The sentinel: files and a storage of the user's own."""
        return self.folder / "outside"

    @property
    def work(self) -> Path:
        """Where the user's own output goes."""
        return self.folder / "work"

    @property
    def log(self) -> Path:
        """The folder of the market's log."""
        return EVENTS.folder(self.storage)

    @property
    def decisions(self) -> Path:
        """The folder of the market's decisions."""
        return DECISIONS.folder(self.storage)

    @property
    def run(self) -> Path:
        """The folder of the one run there is."""
        return next(path for path in self.runs.iterdir() if (path / "manifest.json").exists())

    @property
    def config(self) -> Path:
        """Settings of daemons on this storage, whose venue does not answer."""
        path = self.work / "config.yaml"
        path.write_text(
            f"app: {{logs_dir: '{self.work / 'logs'}'}}\n"
            f"redis: {{embedded: true, storage_dir: '{self.storage}', trade_files: true}}\n"
            "binance: {symbol: BTCFDUSD, rest_url: 'http://127.0.0.1:9', websocket_url: 'ws://127.0.0.1:9'}\n"
        )
        return path


def build(folder: Path) -> Place:
    """Some minutes recorded, decisions about them, a certificate, a spill that waits, a run; and things outside."""
    place = Place(folder)
    for each in (place.outside, place.work, place.runs):
        each.mkdir(parents=True)
    log = write_log(place.storage, a_market(61, 6, per_minute=20), segments=3, market=MARKET)
    decisions = ColdLog(place.storage, DECISIONS)
    decisions.create(T0)
    decisions.append(1, 6, as_tables(one_of_each_decision_kind()))
    day = Log(log.cold, None, MAPPER.decoders)
    save(certify(day, T0), path_of(log.cold, "2026-03-02"))
    for path in place.log.glob("*.agg_trade.parquet"):
        shutil.copy2(path, place.outside / "stolen.parquet")
    (place.outside / "secret").write_text("mine\n")
    shutil.copytree(place.storage, place.outside / "storage")
    archive_csv(place.work / "more.csv", [archive_row(10**6 + i, at=T0 // 10**6 + 600_000 + i) for i in range(3)])
    done = run_here("replay", *next(ways_of(("replay", "run"), place)), longest_s=LONGEST_S)
    assert done.returncode == 0, done.stderr
    return place


def listing(folder: Path) -> Listing:
    """Everything in a folder, links not followed: form, mode, names, times, content."""
    found: Listing = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        about = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(about.st_mode) else os.readlink(path) if path.is_symlink() else ""
        content = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else data
        times = (about.st_mtime_ns, about.st_ctime_ns) if path != folder else ()
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_nlink, about.st_uid, *times, content)
    return found


def kept(folder: Path) -> set[bytes]:
    """The contents of all that must not vanish from a storage: recordings, certificates, spills."""
    return {
        path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name.endswith((".parquet", ".aof", "spill.log"))
    }


def is_kept(recorded: set[bytes], folder: Path) -> bool:
    """Whether a storage holds every content still, under whichever name; a server's file may have grown."""
    held = kept(folder)
    return all(content in held or any(now.startswith(content) for now in held) for content in recorded)


MOMENT = "2026-03-02T00:05"

COMMANDS: Mapping[tuple[str, ...], tuple[tuple[str, ...], ...]] = {
    ("eventlog", "check"): ((), ("--json",), ("--day", "2026-03-02"), ("--against", "{certificate}")),
    ("eventlog", "tail"): (("-n", "5000"), ("-n", "5000", "--json")),
    ("eventlog", "export"): (
        ("-o", "{work}/a.csv"),
        ("-o", "{work}/a.parquet", "--format", "parquet"),
        ("-o", "{work}/a.json", "--format", "json", "--kind", "snapshot"),
        ("-o", "{work}/minutes", "--kind", "trade_files"),
    ),
    ("eventlog", "compact"): ((),),
    ("eventlog", "rebuild-catalogue"): ((), ("--incomplete-start", "--incomplete-end")),
    ("eventlog", "import", "binance-aggtrades"): (("{work}/more.csv",),),
    ("eventlog", "import", "recording"): (("{work}/more.csv",),),
    ("replay", "run"): (("--out", "{runs}"), ("--out", "{runs}", "--analyst", "recorded")),
    ("replay", "verify"): ((), ("--verify-tools",)),
    ("replay", "transcript"): ((), ("-o", "{work}/talk.md")),
    ("replay", "picture"): (("--at", MOMENT, "-o", "{work}/a.svg"),),
    ("replay", "signals"): ((),),
    ("replay", "fit"): (("{market}@{storage}", "-o", "{work}/fit.json"),),
    ("replay", "probe"): (("--every", "4", "--out", "{runs}"),),
    ("replay", "ab"): (("--prompts", "default", "default", "--out", "{runs}"),),
    ("replay", "report"): (("{run}", "--storage", "{storage}"),),
    ("replay", "compare"): (("{run}", "{run}"),),
    ("research", "sql"): (
        ("select count(*), sum(price_e8) from agg_trade",),
        ("from model_call", "--json"),
        ("from run_scores", "--runs", "{runs}"),
    ),
}
"""Every command that opens what others wrote, in each way that reads or writes other things."""

WITHOUT_MARKET = {("replay", "fit"), ("replay", "report"), ("replay", "compare")}


def ways_of(command: tuple[str, ...], place: Place) -> Iterator[list[str]]:
    """A command's words, as a shell has them."""
    run = next((str(path) for path in sorted(place.runs.glob("[0-9a-f]*"))), str(place.runs / "none"))
    known = {
        "{work}": str(place.work), "{runs}": str(place.runs), "{storage}": str(place.storage), "{run}": run,
        "{market}": str(MARKET), "{certificate}": str(place.log / "certificate-2026-03-02.json"),
    }  # fmt: skip
    where = [] if command in WITHOUT_MARKET else ["--market", str(MARKET), "--storage", str(place.storage)]
    for words in COMMANDS[command]:
        filled = []
        for word in words:
            for name, value in known.items():
                word = word.replace(name, value)
            filled.append(word)
        yield [*command[1:], *filled, *where]
