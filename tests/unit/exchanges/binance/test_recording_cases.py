"""Recordings as others made them: told by content, torn, mixed, of other units; the right value, or what it is."""

import gzip
import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eventlog.clock import ManualClock
from eventlog.errors import ImportRefused
from eventlog.facts.capture import GAP, QUARANTINE, TICK
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.names import LogName
from eventlog.proof.check import check
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer, ImportSummary
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import Archive
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.recordings.recording import append_recording
from exchanges.errors import BadFile
from market.instrument import Market
from market.timestamps import MINUTE_NS, SECOND_NS
from tests.builders import NOW, T0, archive_csv, archive_row, contents
from tests.conftest import ROOT

CASES = ROOT / "tests" / "corpus" / "imports"
T0_MS = T0 // 10**6
SYMBOL = "BTCUSDT"
MAPPER = BinanceMapper(SYMBOL)

Message = dict[str, Any]
Found = dict[str, list[dict[str, Any]]]


def a_trade(agg_id: int, at_ns: int = T0, symbol: str = SYMBOL, price: str = "60000.10", **more: Any) -> Message:
    """An aggTrade."""
    at = at_ns // 10**6
    ids = {"a": agg_id, "p": price, "q": more.pop("q", "0.5"), "f": agg_id, "l": agg_id}
    return {"e": "aggTrade", "E": at, "s": symbol, **ids, "T": at, "m": True, "M": True, **more}


def a_single(trade_id: int, at_ns: int = T0, **more: Any) -> Message:
    """A single trade."""
    at = at_ns // 10**6
    return {
        "e": "trade",
        "E": at,
        "s": SYMBOL,
        "t": trade_id,
        "p": "60000",
        "q": "1",
        "T": at,
        "m": True,
        "M": True,
        **more,
    }


def a_diff(first: int, last: int, symbol: str = SYMBOL, price: str = "60000", **more: Any) -> Message:
    """A change of the book."""
    levels = {"b": [[price, "1"]], "a": [["60001", "2"]]}
    return {"e": "depthUpdate", "E": T0_MS, "s": symbol, "U": first, "u": last, **levels, **more}


def a_book(update: int, *bids: str) -> Message:
    """A REST depth body."""
    return {"lastUpdateId": update, "bids": [[bid, "1"] for bid in bids or ("60000.00",)], "asks": [["60001.00", "1"]]}


def a_file(path: Path, messages: Sequence[Message | tuple[int, Message]], way: str = "%d %s\n") -> Path:
    """A recording, a message a second unless told when."""
    lines = []
    for i, message in enumerate(messages):
        at, body = message if isinstance(message, tuple) else (T0 + i * SECOND_NS, message)
        lines.append(way % (at, json.dumps(body, separators=(",", ":"))))
    path.write_text("".join(lines))
    return path


def import_messages(importer: Importer, tmp_path: Path, *messages: Message | tuple[int, Message]) -> ImportSummary:
    """Import messages."""
    return append_recording(importer, a_file(tmp_path / "r.txt", messages))


def read_entries(importer: Importer) -> Found:
    """All entries."""
    return contents(importer.cold.read(0, importer.cold.refresh().last_seq))


def log_of(importer: Importer) -> Log:
    """The log, to be read."""
    return Log(importer.cold, None, MAPPER.decoders)


def counts(entries: Found) -> dict[str, int]:
    """How many of each kind."""
    return {kind: len(rows) for kind, rows in entries.items()}


def test_trades_that_came_twice_are_taken_once(importer: Importer) -> None:
    """129 aggTrades, not the 271 trades they are made of as well."""
    done = append_recording(importer, CASES / "trade-and-aggtrade-one-recording" / "both.txt")
    rows = read_entries(importer)
    assert (done.added, done.skipped) == (129, 271)
    assert "271 messages of `trade` were passed over" in done.notes[0]
    assert {t["source"] for t in rows[AGG_TRADE]} == {"stream"}
    single = sum(t["quantity_e8"] for t in rows[AGG_TRADE])
    assert abs(single / 1e8 - 0.129) < 0.0005
    assert check(log_of(importer)).complete


def test_of_two_speeds_of_the_book_one_is_taken(importer: Importer, tmp_path: Path) -> None:
    """The faster; the slower says the same under other ids."""
    fast = [{"stream": "btcusdt@depth@100ms", "data": a_diff(i, i)} for i in range(1, 11)]
    slow = {"stream": "btcusdt@depth", "data": a_diff(1, 10)}
    done = import_messages(importer, tmp_path, *fast, slow)
    assert (done.added, done.skipped) == (10, 1)
    assert "`depth` were passed over" in done.notes[0]


def test_a_stream_that_the_other_does_not_cover_is_not_left_out(importer: Importer, tmp_path: Path) -> None:
    """A recorder that went over from one speed to the other in the middle: both parts are taken."""
    slow = [{"stream": "btcusdt@depth", "data": a_diff(i, i + 9)} for i in range(1, 101, 10)]
    fast = [{"stream": "btcusdt@depth@100ms", "data": a_diff(i, i)} for i in range(101, 111)]
    again = {"stream": "btcusdt@depth", "data": a_diff(105, 110)}
    done = import_messages(importer, tmp_path, *slow, *fast, again)
    assert (done.added, done.skipped, done.holes) == (20, 1, 0)
    assert done.notes == ("1 messages of `depth` were passed over: their update ids lie among those of `depth@100ms`",)


@pytest.mark.parametrize("singles_first", [True, False])
def test_trades_that_change_their_stream_are_refused(importer: Importer, tmp_path: Path, singles_first: bool) -> None:
    """A log counts one or the other; a trade or two at the ends, seen on one stream alone, are told."""
    aggregates = [a_trade(i, T0 + i * SECOND_NS, f=60 + i, l=60 + i) for i in range(5)]
    first, last = (0, 59) if singles_first else (65, 124)
    singles = [a_single(i, T0 + i * SECOND_NS) for i in range(first, last + 1)]
    parts = [*singles, *aggregates] if singles_first else [*aggregates, *singles]
    at = "2024-01-01T00:00:59Z" if singles_first else "2024-01-01T00:00:05Z"
    with pytest.raises(BadFile, match=rf"at {at} it goes over from `trade` to `aggTrade`, or back.*cut it there"):
        import_messages(importer, tmp_path, *parts)
    near = [a_single(59), (T0 + MINUTE_NS, a_single(60)), *((T0 + MINUTE_NS, message) for message in aggregates)]
    done = import_messages(importer, tmp_path, *near)
    assert (done.added, done.skipped) == (5, 2)
    assert "the same trades are there as `aggTrade`, but for 1 that are not" in done.notes[0]


@pytest.mark.parametrize("files", [1, 2])
def test_ids_that_begin_anew_are_refused(importer: Importer, tmp_path: Path, files: int) -> None:
    """Trades and updates of a later time with smaller ids are of another market, or of another beginning."""
    old = [a_trade(100 + i, T0 + i * SECOND_NS) for i in range(3)]
    new = [(T0 + i * SECOND_NS, a_trade(1 + i, T0 + i * SECOND_NS)) for i in range(60, 63)]
    if files == 2:
        import_messages(importer, tmp_path, *old)
        old = []
    before = read_entries(importer)
    with pytest.raises(
        (BadFile, ImportRefused), match=r"id 6[13] of .* comes after id 102 of .*; ids of a market rise"
    ):
        import_messages(importer, tmp_path, *old, *new)
    assert read_entries(importer) == before


def test_update_ids_that_begin_anew_are_refused(importer: Importer, tmp_path: Path) -> None:
    """Not so those of a second connection that lags, which say again what is known."""
    late = [a_diff(i, i, E=T0_MS + i) for i in (1, 2, 3, 2)]
    assert import_messages(importer, tmp_path, *late).known == 1
    with pytest.raises(BadFile, match=r"line 2: id 5 of .* comes after id 9 of"):
        import_messages(importer, tmp_path, a_diff(4, 9, E=T0_MS + 60_000), a_diff(5, 5, E=T0_MS + 90_000))


@pytest.mark.parametrize("stamp", [9 * 10**18, 10**30, -1, 5, True, "x", 10**17])
def test_a_stamp_that_is_no_time_begins_nothing_anew(importer: Importer, tmp_path: Path, stamp: object) -> None:
    """One message is set aside; the others are taken."""
    done = import_messages(importer, tmp_path, a_trade(5), a_trade(3, T=stamp), a_trade(6))
    assert (done.added, done.quarantined) == (2, 1)


def test_a_trade_nobody_could_read_is_missing(importer: Importer, tmp_path: Path) -> None:
    """Also behind the last that could be read, where no id that follows tells of it."""
    bad = {"p": "not a price"}
    done = import_messages(importer, tmp_path, a_trade(1), a_trade(2, **bad), a_trade(3), a_trade(4, **bad))
    assert (done.added, done.quarantined) == (2, 2)
    assert [row["agg_id"] for row in read_entries(importer)[QUARANTINE]] == [2, 4]
    report = check(log_of(importer))
    assert not report.complete
    assert report.closed_agg_ids == [2, 4]


def test_a_book_of_a_symbol_whose_ids_nobody_knows_is_not_taken(importer: Importer, tmp_path: Path) -> None:
    """Only what lies among the market's own update ids is its own then."""
    messages = [a_diff(1, 10), a_book(10), a_trade(5, symbol="ETHUSDT"), a_book(777), a_diff(11, 20)]
    done = import_messages(importer, tmp_path, *messages)
    assert [row["last_update_id"] for row in read_entries(importer)[SNAPSHOT]] == [10]
    assert "ETHUSDT 1 and 1 books" in done.notes[0]


def test_logs_of_single_trades_and_of_agg_trades_do_not_mix(importer: Importer, tmp_path: Path) -> None:
    """Their ids count different things."""
    import_messages(importer, tmp_path, a_single(1), a_single(2))
    with pytest.raises(ImportRefused, match=r"holds `aggTrade` messages, and .* `trade`.*another --storage"):
        import_messages(importer, tmp_path, (T0 + MINUTE_NS, a_trade(3)))
    path = archive_csv(tmp_path / "x.csv", [archive_row(3, at=T0_MS + 60_000)])
    with pytest.raises(ImportRefused, match="holds single trades, not aggTrades"):
        import_trades(importer, "x.csv", Archive(path))
    other = Importer(ColdLog(tmp_path / "other", importer.cold.name), ManualClock(NOW * 2))
    import_trades(other, "x.csv", Archive(path))
    with pytest.raises(ImportRefused, match=r"holds `trade` messages, and .* `aggTrade`"):
        import_messages(other, tmp_path, (T0 + 2 * MINUTE_NS, a_single(4)))
    other.close()


@pytest.mark.parametrize("name", ["r1_sorted_keys.txt", "r1b_space.txt"])
def test_a_book_is_told_by_its_content(importer: Importer, name: str) -> None:
    """Sorted keys, blanks after a brace."""
    done = append_recording(importer, CASES / "snapshot-json-order" / name)
    assert (done.added, done.quarantined, counts(read_entries(importer))[SNAPSHOT]) == (5, 0, 1)


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_fields_and_blanks_say_nothing(importer: Importer, tmp_path: Path, seed: int) -> None:
    """Every kind, wrapped or not, shuffled."""
    dice = random.Random(seed)
    messages = [a_diff(10, 12), a_book(12), a_diff(13, 14), a_trade(1), a_trade(2), {"e": "kline", "s": SYMBOL}]
    streams = [
        "btcusdt@depth@100ms",
        "",
        "btcusdt@depth@100ms",
        "btcusdt@aggTrade",
        "btcusdt@aggTrade",
        "btcusdt@kline_1m",
    ]
    lines = []
    for i, (message, stream) in enumerate(zip(messages, streams, strict=True)):
        fields = list(message.items())
        dice.shuffle(fields)
        body: dict[str, Any] = dict(fields)
        if stream and dice.random() < 0.5:
            pair = [("stream", stream), ("data", body)]
            dice.shuffle(pair)
            body = dict(pair)
        text = json.dumps(body, indent=dice.choice([None, 1])).replace("\n", " ")
        lines.append(f"{T0 + i} {dice.choice(['', ' '])}{text}{dice.choice(['', ' '])}\n")
    (tmp_path / "r").write_text("".join(lines))
    done = append_recording(importer, tmp_path / "r")
    assert (done.added, done.skipped, done.quarantined) == (5, 1, 0)


def test_lost_updates_are_a_gap_and_the_grid_is_the_books(importer: Importer) -> None:
    """104 to 149 are on record as given up; prices step by 1, not by what few trades have in common."""
    done = append_recording(importer, CASES / "recording-with-lost-diffs" / "hole.txt")
    rows = read_entries(importer)
    (gap,) = rows[GAP]
    assert (gap["what"], gap["first"], gap["last"], gap["state"]) == ("update_ids", 104, 149, "given_up")
    assert gap["seq"] < rows[DIFF][-1]["seq"]
    assert [row["tick_size_e8"] for row in rows[INSTRUMENT]] == [10**8]
    assert done.holes == 1
    assert not check(log_of(importer)).complete


def test_updates_lost_between_two_recordings_are_named(importer: Importer, tmp_path: Path) -> None:
    """And none where the second goes on where the first ended, or overlaps it."""
    import_messages(importer, tmp_path, a_diff(1, 5), a_diff(6, 9))
    assert (
        import_messages(importer, tmp_path, (T0 + SECOND_NS, a_diff(6, 9)), (T0 + 2 * SECOND_NS, a_diff(8, 12))).holes
        == 0
    )
    assert import_messages(importer, tmp_path, (T0 + 3 * SECOND_NS, a_diff(20, 21))).holes == 1
    assert [(g["first"], g["last"]) for g in read_entries(importer)[GAP]] == [(13, 19)]


@pytest.mark.parametrize("name", ["r17_cut.txt", "r18_cut_stamp.txt"])
def test_a_torn_last_line_is_named(importer: Importer, name: str) -> None:
    """Torn in the message or in the time: whole lines are kept."""
    done = append_recording(importer, CASES / "recorder-killed" / name)
    lines = (CASES / "recorder-killed" / name).read_bytes().count(b"\n")
    assert (done.added, done.quarantined) == (lines, 0)
    assert f"line {lines + 1} is torn" in done.notes[0]


@pytest.mark.slow
def test_wherever_a_line_is_torn_the_whole_ones_are_kept(tmp_path: Path) -> None:
    """At each byte of the last line; plain, and packed by a recorder that was killed."""
    complete = a_file(tmp_path / "r", [a_trade(1), a_trade(2), a_trade(3)]).read_bytes()
    start = complete.rindex(b"\n", 0, -1) + 1
    for cut, archive in itertools.product(range(start, len(complete) + 1), (False, True)):
        path = tmp_path / f"cut-{cut}"
        path.write_bytes(gzip.compress(complete[:cut]) if archive else complete[:cut])
        cold = ColdLog(tmp_path / f"s-{cut}-{archive}", LogName("events", Market("binance", SYMBOL)))
        importer = Importer(cold, ManualClock(NOW))
        done = append_recording(importer, path)
        importer.close()
        has_end = cut >= len(complete) - 1
        assert (done.added, done.quarantined) == (3 if has_end else 2, 0), cut
        assert bool(done.notes) == (not has_end and cut > start), cut


def test_a_line_torn_in_the_middle_is_quarantined(importer: Importer, tmp_path: Path) -> None:
    """As where a recorder was killed and started again on the same file."""
    path = a_file(tmp_path / "r", [a_trade(1), a_trade(2), a_trade(3)])
    first, second, third = path.read_bytes().splitlines(keepends=True)
    for torn, reason in ((second[:40] + third, "no message"), (b"17045\n" + third, "not `<receive time>")):
        path.write_bytes(first + torn)
        storage = tmp_path / reason.replace("`", "").replace("<", "")
        other = Importer(ColdLog(storage, importer.cold.name), ManualClock(NOW))
        done = append_recording(other, path)
        (fact,) = read_entries(other)[QUARANTINE]
        assert done.quarantined == 1
        assert reason in fact["reason"]
        other.close()


def test_a_line_of_sixty_megabytes_is_named(importer: Importer, tmp_path: Path) -> None:
    """Its start is kept, its length is said, the rest is read on."""
    path = a_file(tmp_path / "r", [a_trade(1), a_trade(2)])
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"%d {" % T0 + b"x" * 60_000_000 + b"}\n" + second)
    done = append_recording(importer, path)
    (fact,) = read_entries(importer)[QUARANTINE]
    assert (done.added, done.quarantined) == (2, 1)
    assert "line 2 is longer than 16,777,216 bytes: 60,000,0" in fact["reason"]
    assert len(fact["data"]) == 4096


def test_other_symbols_are_passed_over(importer: Importer) -> None:
    """Counted by name, not quarantined."""
    done = append_recording(importer, CASES / "two-symbols-one-recording" / "r2_two_symbols.txt")
    assert (done.added, done.others, done.quarantined) == (5, 200, 0)
    assert done.notes == ("messages of other symbols were passed over: ETHUSDT 200",)
    assert check(log_of(importer)).complete


def test_a_book_belongs_where_its_update_ids_do(importer: Importer, tmp_path: Path) -> None:
    """Whichever symbol's comes first; nothing in a REST body names one."""
    ours = [a_diff(50_000 + i, 50_000 + i) for i in range(10)]
    theirs = [a_diff(900_000 + i, 900_000 + i, "BTCFDUSD") for i in range(10)]
    done = import_messages(
        importer, tmp_path, a_book(900_003, "59999.123"), a_book(50_002), *ours, *theirs, a_book(900_009)
    )
    rows = read_entries(importer)
    assert (done.added, done.others) == (11, 12)
    assert [row["last_update_id"] for row in rows[SNAPSHOT]] == [50_002]
    assert "BTCFDUSD 10 and 2 books" in done.notes[0]


def test_a_recording_of_other_symbols_alone_says_which(importer: Importer, tmp_path: Path) -> None:
    """And leaves nothing behind."""
    with pytest.raises(BadFile, match=r"holds nothing of BTCUSDT.*ETHUSDT 2, SOLUSDT 1; check --market"):
        import_messages(
            importer, tmp_path, a_trade(1, symbol="ETHUSDT"), a_trade(2, symbol="ETHUSDT"), a_trade(1, symbol="SOLUSDT")
        )
    importer.close()
    assert not (tmp_path / "storage").exists()


@pytest.mark.parametrize(
    "message",
    [
        a_diff(1, 2, pu=0),
        a_diff(1, 2, T=T0_MS),
        a_trade(1, nq="0.5", X="MARKET"),
        a_single(1, X="MARKET"),
        {"lastUpdateId": 5, "E": T0_MS, "T": T0_MS, "bids": [["1", "1"]], "asks": [["2", "1"]]},
        {"stream": "btcusdt@depth@100ms", "data": a_diff(1, 2, pu=0)},
    ],
)
def test_messages_of_futures_are_refused(importer: Importer, tmp_path: Path, message: Message) -> None:
    """Their update ids chain otherwise, and their book is another."""
    with pytest.raises(BadFile, match=r"line 2: its \w+ message is of a futures market, and BTCUSDT here is spot"):
        import_messages(importer, tmp_path, a_trade(1), message)


def test_a_recording_of_futures_is_refused(importer: Importer) -> None:
    """Named, with what to record instead."""
    with pytest.raises(BadFile, match=r"futures market.*record the spot streams"):
        append_recording(importer, CASES / "futures-recording" / "r8_futures.txt")


@pytest.mark.parametrize(
    ("way", "unit"),
    [
        ("{s} {m}", 10**9),
        ("{ms} {m}", 10**6),
        ("{us} {m}", 10**3),
        ("{ns} {m}", 1),
        ("{s}.{f}: {m}", 1),
        ("{s}.{f} {m}", 1),
        ("{us}: {m}", 10**3),
        ("{ms}\t{m}", 10**6),
        ("wss://stream.binance.com:9443/ws -> {s}.{f}: {m}", 1),
        ("{ms}, {m}", 10**6),
    ],
)
def test_receive_times_of_any_unit(importer: Importer, tmp_path: Path, way: str, unit: int) -> None:
    """As older recorders wrote them; each is told by its size."""
    lines = ["wss://stream.binance.com:9443/ws <-> 1704067199.5\n"] if "wss" in way else []
    times = [T0 + i * 1_234_567_891 for i in range(4)]
    for i, at in enumerate(times):
        parts = {"s": at // 10**9, "ms": at // 10**6, "us": at // 10**3, "ns": at, "f": f"{at % 10**9:09d}"}
        lines.append(way.format(m=json.dumps(a_trade(i + 1, at)), **parts) + "\n")
    (tmp_path / "r").write_text("".join(lines))
    append_recording(importer, tmp_path / "r")
    assert [t["recv_ns"] for t in read_entries(importer)[AGG_TRADE]] == [at // unit * unit for at in times]


def test_a_time_that_steps_back_is_named(importer: Importer, tmp_path: Path) -> None:
    """Seconds are taken as they are; hours are a mistake, or files joined in the wrong order."""
    import_messages(importer, tmp_path, (T0 + 5 * SECOND_NS, a_trade(1)), (T0, a_trade(2)))
    hour = 60 * MINUTE_NS
    with pytest.raises(BadFile, match="line 2 is stamped 2024-01-01T01:00:00Z, after one stamped 2024-01-01T02:00:00Z"):
        import_messages(importer, tmp_path, (T0 + 2 * hour, a_trade(3)), (T0 + hour, a_trade(4)))


@pytest.mark.parametrize(
    ("message", "other"),
    [
        (a_trade(1), a_trade(1, price="60000.20")),
        (a_trade(1), a_trade(1, q="0.6")),
        (a_diff(1, 2), a_diff(1, 2, price="60000.5")),
        (a_diff(1, 2), a_diff(2, 2)),
    ],
)
def test_other_content_under_a_known_id_is_on_record(
    importer: Importer, tmp_path: Path, message: Message, other: Message
) -> None:
    """In one recording, in a second one, and once however often it comes."""
    done = import_messages(importer, tmp_path, message, other, message)
    assert (done.added, done.known, done.conflicts) == (1, 1, 1)
    (fact,) = read_entries(importer)[QUARANTINE]
    assert json.loads(fact["data"]) == other
    assert not check(log_of(importer)).complete
    assert import_messages(importer, tmp_path, message, other).conflicts == 1
    assert len(read_entries(importer)[QUARANTINE]) == 1


def test_two_books_of_one_update_are_both_true(importer: Importer, tmp_path: Path) -> None:
    """They may have been asked for with different limits; the same one again says that it still holds."""
    books = [(T0 + i * SECOND_NS, book) for i, book in enumerate((a_book(5), a_book(5, "60000", "59999"), a_book(5)))]
    done = import_messages(importer, tmp_path, *books, books[2], books[0])
    assert (done.added, done.known, done.conflicts) == (3, 2, 0)
    again = import_messages(importer, tmp_path, *books)
    assert (again.added, again.known, again.conflicts) == (0, 3, 0)


@pytest.mark.parametrize("cut", [None, 50, 100])
def test_a_book_that_stays_the_same_is_live(importer: Importer, tmp_path: Path, cut: int | None) -> None:
    """Asked for every minute for two hours of a market in which nothing happens, in one file or in two."""
    lines = [(T0 + minute * MINUTE_NS + SECOND_NS, a_book(5)) for minute in range(120)]
    for part in (lines,) if cut is None else (lines[:cut], lines[cut:]):
        assert import_messages(importer, tmp_path, *part).added == len(part)
    depth = {t["boundary_ns"]: t["depth"] for t in read_entries(importer)[TICK]}
    assert len(read_entries(importer)[SNAPSHOT]) == 120
    assert set(depth.values()) == {"live"}


def test_a_quiet_market_is_live_where_ids_prove_it(importer: Importer, tmp_path: Path) -> None:
    """Minutes without a trade; none is called live after the last trade, or before a gap."""
    books = [(T0 + i * 20 * SECOND_NS, a_diff(i + 1, i + 1)) for i in range(40)]
    trades = [(T0 + 1, a_trade(1)), (T0 + 5 * MINUTE_NS + 1, a_trade(2)), (T0 + 9 * MINUTE_NS + 1, a_trade(5))]
    import_messages(importer, tmp_path, *sorted([*books, *trades], key=lambda pair: pair[0]))
    states = [(t["boundary_ns"] - T0) // MINUTE_NS for t in read_entries(importer)[TICK] if t["trades"] == "live"]
    assert states == [1, 2, 3, 4, 5, 6, 10]


def test_nothing_is_live_where_no_trade_can_be_read(importer: Importer, tmp_path: Path) -> None:
    """All of them quarantined, the book fine."""
    lines = [(T0 + i * 10 * SECOND_NS, a_diff(i + 1, i + 1)) for i in range(30)]
    lines += [(T0 + i * 10 * SECOND_NS + 1, a_trade(i + 1, price="-5")) for i in range(30)]
    done = import_messages(importer, tmp_path, *sorted(lines, key=lambda pair: pair[0]))
    assert done.quarantined == 30
    assert {t["trades"] for t in read_entries(importer)[TICK]} == {"down"}
    assert not check(log_of(importer)).complete


@pytest.mark.parametrize("seed", range(6))
def test_any_split_into_recordings_is_the_same_log(tmp_path: Path, seed: int) -> None:
    """Cut anywhere, with overlaps; ticks after the last trade of a file alone know less than a longer file does."""
    dice = random.Random(seed)
    lines: list[tuple[int, Message]] = []
    at, trade, update = T0, 0, 0
    for _ in range(300):
        at += dice.choice([1, 50, 1_000, 20_000]) * 10**6
        if dice.random() < 0.5:
            trade += 1
            lines.append((at, a_trade(trade, at, price=f"{60000 + dice.randint(0, 99)}.{dice.randint(10, 99)}")))
        elif dice.random() < 0.9:
            update += 1 + (dice.random() < 0.1) * 3
            lines.append((at, a_diff(update, update)))
        else:
            lines.append((at, a_book(update)))
    entries = []
    cuts = sorted(dice.sample(range(20, 300), 3))
    for name, parts in (("one", [(0, 300)]), ("parts", list(zip([0, *cuts], [*cuts, 300], strict=True)))):
        importer = Importer(ColdLog(tmp_path / name, LogName("events", Market("binance", SYMBOL))), ManualClock(NOW))
        for start, stop in parts:
            append_recording(importer, a_file(tmp_path / "r", lines[max(0, start - dice.randint(0, 3)) : stop]))
        entries.append(read_entries(importer))
        importer.close()
    for rows in entries:
        rows.pop(INSTRUMENT)
    assert entries[0] == entries[1]


def test_a_cheap_coins_book_keeps_its_quantities(tmp_path: Path) -> None:
    """Walls of 10^12 coins do not fit eight decimals; whole coins do."""
    importer = Importer(ColdLog(tmp_path / "s", LogName("events", Market("binance", "PEPEUSDT"))), ManualClock(NOW))
    book = {"lastUpdateId": 5, "bids": [["0.00001000", "921415787360.00"]], "asks": [["0.00001001", "5.00"]]}
    done = import_messages(importer, tmp_path, book, a_trade(1, symbol="PEPEUSDT", price="0.00001", q="480000000.00"))
    rows = read_entries(importer)
    importer.close()
    assert (done.added, done.quarantined) == (2, 0)
    assert [row["quantity_decimals"] for row in rows[INSTRUMENT]] == [0]
    assert rows[SNAPSHOT][0]["bid_quantity_e8"] == [921_415_787_360]
    assert rows[AGG_TRADE][0]["quantity_e8"] == 480_000_000


def test_one_absurd_number_does_not_change_the_scale(importer: Importer, tmp_path: Path) -> None:
    """It is quarantined; the others keep their eight decimals."""
    good = [a_trade(i, q="0.12345678") for i in range(1, 9)]
    done = import_messages(importer, tmp_path, *good, a_trade(9, q="99999999999999"))
    assert (done.added, done.quarantined) == (8, 1)
    assert read_entries(importer)[INSTRUMENT][0]["quantity_decimals"] == 8
