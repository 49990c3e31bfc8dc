"""Archives as logs: grids by day, scales, conflicts, and the same log however the trades are split into files."""

import random
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from eventlog.clock import ManualClock
from eventlog.errors import ImportRefused
from eventlog.facts.capture import GAP, QUARANTINE, TICK
from eventlog.facts.market import AGG_TRADE, INSTRUMENT
from eventlog.names import LogName
from eventlog.proof.certificate import certify, compute_seal, find_difference, load, save
from eventlog.proof.check import check
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer import trade_import
from eventlog.transfer.imported_trades import ImportedTrades
from eventlog.transfer.importing import Importer, ImportSummary
from eventlog.transfer.rebuilding import rebuild_catalogue
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import Archive, read_agg_trades
from exchanges.binance.mapper import BinanceMapper
from market.instrument import Market
from market.timestamps import DAY_NS, MINUTE_NS, SECOND_NS
from tests.builders import EVENTS, NOW, T0, archive_csv, archive_row, brought, contents
from tests.conftest import ROOT

CASES = ROOT / "tests" / "corpus" / "imports"
T0_MS = T0 // 10**6
DAY_MS, MINUTE_MS = 86_400_000, 60_000

Found = dict[str, list[dict[str, Any]]]


def load_entries(importer: Importer) -> Found:
    """All entries."""
    return contents(importer.cold.read(0, importer.cold.refresh().last_seq))


def case(storage: Path, symbol: str, *files: Path) -> tuple[list[ImportSummary], Found, Log]:
    """Import files of a market; what came of each, and the log."""
    name = LogName("events", Market("binance", symbol))
    importer = Importer(ColdLog(storage, name), ManualClock(NOW * 2))
    try:
        done = [import_trades(importer, file.name, Archive(file, symbol)) for file in files]
    finally:
        importer.close()
    return done, load_entries(importer), Log(importer.cold, None, BinanceMapper(symbol).decoders)


def in_order(entries: Found, *without: str) -> list[tuple[str, dict[str, Any]]]:
    """Entries in seq order, without their seqs where some kinds are left out."""
    rows = sorted(
        (row["seq"], kind, row) for kind, kind_rows in entries.items() if kind not in without for row in kind_rows
    )
    return [(kind, {k: v for k, v in row.items() if not without or k != "seq"}) for _, kind, row in rows]


@pytest.mark.parametrize(
    ("prices", "quantities", "decimals"),
    [
        (("0.00001000", "0.00001007"), ("480000000.00000000", "10.0"), 0),
        (("0.00001000", "0.00001007"), ("480000000.50000000", "10.0"), 1),
        (("0.00000120", "0.00000121"), ("92141578736.00000000", "7.0"), 0),
        (("0.00000120", "0.00000121"), ("461168601842.0", "1.0"), 0),
        (("60000.10", "60000.20"), ("0.00001", "250.12345678"), 8),
        (("0.60", "0.61"), ("9000.0", "10.0"), 8),
    ],
)
def test_the_scale_is_chosen_so_that_days_fit(
    importer: Importer, tmp_path: Path, prices: Sequence[str], quantities: Sequence[str], decimals: int
) -> None:
    """Whatever was traded in all can be summed, and every quantity is the one in its line."""
    rows = [archive_row(i, prices[i % 2], quantities[i % 2], T0_MS + i * 20_000) for i in range(1, 401)]
    brought(importer, tmp_path, *rows)
    entries = load_entries(importer)
    assert [row["quantity_decimals"] for row in entries[INSTRUMENT]] == [decimals]
    counts = [row["quantity_e8"] for row in entries[AGG_TRADE]]
    assert [Decimal(c) / 10**decimals for c in counts] == [Decimal(quantities[i % 2]) for i in range(1, 401)]
    days = 72 * 3600 / (400 * 20)
    assert sum(counts) * days < 2**62


def test_a_scale_that_no_longer_fits_names_the_way_on(importer: Importer, tmp_path: Path) -> None:
    """A log of whole coins cannot take half ones."""
    brought(importer, tmp_path, archive_row(1, "0.00001", "92141578736"))
    before = importer.cold.refresh()
    with pytest.raises(Exception, match=r"line 1: '0\.5' has more decimals than the 0 this market keeps"):
        brought(importer, tmp_path, archive_row(2, "0.00001", "0.5"))
    assert importer.cold.refresh() == before


def test_the_archive_of_a_cheap_coin(tmp_path: Path) -> None:
    """400 trades of 480 million coins."""
    (done,), entries, log = case(tmp_path, "PEPEUSDT", *(CASES / "pepe-archive-overflow").iterdir())
    assert done.added == 400
    (instrument,) = entries[INSTRUMENT]
    assert (instrument["tick_size_e8"], instrument["quantity_decimals"]) == (1, 0)
    assert sum(row["quantity_e8"] for row in entries[AGG_TRADE]) == 400 * 480_000_000
    assert check(log).complete


@pytest.mark.parametrize("apart", [True, False])
def test_one_id_for_two_trades_is_a_fact_with_both(tmp_path: Path, apart: bool) -> None:
    """Never "known": in two files or in one, and said once however often it is imported."""
    files = sorted((CASES / "agg-id-reused-over-midnight").iterdir())
    if not apart:
        joined_file = tmp_path / "both.csv"
        joined_file.write_text("".join(file.read_text() for file in files))
        files = [joined_file]
    storage = tmp_path / "storage"
    done, entries, log = case(storage, "ZZZBTC", *files)
    assert (sum(d.added for d in done), sum(d.known for d in done), sum(d.conflicts for d in done)) == (5, 0, 1)
    (fact,) = entries[QUARANTINE]
    conflict = msgspec.json.decode(fact["data"])
    assert (conflict["known"]["quantity"], conflict["conflicting"]["quantity"]) == ("824", "19332")
    assert conflict["conflicting"]["trade_ids"] == [903, 903]
    report = check(log)
    assert report.broken_chain == [503]
    assert not report.complete
    again, same, _ = case(storage, "ZZZBTC", *files)
    assert (sum(d.added for d in again), sum(d.known for d in again), sum(d.conflicts for d in again)) == (0, 5, 1)
    assert same == entries


@pytest.mark.parametrize(
    "change",
    [
        {"price": "100.6"},
        {"quantity": "0.26"},
        {"at": T0_MS + 1},
        {"maker": False},
        {"last": 5},
    ],
)
def test_any_other_content_under_a_known_id_is_a_conflict(
    importer: Importer, tmp_path: Path, change: dict[str, Any]
) -> None:
    """Each field counts, but whether the match was the best."""
    brought(importer, tmp_path, archive_row(1))
    done = brought(importer, tmp_path, archive_row(1, **change))
    assert (done.added, done.known, done.conflicts) == (0, 0, 1)
    done = brought(importer, tmp_path, archive_row(1)[:-5])
    assert (done.added, done.known, done.conflicts) == (0, 1, 0)


def test_what_is_sorted_is_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most rows that are taken need less than a GB, in columns of 50 bytes a row; more are refused unread."""
    rows, most = 500_000, trade_import._MAX_UNORDERED
    ids = np.arange(rows, 0, -1)
    maker = np.ones(rows, bool)
    trades = ImportedTrades(ids, ids, ids, ids, ids, ids, maker, maker)
    tracemalloc.start()
    try:
        trades_by_id = trade_import._sort_by_id("rows.csv", trades, 8, rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert trades_by_id.agg_id.tolist() == sorted(ids.tolist())
    assert peak / rows * most < 0.75e9
    with pytest.raises(ImportRefused, match="changed while it was read"):
        trade_import._sort_by_id("rows.csv", trades, 8, rows - 1)
    monkeypatch.setattr(trade_import, "_MAX_UNORDERED", rows - 1)
    with pytest.raises(ImportRefused, match="too long to be sorted here"):
        trade_import._sort_by_id("rows.csv", trades, 8, rows)


@pytest.mark.parametrize("first_id", [3, 4])
def test_merging_between_two_files_changes_nothing(tmp_path: Path, first_id: int) -> None:
    """The next file continues the minute, in a log whose catalogue was lost, too, and where ids are missing between."""
    files = [
        [archive_row(1), archive_row(2, at=T0_MS + 1_000)],
        [archive_row(first_id, at=T0_MS + 10_000), archive_row(first_id + 1, at=T0_MS + 90_000)],
        [archive_row(first_id + 2, at=T0_MS + 91_000)],
    ]
    entries = []
    for name in ("as it comes", "merged", "rebuilt"):
        cold = ColdLog(tmp_path / name, EVENTS)
        for rows in files:
            importer = Importer(cold, ManualClock(NOW))
            brought(importer, tmp_path, *rows)
            importer.close()
            if name != "as it comes":
                cold.compact(NOW)
            if name == "rebuilt":
                (cold.folder / "catalogue.json").unlink()
                assert rebuild_catalogue(cold, ManualClock(NOW)) is not None
        entries.append(load_entries(importer))
        assert len(cold.catalogue.segments) == (4 if name == "as it comes" else 2)
    assert entries[0] == entries[1] == entries[2]
    assert [row["recv_ns"] - T0 for row in entries[0][AGG_TRADE]][2] == 10 * SECOND_NS


def test_a_file_of_conflicts_alone_bars_no_way(importer: Importer, tmp_path: Path) -> None:
    """What comes next is taken as if it had not been there; the trade's own day is not called complete."""
    brought(importer, tmp_path, archive_row(1), archive_row(2, at=T0_MS + 20_000))
    before = importer.last_row(TICK)
    assert brought(importer, tmp_path, archive_row(2, at=T0_MS + 20_000, quantity="9")).conflicts == 1
    assert importer.last_row(TICK) == before | {"seq": before["seq"] + 1}
    done = brought(importer, tmp_path, archive_row(3, at=T0_MS + 30_000), archive_row(4, at=T0_MS + 90_000))
    assert (done.added, done.holes) == (2, 0)
    entries = load_entries(importer)
    assert [row["boundary_ns"] - T0 for row in entries[TICK]] == [MINUTE_NS, 2 * MINUTE_NS]
    assert [row["agg_id"] for row in entries[QUARANTINE]] == [2]
    arrivals = [row["recv_ns"] for _, row in in_order(entries)]
    assert arrivals == sorted(arrivals)


def test_a_contradicted_trade_is_lacking_on_its_own_day(importer: Importer, tmp_path: Path) -> None:
    """Though what contradicts it came when the log had gone on for a day."""
    days = [archive_row(1 + i, at=T0_MS + i * MINUTE_MS) for i in range(2 * 24 * 60)]
    brought(importer, tmp_path, *days)
    log = Log(importer.cold, None, BinanceMapper(EVENTS.market.symbol).decoders)
    assert certify(log, T0).complete
    brought(importer, tmp_path, archive_row(5, at=T0_MS + 4 * MINUTE_MS, quantity="9"))
    assert certify(log, T0).reasons == ["facts that contradict others of the same id: 1"]


@pytest.mark.parametrize("is_older", [False, True])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_day_is_not_as_certified_once_a_trade_of_it_is_contradicted(
    importer: Importer, tmp_path: Path, is_older: bool, is_whole: bool
) -> None:
    """Also by a certificate from before these were kept, where it said complete: nothing contradicted the day then."""
    days = [archive_row(1 + i, at=T0_MS + i * MINUTE_MS) for i in range(0 if is_whole else 1, 2 * 24 * 60)]
    brought(importer, tmp_path, *days)
    log = Log(importer.cold, None, BinanceMapper(EVENTS.market.symbol).decoders)
    certificate = certify(log, T0)
    assert certificate.complete == is_whole
    if is_older:
        certificate = replace(certificate, contradicted=msgspec.UNSET)
    path = tmp_path / "certificate.json"
    save(replace(certificate, seal=compute_seal(certificate)), path)
    assert (b"contradicted" in path.read_bytes()) == (not is_older)
    assert find_difference(log, load(path)) is None
    brought(importer, tmp_path, archive_row(5, at=T0_MS + 4 * MINUTE_MS, quantity="9"))
    difference = find_difference(log, load(path))
    if is_older and not is_whole:
        assert difference is None
    else:
        assert difference == (
            "2024-01-01: every minute's entries are as certified, but what contradicts its trades has changed since, "
            "agg ids 5; certify it again with check --day"
        )
    assert find_difference(log, certify(log, T0)) is None


@pytest.mark.parametrize("files", [1, 2])
def test_what_contradicts_a_known_trade_tells_no_grid(importer: Importer, tmp_path: Path, files: int) -> None:
    """It is not among the log's prices."""
    rows = [archive_row(1 + i, at=T0_MS + i * 1000, price=f"100.{i % 10}") for i in range(50)]
    odd = archive_row(50, at=T0_MS + 49_000, price="100.90001")
    more = archive_row(51, at=T0_MS + 50_000, price="100.4")
    parts = [[*rows, odd, more]] if files == 1 else [rows, [odd, more]]
    assert sum(brought(importer, tmp_path, *part).conflicts for part in parts) == 1
    assert [row["tick_size_e8"] for row in load_entries(importer)[INSTRUMENT]] == [10**7]


def test_a_grid_of_a_day_of_which_nothing_is_new_is_told_with_the_next(importer: Importer, tmp_path: Path) -> None:
    """The first row of a file may be one of the day before that is known already."""
    brought(importer, tmp_path, *(archive_row(1 + i, at=T0_MS + i * 1000, price=f"100.{i % 10}") for i in range(50)))
    fine = [archive_row(60 + i, at=T0_MS + DAY_MS + i * 1000, price=f"100.{10 + i}") for i in range(50)]
    brought(importer, tmp_path, archive_row(50, at=T0_MS + 49_000, price="100.95"), *fine)
    assert [row["tick_size_e8"] for row in load_entries(importer)[INSTRUMENT]] == [10**7, 10**6]


def test_a_file_in_microseconds_is_that_in_milliseconds(importer: Importer, tmp_path: Path) -> None:
    """The same trades, as the venue's archive and its streams tell them."""
    brought(importer, tmp_path, archive_row(1), archive_row(2, at=T0_MS + 5))
    done = brought(importer, tmp_path, archive_row(1, at=T0_MS * 1000 + 999), archive_row(2, at=T0_MS * 1000 + 6_000))
    assert (done.known, done.conflicts) == (1, 1)


def test_the_tick_size_of_each_day(tmp_path: Path) -> None:
    """A second instrument fact before the first trade of the day, from two files or one."""
    files = sorted((CASES / "tick-size-changed-next-day").iterdir())
    joined_file = tmp_path / "both.csv"
    joined_file.write_text("".join(file.read_text() for file in files))
    _, entries, log = case(tmp_path / "two", "ABCUSDT", *files)
    assert [row["tick_size_e8"] for row in entries[INSTRUMENT]] == [1_000_000, 100_000]
    first_of_day = next(t for t in entries[AGG_TRADE] if t["trade_time_ns"] >= T0 + DAY_NS)
    assert entries[INSTRUMENT][1]["seq"] == first_of_day["seq"] - 1
    assert case(tmp_path / "one", "ABCUSDT", joined_file)[1] == entries
    assert check(log).complete


def a_day(day: int, step: str, first_id: int, count: int, quantity: str = "1") -> list[str]:
    """Trades of one day on a grid of prices around 100."""
    prices = [Decimal(100) + Decimal(step) * (i * 7 % 900) for i in range(count)]
    at = [T0_MS + day * DAY_MS + i * 60_000 for i in range(count)]
    return [archive_row(first_id + i, str(prices[i]), quantity, at[i]) for i in range(count)]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("0.01", "0.001", "0.0001"), ["0.01", "0.001", "0.0001"]),
        (("0.001", "0.01"), ["0.001", "0.01"]),
        (("0.01", "0.01", "0.01"), ["0.01"]),
        (("0.01", "0.005", "0.01"), ["0.01", "0.005", "0.01"]),
        (("1", "0.1", "1"), ["1", "0.1", "1"]),
    ],
)
def test_steps_that_become_finer_and_coarser(
    importer: Importer, tmp_path: Path, steps: Sequence[str], expected: list[str]
) -> None:
    """Each day has its own grid; an equal one is not written again."""
    rows = [row for day, step in enumerate(steps) for row in a_day(day, step, 1 + day * 1000, 1000)]
    brought(importer, tmp_path, *rows)
    entries = load_entries(importer)[INSTRUMENT]
    assert [Decimal(row["tick_size_e8"]) / 10**8 for row in entries] == [Decimal(step) for step in expected]


def test_few_trades_say_nothing_about_a_coarser_step(importer: Importer, tmp_path: Path) -> None:
    """Three prices on whole numbers happen; a finer one counts at once."""
    brought(importer, tmp_path, *a_day(0, "0.01", 1, 100))
    brought(importer, tmp_path, *a_day(1, "1", 101, 3))
    assert len(load_entries(importer)[INSTRUMENT]) == 1
    brought(importer, tmp_path, archive_row(104, "100.0001", at=T0_MS + 2 * DAY_MS))
    assert [row["tick_size_e8"] for row in load_entries(importer)[INSTRUMENT]] == [1_000_000, 10_000]


def test_a_quiet_market_in_two_files_and_in_one(tmp_path: Path) -> None:
    """2,761 ticks each way, the same log to the byte."""
    folder = CASES / "quiet-market-two-files"
    one = case(tmp_path / "one", "QQ", folder / "all.csv")[1]
    two = case(tmp_path / "two", "QQ", folder / "QQ-2024-01-01.csv", folder / "QQ-2024-01-02.csv")[1]
    assert len(one[TICK]) == len(two[TICK]) == 2_761
    assert one == two


@pytest.mark.parametrize("seed", range(8))
def test_any_split_into_files_is_the_same_log(tmp_path: Path, seed: int) -> None:
    """Cut anywhere, also within a minute or a silence, with gaps, steps back of the clock and overlaps."""
    dice = random.Random(seed)
    rows, at, agg_id = [], T0_MS, 0
    for _ in range(300):
        agg_id += 1 + (dice.random() < 0.05) * dice.randint(1, 9)
        at += dice.choice([0, 0, 1, 20, 500, 5_000, 70_000, 400_000]) - (dice.random() < 0.05) * 30
        rows.append(archive_row(agg_id, f"{100 + dice.randint(0, 99) / 100:.2f}", f"{dice.randint(1, 99) / 100}", at))
    whole_file = archive_csv(tmp_path / "all.csv", rows)
    one = case(tmp_path / "one", "QQ", whole_file)[1]
    cuts = sorted(dice.sample(range(1, 300), dice.randint(1, 6)))
    files = [
        archive_csv(tmp_path / f"{n}.csv", rows[max(0, start - dice.randint(0, 3)) : stop])
        for n, (start, stop) in enumerate(zip([0, *cuts], [*cuts, 300], strict=True))
    ]
    two = case(tmp_path / "two", "QQ", *files)[1]
    assert in_order(two, INSTRUMENT) == in_order(one, INSTRUMENT)
    assert sorted(row["seq"] for rows in two.values() for row in rows) == list(
        range(1, sum(map(len, two.values())) + 1)
    )


def test_a_silence_is_proven_by_the_next_id(importer: Importer, tmp_path: Path) -> None:
    """Boundaries at which a trade may have been missed are down, but the first, which saw the last trade come."""
    at = [T0_MS, T0_MS + 3 * MINUTE_MS, T0_MS + 6 * MINUTE_MS]
    brought(importer, tmp_path, archive_row(1, at=at[0]), archive_row(2, at=at[1]), archive_row(5, at=at[2]))
    entries = load_entries(importer)
    assert [t["trades"] for t in entries[TICK]] == ["live"] * 4 + ["down"] * 2 + ["live"]
    (gap,) = entries[GAP]
    assert gap["seq"] == entries[AGG_TRADE][2]["seq"] - 1
    assert (gap["first"], gap["last"], gap["recv_ns"]) == (3, 4, T0 + 6 * MINUTE_NS)


def test_a_silence_of_years_makes_no_ticks(importer: Importer, tmp_path: Path) -> None:
    """The last minute of the one, the first of the other."""
    brought(importer, tmp_path, archive_row(1), archive_row(2, at=T0_MS + 300 * DAY_MS))
    assert len(load_entries(importer)[TICK]) == 2


def test_another_markets_trades_are_refused(tmp_path: Path, importer: Importer) -> None:
    """By the name of the file, and by ids that fall while time rises."""
    path = archive_csv(tmp_path / "BTCUSDT-aggTrades-2024-01-01.csv", [archive_row(1)])
    with pytest.raises(Exception, match="is of BTCUSDT, the market is BTCFDUSD"):
        Archive(path, "BTCFDUSD")
    brought(importer, tmp_path, archive_row(1_000))
    with pytest.raises(ImportRefused, match="trade 5 comes after 1000 in time"):
        brought(importer, tmp_path, archive_row(5, at=T0_MS + 60_000))


def test_a_stamp_that_jumps_is_named(importer: Importer, tmp_path: Path) -> None:
    """Seconds of a venue's clock are taken, hours are a mistake that would move every later trade."""
    with pytest.raises(ImportRefused, match=r"trade 3 is stamped 2024-01-01T00:00:00Z, after one stamped 2024-01-02"):
        brought(importer, tmp_path, archive_row(1), archive_row(2, at=T0_MS + DAY_MS), archive_row(3))
    assert brought(importer, tmp_path, archive_row(1, at=T0_MS + 5_000), archive_row(2)).added == 2


def test_a_refused_import_leaves_nothing(tmp_path: Path) -> None:
    """No folder, no catalogue, no lock; and of a log that was there not a file more."""
    storage = tmp_path / "new" / "storage"
    bad = archive_csv(tmp_path / "bad.csv", [archive_row(1), archive_row(2, price="x")])
    for _ in range(2):
        with pytest.raises(Exception, match="line 2"):
            case(storage, "BTCUSDT", bad)
        assert not (tmp_path / "new").exists()


def test_a_file_that_turns_out_bad_half_way_leaves_a_log_as_it_was(importer: Importer, tmp_path: Path) -> None:
    """What was written of it is gone."""
    brought(importer, tmp_path, archive_row(5, at=T0_MS + 60_000))
    before = sorted(path.name for path in importer.cold.folder.iterdir())
    with pytest.raises(ImportRefused, match="before the log's end"):
        brought(importer, tmp_path, archive_row(1), archive_row(6, at=T0_MS + 120_000))
    assert sorted(path.name for path in importer.cold.folder.iterdir()) == before


def test_columns_in_memory_are_a_source_as_a_file_is(importer: Importer, tmp_path: Path) -> None:
    """Read at once and in blocks: the same log."""
    path = archive_csv(tmp_path / "x.csv", [archive_row(i, at=T0_MS + i * 1_000) for i in range(1, 200)])
    import_trades(importer, "x", read_agg_trades(path))
    other = Importer(ColdLog(tmp_path / "other", EVENTS), ManualClock(NOW))
    import_trades(other, "x", Archive(path))
    assert load_entries(other) == load_entries(importer)
    other.close()
