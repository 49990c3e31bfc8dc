"""Both order books on real recordings: equal at every update, healthy at every snapshot, and told when they are not."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from analysis.observe import Observer
from analysis.parameters import Parameters
from eventlog.codec import decode_entries
from eventlog.facts.capture import TICK
from eventlog.facts.entry import Entry
from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.store.batch import Batch
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.messages import pack_snapshot
from exchanges.binance.recordings.recording import Recording
from market.fixed_point import format_e8
from market.timestamps import MINUTE_NS
from projections import digest
from projections.book.book_levels import Sides
from projections.book.diff_buffer import UpdateGap
from projections.book.live_book import LiveBook, read_diffs, read_snapshot
from projections.book.order_book import OrderBook
from projections.book.reference_book import ReferenceBook
from projections.book.snapshot_window import Snapshot
from projections.state import MarketState, Windows
from replay.recorded.books import book_of
from runtime.loop import drive
from tests.builders import a_tick

MAPPER = BinanceMapper("BTCUSDT")
YEARS = {"2021": ("2021-04-04",), "2024": ("2024-08-08", "2024-08-09")}
EVERY = 100
"""Diffs from one snapshot that is put in to the next."""


def recorded(folder: Path, year: str) -> list[Entry]:
    """The diffs and the snapshot of a recording, in order."""
    files = [folder / "recordings" / f"btcusdt-spot-{day}.gz" for day in YEARS[year]]
    facts = [f for file in files for f in Recording(file, "BTCUSDT").facts() if f.kind in (DIFF, SNAPSHOT)]
    return [Entry(seq, f.kind, f.recv_ns, f.data) for seq, f in enumerate(facts, 1)]


def whole(entries: list[Entry]) -> Batch:
    """Entries as one batch."""
    return Batch.from_tables(entries[0].seq, entries[-1].seq, decode_entries(entries, MAPPER.decoders))


def singly(batch: Batch) -> Iterator[Batch]:
    """An entry a batch."""
    return batch.split_after(np.arange(batch.first_seq, batch.last_seq, dtype=np.int64))


def identity(update_id: int | None, sides: Sides) -> bytes:
    """The digest of a book at an update."""
    return digest.of_columns(np.array([update_id or 0], np.int64), *sides)


@pytest.mark.parametrize(
    ("year", "diffs", "beyond"), [("2021", 899, 0), pytest.param("2024", 6_495, 918, marks=pytest.mark.soak)]
)
def test_both_books_are_equal_at_every_update(real_data: Path, year: str, diffs: int, beyond: int) -> None:
    """
    Nothing is missing, nothing crosses, and two books that share no code have one digest after every diff.

    In the last minutes of 2024 price has left the thousand levels that its only snapshot showed.
    """
    entries = recorded(real_data, year)
    tables = decode_entries(entries, MAPPER.decoders)
    rows, (book,) = iter(list(read_diffs(tables[DIFF]))), tables[SNAPSHOT].to_pylist()
    arrays, plain = OrderBook(), ReferenceBook()
    equal, live, out = 0, 0, 0
    for entry, batch in zip(entries, singly(Batch.from_tables(1, len(entries), tables)), strict=True):
        arrays.apply(batch, traced=False)
        found = (
            plain.apply_diff(next(rows))
            if entry.kind == DIFF
            else plain.apply_snapshot(read_snapshot(tables[SNAPSHOT]))
        )
        assert found == (None, None)
        equal += identity(arrays.last_update_id, arrays.levels()) == identity(plain.last_update_id, plain.levels())
        live += arrays.status == "live"
        out += arrays.usable and not arrays.in_reach
    before = next(i for i, e in enumerate(entries) if e.kind == SNAPSHOT)
    assert (equal, live, out) == (diffs + 1, diffs + 1 - before, beyond)
    assert (arrays.gap, arrays.usable, book["limit"]) == (None, True, 1000)


@dataclass(frozen=True)
class Played:
    """A recording from its snapshot on, with the book itself as a snapshot after every hundredth diff."""

    entries: list[Entry]
    tables: dict[str, pa.Table]
    books: list[int]

    def between(self, first_seq: int, last_seq: int, without: int = 0) -> Batch:
        """A stretch of it, one seq left out."""
        cut = {}
        for kind, table in self.tables.items():
            seq = table.column("seq")
            kept = pc.and_(pc.greater_equal(seq, first_seq), pc.less_equal(seq, last_seq))
            cut[kind] = table.filter(pc.and_(kept, pc.not_equal(seq, without)))
        return Batch.from_tables(first_seq, last_seq, cut)


@pytest.fixture(scope="module")
def played(real_data: Path) -> Played:
    """That of 2021."""
    entries = recorded(real_data, "2021")
    batch, book = whole(entries), OrderBook()
    made: list[Entry] = []
    count = 0
    for entry, part in zip(entries, singly(batch), strict=True):
        known = book.last_update_id
        book.apply(part, traced=False)
        if book.last_update_id == known:
            continue  # before the snapshot, or in it
        made.append(Entry(len(made) + 1, entry.kind, entry.recv_ns, entry.data))
        count += entry.kind == DIFF
        now = book.as_snapshot()
        if count % EVERY == 0 and entry.kind == DIFF and now is not None:
            made.append(Entry(len(made) + 1, SNAPSHOT, entry.recv_ns, packed(now, entry.recv_ns)))
    tables = decode_entries(made, MAPPER.decoders)
    return Played(made, tables, [e.seq for e in made if e.kind == SNAPSHOT])


def packed(book: Snapshot, at_ns: int) -> bytes:
    """A book as the bytes of a snapshot fact."""
    sides = ((book.bid_price_e8, book.bid_quantity_e8), (book.ask_price_e8, book.ask_quantity_e8))
    texts = [[[format_e8(p), format_e8(q)] for p, q in zip(*(c.tolist() for c in s), strict=True)] for s in sides]
    body = {"lastUpdateId": book.last_update_id, "bids": texts[0], "asks": texts[1]}
    return pack_snapshot(at_ns, at_ns, book.limit, msgspec.json.encode(body))


def test_every_snapshot_agrees_with_the_updates(played: Played) -> None:
    """Eight times, level by level, in both books."""
    assert len(played.books) == 9
    arrays, live = OrderBook(), LiveBook(MAPPER.decoders)
    healthy = 0
    for part in singly(played.between(1, len(played.entries))):
        arrays.audit = None
        arrays.apply(part, traced=False)
        if arrays.audit is not None:
            healthy += arrays.audit.healthy
            assert arrays.audit.compared > 1_900
    ids = iter(zip(*(played.tables[DIFF].column(f"{n}_update_id").to_pylist() for n in ("first", "last")), strict=True))
    for entry in played.entries:
        live.take(entry, *(next(ids) if entry.kind == DIFF else ()))  # type: ignore[arg-type]
    assert (healthy, live.audits, live.unhealthy, live.resets) == (8, 8, 0, 0)


def test_any_diff_deleted_is_a_reset_until_the_next_snapshot(played: Played) -> None:
    """Each of seven hundred: the missing ids are named, nothing is answered, then all is as if it had been there."""
    ids = {
        row["seq"]: row for row in played.tables[DIFF].select(["seq", "first_update_id", "last_update_id"]).to_pylist()
    }
    deleted = 0
    for start, middle, end in zip(played.books, played.books[1:], played.books[2:], strict=False):
        reference = OrderBook()
        reference.apply(played.between(start, start), traced=False)
        shown_id = reference.last_update_id or 0
        reference.apply(played.between(start + 1, end), traced=False)
        expected = identity(reference.last_update_id, reference.levels())
        for seq in range(start + 1, middle):
            book = OrderBook()
            after = seq + 1 if seq + 1 < middle else seq + 2
            book.apply(played.between(start, after, without=seq), traced=False)
            row = ids[seq]
            gap = UpdateGap(
                played.entries[after - 1].recv_ns,
                max(row["first_update_id"], shown_id + 1),
                row["last_update_id"],
                "diff_missing",
            )
            # The last one before a snapshot is missed behind it: the snapshot has what it held.
            assert (book.status, book.gap) == ("gap" if seq + 1 < middle else "live", gap)
            book.apply(played.between(after + 1, end), traced=False)
            assert book.trusted
            assert book.audit is not None
            assert book.audit.healthy
            assert identity(book.last_update_id, book.levels()) == expected
            deleted += 1
    assert deleted == 7 * EVERY


@pytest.mark.parametrize("place", [1, 37, 80])
def test_the_analysis_is_told_of_a_deleted_diff(played: Played, place: int) -> None:
    """At a tick in the gap; not before, and not after the next minute's."""
    start, middle = played.books[3:5]
    cut = start + place
    parts = [
        (start, cut, played.entries[cut - 1].recv_ns),
        (cut + 1, cut + 5, played.entries[cut + 4].recv_ns),
        (cut + 6, middle + 3, played.entries[middle + 2].recv_ns),
        (middle + 4, middle + 9, played.entries[middle + 8].recv_ns + MINUTE_NS),
    ]
    state = MarketState(Windows())
    observer = Observer("BTCUSDT", state, Parameters())
    told: list[list[str]] = []
    for first, last, at_ns in parts:
        tick = a_tick(at_ns)
        ticks = decode_entries([Entry(last, TICK, at_ns, tick.data)], MAPPER.decoders)
        batch = played.between(first, last, without=cut + 1)
        drive([batch], state, lambda *_: None)
        drive(
            [Batch.from_tables(last, last, ticks)],
            state,
            lambda tick, now: told.append([w for w in observer.observe(tick, now).warnings if "updates of" in w]),
        )
    assert [len(found) for found in told] == [0, 1, 1, 0]
    assert "waits for the next snapshot" in told[1][0]
    assert "rebuilt from a snapshot" in told[2][0]


@pytest.mark.parametrize("what", ["missing", "ghost", "wrong_size"])
def test_a_level_that_is_wrong_is_found_at_the_next_snapshot(played: Played, what: str) -> None:
    """Forty levels at random, near and far, in a diff before a snapshot: found at once, alone, with the distance."""
    chance = np.random.Generator(np.random.PCG64(5))
    found = 0
    for _ in range(40):
        number = int(chance.integers(1, len(played.books)))
        start, at = played.books[number - 1], played.books[number]
        side = int(chance.integers(0, 2))
        book = whole([Entry(1, SNAPSHOT, 0, played.entries[at - 1].data)]).rows[SNAPSHOT].columns
        prices = [book.levels(f"{name}_price_e8", 0) for name in ("bid", "ask")]
        price = int(chance.choice(prices[side]))
        diff = msgspec.json.decode(played.entries[at - 2].data)
        named = {round(float(p) * 1e8) for p, _ in diff["ba"[side]]}
        if what == "ghost":
            price = int(chance.integers(prices[side].min() // 10**6, prices[side].max() // 10**6)) * 10**6
        if price in named or (price in prices[side].tolist()) == (what == "ghost"):
            continue
        diff["ba"[side]].append([format_e8(price), {"missing": "0", "ghost": "0.5", "wrong_size": "12345"}[what]])
        tampered = Entry(at - 1, DIFF, played.entries[at - 2].recv_ns, msgspec.json.encode(diff))
        arrays = OrderBook()
        arrays.apply(played.between(start, at - 2), traced=False)
        arrays.apply(whole([tampered]), traced=False)
        assert arrays.audit is None
        arrays.apply(played.between(at, at), traced=False)
        assert arrays.audit is not None
        (worst,) = arrays.audit.examples
        middle = (int(prices[0][0]) + int(prices[1][0])) / 2
        assert (worst.price_e8, worst.side, worst.kind) == (price, ("bid", "ask")[side], what)
        assert worst.distance_bp_e2 == pytest.approx(abs(price - middle) / middle * 1e6, abs=1)
        assert (worst.age_ns, arrays.audit.count(worst.kind), arrays.audit.healthy) == (0, 1, False)
        assert not arrays.trusted
        found += 1
    assert found >= 30


@pytest.mark.slow
@pytest.mark.parametrize("year", YEARS)
def test_sizes_for_orders_are_those_of_the_book(real_data: Path, year: str) -> None:
    """After each hundredth diff, where it is known: the size that scores read is that of the plain book."""
    entries = recorded(real_data, year)
    batch = whole(entries)
    reference = ReferenceBook()
    sides_at: list[tuple[int, Sides]] = []
    tables = decode_entries(entries, MAPPER.decoders)
    diffs = iter(zip(tables[DIFF].column("event_time_ns").to_pylist(), read_diffs(tables[DIFF]), strict=True))
    for entry in entries:
        if entry.kind == SNAPSHOT:
            reference.apply_snapshot(read_snapshot(tables[SNAPSHOT]))
            continue
        made_ns, diff = next(diffs)
        reference.apply_diff(diff)
        if entry.seq % EVERY == 50 and reference.last_update_id is not None:
            sides_at.append((made_ns, reference.levels()))
    chance, known_count = np.random.default_rng(3), 0
    for at_ns, sides in sides_at[:: max(1, len(sides_at) // 20)]:
        prices = np.unique(np.concatenate((sides.bid_price_e8[:50], sides.ask_price_e8[:50])))
        prices = np.unique(np.append(prices, chance.choice(prices, 10) + 1_000_000))  # levels in between, empty or not
        book = book_of([batch], prices)
        known = book.knows(prices, np.full(len(prices), at_ns + 1))
        known_count += int(known.sum())  # in the last minutes of 2024 price has left what the only snapshot showed
        for side, is_buy in ((0, True), (1, False)):
            shown = dict(zip(*(column.tolist() for column in sides.side_levels(side)), strict=True))
            levels = book.levels_of(np.full(len(prices), is_buy), prices)
            for price, level, is_known in zip(prices.tolist(), levels.tolist(), known.tolist(), strict=True):
                first, last = (book.offsets[level], book.offsets[level + 1]) if level >= 0 else (0, 0)
                row = int(np.searchsorted(book.at_ns[first:last], at_ns + 1))
                assert not is_known or (int(book.size_e8[first + row - 1]) if row else 0) == shown.get(price, 0)
    assert known_count > 800
