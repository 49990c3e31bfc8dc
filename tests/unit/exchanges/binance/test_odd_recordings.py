"""Recordings of other collectors and other streams: the facts that a plain reading of their JSON has, or what it is."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eventlog.clock import ManualClock
from eventlog.errors import EventLogError
from eventlog.facts.capture import GAP, QUARANTINE
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Importer, ImportSummary
from exchanges.binance.recordings.recording import append_recording
from exchanges.errors import BadFile
from market.instrument import Market
from market.timestamps import DAY_NS, SECOND_NS
from tests.builders import NOW, T0, contents

MARKET = Market("binance", "BTCUSDT")
MS = T0 // 10**6
Message = dict[str, Any]
Found = dict[str, list[dict[str, Any]]]


def a_trade(agg_id: int, symbol: str = "BTCUSDT", **more: Any) -> Message:
    """An aggTrade of the spot market."""
    ids = {"a": agg_id, "p": "60000.10", "q": "0.5", "f": agg_id, "l": agg_id}
    return {"e": "aggTrade", "E": MS, "s": symbol, **ids, "T": MS, "m": True, "M": True, **more}


def a_single(trade_id: int) -> Message:
    """A single trade."""
    return {k: v for k, v in a_trade(trade_id, e="trade", t=trade_id).items() if k not in ("a", "f", "l")}


def of_futures(message: Message) -> Message:
    """The same as a futures market sends it."""
    return {k: v for k, v in message.items() if k != "M"}


def a_diff(first: int, last: int, symbol: str = "BTCUSDT") -> Message:
    """A change of the book."""
    return {"e": "depthUpdate", "E": MS, "s": symbol, "U": first, "u": last, "b": [["60000", "1"]], "a": []}


def a_book(update: int) -> Message:
    """A REST depth body."""
    return {"lastUpdateId": update, "bids": [["60000", "1"]], "asks": [["60001", "2"]]}


def wrap_message(stream: str, message: Any) -> Message:
    """A message of a combined stream."""
    return {"stream": stream, "data": message}


def text(*messages: Message | str, start: int = T0) -> str:
    """A recording, a message a second."""
    return "".join(
        f"{start + i * SECOND_NS} {m if isinstance(m, str) else json.dumps(m)}\n" for i, m in enumerate(messages)
    )


def bring(folder: Path, *recordings: str | bytes, market: Market = MARKET) -> tuple[list[ImportSummary], Found]:
    """Import recordings; what came of each, and what the log holds."""
    importer = Importer(ColdLog(folder / "storage", LogName("events", market)), ManualClock(NOW * 2))
    done = []
    try:
        for i, recording in enumerate(recordings):
            path = folder / f"{i}.txt"
            path.write_bytes(recording if isinstance(recording, bytes) else recording.encode())
            done.append(append_recording(importer, path))
    finally:
        importer.close()
    return done, contents(importer.cold.read(0, importer.cold.refresh().last_seq))


def counts(rows: Found) -> tuple[int, int, int]:
    """How many trades, updates and books."""
    return len(rows.get(AGG_TRADE, [])), len(rows.get(DIFF, [])), len(rows.get(SNAPSHOT, []))


CRYPTOFEED = (
    "configuration: {'BTC-USDT': ['trades']}\n"
    "wss://stream.binance.com:9443/stream <-> 1704067200.5\n"
    'wss://stream.binance.com:9443/stream <- 1704067200.6: {"method": "SUBSCRIBE"}\n'
    f"1704067200.7: {json.dumps(wrap_message('btcusdt@trade', a_single(1)))}\n"
    f"https://api.binance.com/api/v3/depth?symbol=BTCUSDT -> 1704067200.8: {json.dumps(a_book(3))}\n"
)
TICKER = {"u": 400900217, "s": "BTCUSDT", "b": "25.3", "B": "31", "a": "25.4", "A": "40"}
MANY = {"e": "24hrMiniTicker", "s": "ETHUSDT"}


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        (text(a_trade(1), a_trade(2)), (2, 0, 0)),
        (text(a_book(5), a_book(6)), (0, 0, 2)),
        (text(a_diff(1, 5), a_diff(6, 9)), (0, 2, 0)),
        (
            text(wrap_message("btcusdt@aggTrade", a_trade(1)), wrap_message("btcusdt@depth@100ms", a_diff(1, 2))),
            (1, 1, 0),
        ),
        (text({"id": "x", "status": 200, "result": a_book(5), "rateLimits": []}), (0, 0, 1)),
        (text(wrap_message("btcusdt@depth@0ms", a_diff(1, 2)), wrap_message("btcusdt@bookTicker", TICKER)), (0, 1, 0)),
        (text(wrap_message("btcusdt@depth20@100ms", a_book(5)), a_trade(1)), (1, 0, 0)),
        (text(wrap_message("snapshot", a_book(5))), (0, 0, 1)),
        (text(wrap_message("btcusdt@snapshot", a_book(5))), (0, 0, 1)),
        (text(wrap_message("ethusdt@snapshot", a_book(5)), a_trade(1)), (1, 0, 0)),
        (text(wrap_message("!miniTicker@arr", [MANY]), json.dumps([MANY]), a_trade(1)), (1, 0, 0)),
        (text({"result": None, "id": 1}, {"error": {"code": 2}}, TICKER, a_trade(1)), (1, 0, 0)),
        (text(a_trade(1), a_trade(2, "币安人生USDT"), a_trade(2, "1000SHIBUSDT"), a_trade(2, "BTCUSDTX")), (1, 0, 0)),
        (text(a_trade(1, T=T0 // 1000 + 3)), (1, 0, 0)),
        (text(a_single(1), a_single(2)), (2, 0, 0)),
        (
            text(json.dumps(a_single(1), separators=(",", ":")), json.dumps(a_single(2), separators=(" ,", " : "))),
            (2, 0, 0),
        ),
        (text(json.dumps(a_single(1), sort_keys=True), a_diff(1, 2), json.dumps(a_book(3), sort_keys=True)), (1, 1, 1)),
        (CRYPTOFEED, (1, 0, 1)),
        ("\ufeff" + text(a_trade(1)) + "\ufeff" + text(a_trade(2)), (2, 0, 0)),
        ("\n  \n" + text(a_trade(1)).replace("\n", "  \r\n") + "\n\n", (1, 0, 0)),
        (text(a_trade(1), a_trade(1), a_trade(2), a_trade(2)), (2, 0, 0)),
        (text(a_trade(1), a_trade(2), a_trade(3)) + text(a_trade(2), a_trade(4)), (4, 0, 0)),
        (gzip.compress(text(a_trade(1)).encode()) + gzip.compress(text(a_trade(1), a_trade(2)).encode()), (2, 0, 0)),
    ],
)
def test_what_collectors_write_is_read(tmp_path: Path, recording: str | bytes, expected: tuple[int, int, int]) -> None:
    """Wrapped or not, joined, marked, with lines of connections: each fact of the market once, and nothing else."""
    (done,), rows = bring(tmp_path, recording)
    assert counts(rows) == expected
    assert (done.added, done.quarantined, done.conflicts) == (sum(expected), 0, 0)


@pytest.mark.parametrize(
    ("recording", "said"),
    [
        ("", "holds no trade, depth update or snapshot"),
        (gzip.compress(b""), "holds no trade, depth update or snapshot"),
        (json.dumps(a_trade(1)) + "\n", "line 1 is not `<receive time> <message>`"),
        (json.dumps({"recv": T0, "data": a_trade(1)}) + "\n", "line 1 is not `<receive time> <message>`"),
        (f"2024-01-01T00:00:00Z {json.dumps(a_trade(1))}\n", "line 1 is not"),
        (f"[{T0}] {json.dumps(a_trade(1))}\n", "line 1 is not"),
        (f"1.7040672e+09 {json.dumps(a_trade(1))}\n", "line 1 is not"),
        (f"-5 {json.dumps(a_trade(1))}\n", "line 1 is not"),
        (f"567 {json.dumps(a_trade(1))}\n", "line 1 is not"),
        (text(a_trade(1)).encode("utf-16"), "UTF-16"),
        (text(a_trade(1, "btcusdt")), "holds nothing of BTCUSDT.*btcusdt 1; check --market"),
        (text(a_trade(1, p=60000.1)), "nothing in it can be read; not as documented"),
        (text({"arg": {"channel": "trades"}, "data": [{"px": "1"}]}), "holds no trade"),
        (text({"topic": "publicTrade.BTCUSDT", "data": [{"p": "1"}]}), "holds no trade"),
        (text(a_trade(1, "BTCUSD_PERP", ps="BTCUSD")), "line 1: its aggTrade message is of a futures market"),
        (
            text({"e": "markPriceUpdate", "s": "BTCUSDT", "p": "1", "T": MS}, of_futures(a_trade(1))),
            "its markPriceUpdate message is of a futures market, and BTCUSDT here is spot",
        ),
        (
            text(of_futures(a_trade(1)), {"e": "bookTicker", "s": "BTCUSDT", "b": "1", "B": "1", "T": MS}),
            "its bookTicker message is of a futures market",
        ),
    ],
)
def test_what_is_no_recording_of_the_market_says_so(tmp_path: Path, recording: str | bytes, said: str) -> None:
    """In a line, with what it is; nothing is left behind."""
    with pytest.raises(BadFile, match=said) as caught:
        bring(tmp_path, recording)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "storage").exists()


def test_trades_like_those_of_futures_are_told(tmp_path: Path) -> None:
    """Nothing else in such a recording tells the markets apart; one trade of the spot market does."""
    (done,), _ = bring(tmp_path, text(of_futures(a_trade(1)), of_futures(a_trade(2))))
    assert "make sure that it is spot" in done.notes[0]
    (tmp_path / "mixed").mkdir()
    (done,), _ = bring(tmp_path / "mixed", text(of_futures(a_trade(1)), a_trade(2)))
    assert done.notes == ()


def test_books_that_may_be_anybodys_are_nobodys(tmp_path: Path) -> None:
    """Two symbols, and no book updates by whose ids a book would be known."""
    (done,), rows = bring(tmp_path, text(a_book(5), a_trade(1), a_book(900), a_trade(1, "ETHUSDT")))
    assert counts(rows) == (1, 0, 0)
    assert "2 books were passed over: books name no symbol" in done.notes[0]


@pytest.mark.parametrize(
    ("recording", "taken", "set_aside"),
    [
        (text(a_trade(1)) + text(a_trade(2))[:60] + text(a_trade(3), a_trade(4)), [1, 4], 1),
        (text(a_trade(1)) + "17040\n" + text(a_trade(2)), [1, 2], 1),
        (text(a_trade(1)) + "\0" * 50 + "\n" + text(a_trade(2)), [1, 2], 1),
        (text(a_trade(1)) + text("ping", "pong") + text(a_trade(2)), [1, 2], 2),
        (text(a_trade(1, p="-1"), a_trade(2), a_trade(3, q="0"), a_trade(4, p="1e3")), [2], 3),
        (text(a_trade(1), {**a_book(5), "asks": [["59999", "1"]]}), [1], 1),
    ],
)
def test_what_is_torn_within_is_set_aside(tmp_path: Path, recording: str, taken: list[int], set_aside: int) -> None:
    """With its bytes; the good lines around it are all there, and what is missing between them is a gap."""
    (done,), rows = bring(tmp_path, recording)
    assert [t["agg_id"] for t in rows[AGG_TRADE]] == taken
    assert done.quarantined == len(rows[QUARANTINE]) == set_aside
    missing = {i for g in rows.get(GAP, []) for i in range(g["first"], g["last"] + 1)}
    assert missing == set(range(taken[0], taken[-1])) - set(taken)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([[1, 2], [2, 3]], (3, 1, 0)),
        ([[1, 2], [1, 2]], (2, 2, 0)),
        ([[1, 2], [3], [(2, "8"), 4]], (4, 0, 1)),
        ([[1, (1, "8"), (1, "9"), 1]], (1, 1, 2)),
    ],
)
def test_trades_that_come_again_are_known_or_conflict(
    tmp_path: Path, files: Sequence[Sequence[Any]], expected: tuple[int, int, int]
) -> None:
    """By content, in whichever file."""
    recordings = []
    for n, ids in enumerate(files):
        trades = [a_trade(i) if isinstance(i, int) else a_trade(i[0], q=i[1]) for i in ids]
        recordings.append(text(*trades, start=T0 + n * 10 * SECOND_NS))
    done, rows = bring(tmp_path, *recordings)
    assert tuple(sum(getattr(d, n) for d in done) for n in ("added", "known", "conflicts")) == expected
    assert len(rows[AGG_TRADE]) == expected[0]
    assert {t["quantity_e8"] for t in rows[AGG_TRADE]} == {50_000_000}


def test_a_coin_counted_in_trillions_is_exact_or_refused(tmp_path: Path) -> None:
    """Whole coins stay whole; halves of another day go another way, and are not dropped without a word."""
    huge = text(*[a_trade(i, p="0.00001007", q="92141578736.00000000") for i in range(1, 100)])
    (done,), rows = bring(tmp_path, huge)
    assert rows[INSTRUMENT][0]["quantity_decimals"] == 0
    assert sum(t["quantity_e8"] for t in rows[AGG_TRADE]) == 99 * 92_141_578_736
    assert done.quarantined == 0
    halves = text(a_trade(100, p="0.00001007", q="0.5"), start=T0 + DAY_NS)
    with pytest.raises((BadFile, EventLogError), match=r"'0\.5'.*more decimals than the 0.*another --storage"):
        bring(tmp_path, huge, halves)
