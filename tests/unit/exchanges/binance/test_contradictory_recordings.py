"""Recordings whose messages come in another order than they were sent, contradict each other, or are half there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eventlog.facts.capture import GAP, QUARANTINE, UNREAD_TRADE
from eventlog.facts.market import SNAPSHOT
from eventlog.proof.certificate import certify
from eventlog.proof.check import Report, check
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.recordings.recorded_updates import UpdateRanges
from exchanges.binance.recordings.unread_trades import inspect_unreadable
from exchanges.errors import BadFile
from market.timestamps import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from tests.builders import T0
from tests.unit.exchanges.binance.test_recording_cases import (
    SYMBOL,
    a_diff,
    a_single,
    a_trade,
    import_messages,
    read_entries,
)


def report_of(importer: Importer) -> Report:
    """What a check of the log finds."""
    return check(Log(importer.cold, None, BinanceMapper(SYMBOL).decoders))


def missing_updates(importer: Importer) -> list[tuple[int, int]]:
    """The update ids that gaps name."""
    return [(gap["first"], gap["last"]) for gap in read_entries(importer).get(GAP, []) if gap["what"] == "update_ids"]


def test_updates_out_of_order_are_not_missing(importer: Importer, tmp_path: Path) -> None:
    """All are in the file; and what the next file begins with follows the largest, not the last that came."""
    diffs = [a_diff(1, 4), a_diff(9, 12), a_diff(5, 8), a_diff(13, 14)]
    assert import_messages(importer, tmp_path, a_trade(1), *diffs).holes == 0
    assert report_of(importer).complete
    late = [a_diff(19, 20), a_diff(15, 18)]
    assert (
        import_messages(importer, tmp_path, *((T0 + (10 + i) * SECOND_NS, diff) for i, diff in enumerate(late))).holes
        == 0
    )
    assert import_messages(importer, tmp_path, (T0 + 20 * SECOND_NS, a_diff(21, 22))).holes == 0
    assert missing_updates(importer) == []


def test_updates_missing_among_such_out_of_order_are_named(importer: Importer, tmp_path: Path) -> None:
    """Once each, before what comes first behind them."""
    diffs = [a_diff(1, 4), a_diff(20, 22), a_diff(9, 12), a_diff(13, 14), a_diff(30, 31)]
    assert import_messages(importer, tmp_path, a_trade(1), *diffs).holes == 3
    assert missing_updates(importer) == [(5, 8), (15, 19), (23, 29)]


def test_ranges_are_the_same_however_they_come() -> None:
    """Touching, overlapping, one within the other; drawn orders, in many parts."""
    dice = np.random.default_rng(5)
    ids = np.array([(i * 5, i * 5 + 4 + i % 3) for i in range(300) if i % 50] + [(7, 9)])
    for _ in range(5):
        ranges = UpdateRanges()
        for part in np.array_split(dice.permutation(ids), 150):
            ranges.add(part[:, 0], part[:, 1])
        merged_ids = np.concatenate([np.arange(a, b + 1) for a, b in ids])
        found = np.concatenate([np.arange(a, b + 1) for a, b in ranges.ranges()])
        assert found.tolist() == np.unique(merged_ids).tolist()
        assert len(ranges.ranges()) == 1 + np.count_nonzero(np.diff(np.unique(merged_ids)) > 1)


def book(*quantities: str, asks: int = 3) -> dict[str, Any]:
    """A REST depth body of update 5."""
    bids = [[str(60_000 - i), quantity] for i, quantity in enumerate(quantities)]
    return {"lastUpdateId": 5, "bids": bids, "asks": [[str(60_001 + i), "1"] for i in range(asks)]}


@pytest.mark.parametrize(
    ("books", "expected"),
    [
        ([book("1"), book("9")], (1, 0, 1)),
        ([book("1"), book("9"), book("9"), book("1")], (2, 0, 2)),
        ([book("1", "2", "3"), book("1", "2")], (1, 0, 1)),
        ([book("1", "2", "3", "4"), book("1", "2", asks=2), book("1", "2", asks=2)], (3, 0, 0)),
        ([book("1", "2", "3", "4"), book("1", "7", asks=2)], (1, 0, 1)),
        ([book("1", asks=1), book("1", "2", asks=2), book("1", "2", "3"), book("1", "2", asks=2)], (4, 0, 0)),
    ],
)
@pytest.mark.parametrize("files", [1, 2])
def test_books_of_one_update_contradict_each_other(
    importer: Importer, tmp_path: Path, books: list[dict[str, Any]], expected: tuple[int, int, int], files: int
) -> None:
    """Where levels that both hold differ, in one file or in two; a deeper book goes on where the other ends."""
    parts = [[a_trade(1), *books]] if files == 1 else [[a_trade(1), books[0]], books[1:]]
    times_ns = [[(T0 + (10 * n + i) * SECOND_NS, item) for i, item in enumerate(part)] for n, part in enumerate(parts)]
    done = [import_messages(importer, tmp_path, *lines) for lines in times_ns]
    rows = tuple(sum(getattr(item, name) for item in done) for name in ("added", "known", "conflicts"))
    assert rows == (expected[0] + 1, *expected[1:])
    assert len(read_entries(importer)[SNAPSHOT]) == expected[0]
    report = report_of(importer)
    assert report.complete == (expected[2] == 0)
    assert report.conflicts == expected[2]
    again = [import_messages(importer, tmp_path, *lines) for lines in times_ns]
    assert (sum(item.added for item in again), sum(item.conflicts for item in again)) == (0, expected[2])


@pytest.mark.parametrize("order", [(1, 2, 3), (1, 3, 2), (3, 2, 1)])
def test_a_trade_stamped_long_before_the_one_before_it_is_refused(
    importer: Importer, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """By its id, in whatever order they came; nothing of the file is taken."""
    start = T0 + 2 * HOUR_NS
    times = {1: start, 2: start - HOUR_NS, 3: start + SECOND_NS}
    trades = [(start + i * SECOND_NS, a_trade(number, times[number])) for i, number in enumerate(order)]
    said = "trade 2 is stamped 2024-01-01T01:00:00Z, after one stamped 2024-01-01T02:00:00Z; one of them is wrong"
    with pytest.raises(BadFile, match=said):
        import_messages(importer, tmp_path, *trades)
    assert read_entries(importer) == {}


def test_a_trade_stamped_long_before_the_logs_last_is_refused(importer: Importer, tmp_path: Path) -> None:
    """Between two files as within one."""
    at = T0 + 2 * HOUR_NS
    import_messages(importer, tmp_path, (at, a_trade(1, at)))
    with pytest.raises(BadFile, match="trade 2 is stamped"):
        import_messages(importer, tmp_path, (at + SECOND_NS, a_trade(2, at - HOUR_NS)))


def test_trades_that_come_late_are_in_order(importer: Importer, tmp_path: Path) -> None:
    """Old trades that a recorder fetched again have old ids; minutes between stamps are no mistake."""
    at = T0 + 2 * HOUR_NS
    trades = [a_trade(2, at - 9 * MINUTE_NS), a_trade(3, at), a_trade(4, at - 9 * MINUTE_NS), a_trade(1, at - HOUR_NS)]
    done = import_messages(importer, tmp_path, *((at + i * SECOND_NS, trade) for i, trade in enumerate(trades)))
    assert (done.added, done.holes) == (4, 0)


@pytest.mark.parametrize("said", ["3", 3.0])
def test_a_trade_whose_id_is_written_otherwise_is_missing_by_its_id(
    importer: Importer, tmp_path: Path, said: object
) -> None:
    """As text or with a decimal point: the trade cannot be read, but its id can."""
    done = import_messages(importer, tmp_path, a_trade(1), a_trade(2), {**a_trade(3), "a": said})
    assert (done.added, done.quarantined) == (2, 1)
    report = report_of(importer)
    assert (report.complete, report.closed_agg_ids) == (False, [3])


A_TRADE = json.dumps(a_trade(3)).encode()


@pytest.mark.parametrize(
    ("message", "agg_id"),
    [
        (A_TRADE + json.dumps(a_trade(4)).encode(), 3),
        (A_TRADE[:80], 3),
        (A_TRADE[: A_TRADE.index(b'"a": 3') + 6], None),
        (A_TRADE[60:], None),
        (A_TRADE[30:], None),
        (A_TRADE.replace(b'"a": 3', b'"a": 12345678901234567890'), None),
        (A_TRADE.replace(b'"a": 3', b'"a": 3.5'), None),
        (A_TRADE.replace(b'"a": 3', b'"a": "x"'), None),
        (A_TRADE.replace(b'"a": 3, ', b""), None),
        (A_TRADE.replace(b'"a": 3', b'"a": -3'), None),
        (b'{"stream": "btcusdt@aggTrade", "data": {"e', None),
    ],
)
def test_what_may_have_been_a_trade_is_told(message: bytes, agg_id: int | None) -> None:
    """By its id where a whole one is there, else by its source."""
    assert inspect_unreadable(message, SYMBOL, "aggTrade") == (True, agg_id)


@pytest.mark.parametrize(
    "message",
    [
        b"ping",
        b"",
        b"17040",
        A_TRADE.replace(SYMBOL.encode(), b"ETHUSDT")[:-1],
        json.dumps(a_diff(1, 2)).encode(),
        json.dumps(a_diff(1, 2)).encode()[:-1],
        json.dumps(a_single(3)).encode()[:-1],
        json.dumps({"e": "kline"}).encode(),
    ],
)
def test_what_was_no_trade_of_the_market_is_none(message: bytes) -> None:
    """Of another symbol, of another stream, or nothing at all."""
    assert inspect_unreadable(message, SYMBOL, "aggTrade") == (False, None)


def test_a_trade_that_may_be_one_is_on_record_as_such(importer: Importer, tmp_path: Path) -> None:
    """Where nothing tells its id; other messages are from the import, and no more."""
    missing = {name: value for name, value in a_trade(3).items() if name != "a"}
    import_messages(importer, tmp_path, a_trade(1), missing, {**a_trade(2), "p": "-1"}, {**a_diff(1, 2), "b": 5})
    rows = read_entries(importer)[QUARANTINE]
    assert [(row["source"], row["agg_id"]) for row in rows] == [(UNREAD_TRADE, None), ("import", 2), ("import", None)]


def test_a_log_that_lacks_what_may_have_been_a_trade_is_not_complete(importer: Importer, tmp_path: Path) -> None:
    """At the end, where no id tells that one is missing; and the day's certificate says so as well."""
    missing = {name: value for name, value in a_trade(3).items() if name != "a"}
    import_messages(importer, tmp_path, a_trade(1), a_trade(2), missing)
    report = report_of(importer)
    reason = "messages that nobody could read and that may have been trades: 1"
    assert (report.complete, report.trades_complete, report.reasons) == (False, False, [reason])
    log = Log(importer.cold, None, BinanceMapper(SYMBOL).decoders)
    assert reason in certify(log, T0 - T0 % DAY_NS).reasons
