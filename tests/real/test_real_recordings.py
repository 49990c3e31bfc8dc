"""Recordings of real streams: everything in them is read, nothing is quarantined."""

import gzip
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from eventlog.clock import ManualClock
from eventlog.facts.capture import TICK
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.names import LogName
from eventlog.proof.check import check
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer, ImportSummary
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.messages import pack_snapshot
from exchanges.binance.recordings.recording import append_recording
from market.instrument import Market
from market.timestamps import MINUTE_NS, parse_iso
from tests.builders import NOW, contents

NAME = LogName("events", Market("binance", "BTCUSDT"))
MAPPER = BinanceMapper("BTCUSDT")


def brought(storage: Path, *files: Path) -> tuple[list[ImportSummary], Log]:
    """Import recordings one after the other."""
    importer = Importer(ColdLog(storage, NAME), ManualClock(NOW))
    done = [append_recording(importer, file) for file in files]
    importer.close()
    return done, Log(importer.cold, None, MAPPER.decoders)


def test_a_minute_and_a_half_of_2021(tmp_path: Path, real_data: Path) -> None:
    """1,227 aggTrades, 899 diffs, one book; 44 klines are passed over; nothing is missing."""
    (done,), log = brought(tmp_path, real_data / "recordings" / "btcusdt-spot-2021-04-04.gz")
    assert (done.added, done.skipped, done.quarantined, done.known) == (1_227 + 899 + 1, 44, 0, 0)
    report = check(log)
    assert report.complete
    assert {k: report.kinds[k] for k in (AGG_TRADE, DIFF, SNAPSHOT)} == {AGG_TRADE: 1_227, DIFF: 899, SNAPSHOT: 1}
    assert report.kinds[TICK] == done.ticks == 1  # 91 s cross one minute
    found = contents(log.read(kinds=[SNAPSHOT, DIFF]))
    (book,) = found[SNAPSHOT]
    assert (book["limit"], len(book["bid_price_e8"]), len(book["ask_price_e8"])) == (1000, 1000, 1000)
    assert book["bid_price_e8"][0] == 5_800_103_000_000
    diffs = found[DIFF]
    assert all(a["last_update_id"] + 1 == b["first_update_id"] for a, b in pairwise(diffs))
    assert any(d["first_update_id"] <= book["last_update_id"] + 1 <= d["last_update_id"] for d in diffs)


def test_ten_minutes_over_a_midnight_of_2024(tmp_path: Path, real_data: Path) -> None:
    """Two files, one log: 19,904 single trades and 6,495 diffs; bookTickers are passed over; ticks go on between."""
    files = [real_data / "recordings" / f"btcusdt-spot-2024-08-0{day}.gz" for day in (8, 9)]
    done, log = brought(tmp_path, *files)
    assert [d.quarantined for d in done] == [0, 0]
    assert sum(d.skipped for d in done) == 73_174
    assert sum(d.added for d in done) == 19_904 + 6_495 + 1
    report = check(log)
    assert {k: report.kinds[k] for k in (AGG_TRADE, DIFF, SNAPSHOT)} == {AGG_TRADE: 19_904, DIFF: 6_495, SNAPSHOT: 1}
    assert report.sound
    assert (report.broken_chain, report.duplicates) == ([], 0)
    assert report.complete == (not report.open_gaps)
    found = contents(log.read(kinds=[TICK, AGG_TRADE]))
    boundaries = [t["boundary_ns"] for t in found[TICK]]
    assert boundaries == list(range(boundaries[0], boundaries[-1] + 1, MINUTE_NS))
    assert parse_iso("2024-08-09") in boundaries
    assert {t["source"] for t in found[AGG_TRADE]} == {"trade"}
    # The recorder's clock ran behind the exchange: event times lie in the future of receive times.
    assert sum(t["event_time_ns"] > t["recv_ns"] for t in found[AGG_TRADE]) > 19_000


def test_every_trade_of_a_recording_is_the_one_in_its_line(tmp_path: Path, real_data: Path) -> None:
    """Read again with nothing but a JSON decoder."""
    path = real_data / "recordings" / "btcusdt-spot-2021-04-04.gz"
    _, log = brought(tmp_path, path)
    expected = []
    with gzip.open(path) as file:
        for line in file:
            stamp, _, message = line.partition(b" ")
            data = msgspec.json.decode(message).get("data", {})
            if data.get("e") == "aggTrade":
                numbers = [int(data[k].replace(".", "")) for k in "pq"]
                expected.append((int(stamp), data["a"], *numbers, data["T"] * 10**6, data["E"] * 10**6, data["m"]))
    names = ("recv_ns", "agg_id", "price_e8", "quantity_e8", "trade_time_ns", "event_time_ns", "buyer_is_maker")
    found = [tuple(r[n] for n in names) for r in contents(log.read(kinds=[AGG_TRADE]))[AGG_TRADE]]
    assert found == expected


@pytest.mark.parametrize("name", ["2021-04-04", "2024-08-08"])
def test_a_recording_twice_is_the_recording_once(tmp_path: Path, real_data: Path, name: str) -> None:
    """The second time every fact is known."""
    path = real_data / "recordings" / f"btcusdt-spot-{name}.gz"
    (first, second), log = brought(tmp_path, path, path)
    assert (second.added, second.known) == (0, first.added)
    assert len(log.cold.catalogue.segments) == 1


def test_a_book_of_five_thousand_levels(real_data: Path) -> None:
    """A real REST body, level by level."""
    body = gzip.decompress((real_data / "snapshots" / "btcusdt-spot-2025-04-14-0000.json.gz").read_bytes())
    request, response = 1_744_588_800_180 * 10**6, 1_744_588_800_258 * 10**6
    entry = Entry(1, SNAPSHOT, response, pack_snapshot(request, response, 5000, body))
    (row,) = MAPPER.snapshots([entry]).to_pylist()
    told = msgspec.json.decode(body)
    assert row["last_update_id"] == told["lastUpdateId"]
    assert len(told["bids"]) == len(told["asks"]) == 5000
    for side, name in (("bids", "bid"), ("asks", "ask")):
        for place, column in ((0, "price"), (1, "quantity")):
            expected = [round(float(level[place]) * 1e8) for level in told[side]]
            assert row[f"{name}_{column}_e8"] == expected
    assert row["bid_price_e8"][0] < row["ask_price_e8"][0]
