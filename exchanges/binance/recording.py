"""
Recordings of the venue's own messages: `<local receive time, ns> <message>` a line, plain or gzip.

`trade` messages are kept as aggTrades of one trade; bookTicker is counted and passed over; a bare
`{"lastUpdateId": …}` is a REST depth body. Minute ticks are put in where the receive time crosses a minute.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from eventlog.codec import decode_entries
from eventlog.facts import AGG_TRADE, DIFF, GAP, INSTRUMENT, QUARANTINE, SNAPSHOT, TICK, Entry, Quarantine, Tick
from eventlog.importing import Imported, Importer
from exchanges.binance.instruments import inferred_instrument
from exchanges.binance.mapper import UNREADABLE, BadMessage, BinanceMapper, pack_snapshot, unwrap
from exchanges.errors import BadFile
from market.fixed_point import I64, common_unit
from market.timestamps import MINUTE_NS, floor_to

_EVENT_KINDS = {"aggTrade": AGG_TRADE, "trade": AGG_TRADE, "depthUpdate": DIFF}
_FRESH_NS = MINUTE_NS
_LATEST_NS = 2**62  # in 2116: what is added to a time still fits 64 bits


class Recording:
    """
    The facts of one recording.

    Attributes:
        entries: facts in the order of the lines, numbered from 0, ticks not yet among them.
        passed_over: messages of streams the log has no kind for.
        quarantined: messages that could not be read; they are among the entries, as such.
    """

    def __init__(self, path: Path, mapper: BinanceMapper) -> None:
        self.entries: list[Entry] = []
        self.passed_over = 0
        self.quarantined = 0
        self._mapper = mapper
        for number, (recv_ns, message) in enumerate(lines(path), 1):
            try:
                self._take(recv_ns, message)
            except BadMessage as error:
                self.quarantine(Entry(number, "message", recv_ns, message), str(error))
        if not self.entries:
            raise BadFile(f"{path} holds no trade, depth update or snapshot")
        self._quarantine_unreadable()

    def quarantine(self, entry: Entry, reason: str) -> None:
        """Keep unreadable bytes as a quarantine fact at the end of what was read so far."""
        self.entries.append(self._quarantined(entry, reason))

    def with_ticks(self, after_ns: int, first_seq: int) -> list[Entry]:
        """The entries with a tick wherever the receive time crosses a minute after a time, numbered from a seq."""
        ticker = _Ticker(self._mapper, after_ns)
        numbered: list[Entry] = []
        for entry in self.entries:
            for each in (*ticker.before(entry), entry):
                numbered.append(Entry(first_seq + len(numbered), each.kind, each.recv_ns, each.data))
            ticker.saw(numbered[-1])
        return numbered

    def unknown(self, importer: Importer) -> int:
        """Drop the entries a log holds already; returns how many."""
        known_trades = {int(i) for i in importer.column(AGG_TRADE, "agg_id")}
        known_diffs = {int(i) for i in importer.column(DIFF, "last_update_id")}
        known_books = {int(i) for i in importer.column(SNAPSHOT, "last_update_id")}
        before = len(self.entries)
        keys = {AGG_TRADE: ("agg_id", known_trades), DIFF: ("last_update_id", known_diffs),
                SNAPSHOT: ("last_update_id", known_books)}  # fmt: skip
        drop = set[int]()
        for kind, (name, known) in keys.items():
            places = [i for i, e in enumerate(self.entries) if e.kind == kind]
            if places:
                ids = self._mapper.decoders[kind]([self.entries[i] for i in places]).column(name).to_pylist()
                for place, number in zip(places, ids, strict=True):
                    if number in known:
                        drop.add(place)
                    known.add(number)
        self.entries = [e for i, e in enumerate(self.entries) if i not in drop]
        return before - len(self.entries)

    def agg_ids(self) -> I64:
        """The trades' ids, rising."""
        entries = [e for e in self.entries if e.kind == AGG_TRADE]
        ids = self._mapper.agg_trades(entries).column("agg_id").to_numpy() if entries else np.empty(0, np.int64)
        return np.sort(ids)

    def instrument(self) -> bytes:
        """The grid that the recorded prices and quantities lie on."""
        ticks, steps = set[int](), set[int]()
        for kind, names in ((AGG_TRADE, ("price_e8", "quantity_e8")),):
            entries = [e for e in self.entries if e.kind == kind]
            if entries:
                table = self._mapper.decoders[kind](entries)
                ticks.add(common_unit(table.column(names[0]).to_numpy()))
                steps.add(common_unit(table.column(names[1]).to_numpy()))
        return inferred_instrument(self._mapper.symbol, min(ticks, default=1), min(steps, default=1))

    def _take(self, recv_ns: int, message: bytes) -> None:
        if message.startswith(b'{"lastUpdateId"'):
            packed = pack_snapshot(recv_ns, recv_ns, _limit(message), message)
            self.entries.append(Entry(0, SNAPSHOT, recv_ns, packed))
            return
        name, inner = unwrap(message)
        kind = _EVENT_KINDS.get(name)
        if kind is None:
            self.passed_over += 1
        else:
            self.entries.append(Entry(0, kind, recv_ns, inner))

    def _quarantine_unreadable(self) -> None:
        """Read everything once, a kind at a time; what the mapper refuses becomes quarantine where it stands."""
        for kind in (AGG_TRADE, DIFF, SNAPSHOT):
            places = [i for i, e in enumerate(self.entries) if e.kind == kind]
            while places:
                try:
                    self._mapper.decoders[kind]([self.entries[i] for i in places])
                    break
                except BadMessage as error:
                    bad = places.pop(error.row)
                    self.entries[bad] = self._quarantined(self.entries[bad], str(error))

    def _quarantined(self, entry: Entry, reason: str) -> Entry:
        self.quarantined += 1
        body = Quarantine(reason, "import", entry.data)
        return Entry(0, QUARANTINE, entry.recv_ns, msgspec.json.encode(body))


def bring_in(importer: Importer, path: Path, mapper: BinanceMapper) -> Imported:
    """
    Append a recording to a log, whole; what the log holds already is left out.

    Raises:
        BadFile: it is no recording. ImportRefused: it is older than the log's end.
    """
    recording = Recording(path, mapper)
    known = recording.unknown(importer)
    fresh = [e for e in recording.entries if e.kind != QUARANTINE]
    if not fresh:
        return Imported(0, known, skipped=recording.passed_over)
    arrivals = [e.recv_ns for e in recording.entries]
    importer.expect_later(str(path), min(arrivals), max(arrivals))
    first_seq = importer.cold.catalogue.last_seq + 1
    head = [] if importer.has(INSTRUMENT) else [Entry(first_seq, INSTRUMENT, arrivals[0], recording.instrument())]
    entries = head + recording.with_ticks(importer.cold.catalogue.last_recv_ns, first_seq + len(head))
    holes = importer.holes(recording.agg_ids())
    entries += [
        Entry(entries[-1].seq + 1 + i, GAP, entries[-1].recv_ns, msgspec.json.encode(gap))
        for i, gap in enumerate(holes)
    ]
    importer.cold.append(first_seq, entries[-1].seq, decode_entries(entries, mapper.decoders))
    ticks = sum(e.kind == TICK for e in entries)
    return Imported(len(fresh), known, ticks, len(holes), recording.passed_over, recording.quarantined)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """
    The lines of a recording: receive time (ns) and message, as they stand in the file.

    Raises:
        BadFile: it cannot be read, or a line is none of a recording's.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                stamp, _, message = line.strip().partition(b" ")
                if not stamp and not message:
                    continue
                if not stamp.isdigit() or not 18 <= len(stamp) <= 19 or int(stamp) > _LATEST_NS or not message:
                    raise BadFile(f"{path} line {number} is not `<receive time, ns> <message>`: {line[:40]!r}")
                yield int(stamp), message
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadFile(f"{path} is cut short or damaged ({error}); fetch it again") from error
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror or error}") from error


def _limit(body: bytes) -> int:
    try:
        sides = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return max(len(msgspec.json.decode(sides[s], type=list[msgspec.Raw])) for s in ("bids", "asks"))
    except (KeyError, *UNREADABLE) as error:
        raise BadMessage(0, f"no depth body: {error}") from error


class _Ticker:
    """Puts in the minute ticks that the recorder did not write."""

    def __init__(self, mapper: BinanceMapper, after_ns: int) -> None:
        self._end_ns = after_ns and floor_to(after_ns, MINUTE_NS) + MINUTE_NS
        self._mapper = mapper
        self._last: dict[str, Entry] = {}

    def before(self, entry: Entry) -> Sequence[Entry]:
        """The tick due before an entry, if one is; boundaries nobody watched are not made up."""
        if not self._end_ns or entry.recv_ns >= self._end_ns + MINUTE_NS:
            self._end_ns = floor_to(entry.recv_ns, MINUTE_NS) + MINUTE_NS
        elif entry.recv_ns >= self._end_ns:
            tick = self._tick()
            self._end_ns += MINUTE_NS
            return [tick]
        return []

    def saw(self, entry: Entry) -> None:
        """Remember the newest entry of each kind."""
        self._last[entry.kind] = entry

    def _tick(self) -> Entry:
        trade, snapshot = self._last.get(AGG_TRADE), self._last.get(SNAPSHOT)
        depth = max((e.recv_ns for k, e in self._last.items() if k in (DIFF, SNAPSHOT)), default=None)
        tick = Tick(
            boundary_ns=self._end_ns,
            interval_ns=MINUTE_NS,
            trades="live" if trade is not None and self._end_ns - trade.recv_ns < _FRESH_NS else "down",
            depth="down" if not snapshot else "live" if self._end_ns - snapshot.recv_ns < _FRESH_NS else "stale",
            snapshot_seq=snapshot.seq if snapshot else None,
            last_agg_id=self._mapper.agg_trades([trade]).column("agg_id")[0].as_py() if trade else None,
            last_trade_recv_ns=trade.recv_ns if trade else None,
            last_depth_recv_ns=depth,
        )
        return Entry(0, TICK, self._end_ns, msgspec.json.encode(tick))
