"""Recordings of the venue's own messages."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from eventlog.clock import ManualClock
from eventlog.errors import ImportRefused
from eventlog.facts.capture import GAP, QUARANTINE, TICK
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.proof.check import check
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer, ImportSummary
from exchanges.binance.recordings.recording import append_recording
from exchanges.errors import BadFile
from market.timestamps import MINUTE_NS, SECOND_NS
from tests.builders import EVENTS, MAPPER, NOW, T0, a_diff, a_recording, a_trade, contents

Line = tuple[int, bytes]
BOOK = b'{"lastUpdateId":10,"bids":[["99","1"]],"asks":[["101","1"],["102","1"]]}'


def a_trade_line(agg_id: int, at_ns: int = T0, price: str = "100") -> Line:
    """An aggTrade as received."""
    return at_ns, a_trade(agg_id, price, at_ns=at_ns).data


@pytest.fixture
def importer(tmp_path: Path) -> Iterator[Importer]:
    """An importer of an empty log."""
    importer = Importer(ColdLog(tmp_path / "storage", EVENTS), ManualClock(NOW))
    yield importer
    importer.close()


def import_lines(importer: Importer, tmp_path: Path, *lines: Line) -> ImportSummary:
    """Import a recording."""
    return append_recording(importer, a_recording(tmp_path / "r.gz", lines))


def log_of(importer: Importer) -> Log:
    """The log, to be read."""
    return Log(importer.cold, None, MAPPER.decoders)


def test_a_recording_becomes_facts_in_the_order_of_its_lines(importer: Importer, tmp_path: Path) -> None:
    """Wrapped or plain; a bare depth body is a snapshot; other streams are counted and passed over."""
    envelope = b'{"stream":"btcfdusd@depth@100ms","data":' + a_diff(11, 12).data + b"}"
    done = import_lines(
        importer, tmp_path, (T0 + 1, BOOK), (T0 + 2, envelope), (T0 + 3, b'{"e":"kline"}'), a_trade_line(1, T0 + 4)
    )
    assert done == ImportSummary(added=3, known=0, skipped=1)
    entries = contents(log_of(importer).read())
    assert {kind: [r["seq"] for r in rows] for kind, rows in entries.items()} == {
        INSTRUMENT: [1],
        SNAPSHOT: [2],
        DIFF: [3],
        AGG_TRADE: [4],
    }
    assert entries[DIFF][0]["recv_ns"] == T0 + 2
    assert (entries[SNAPSHOT][0]["limit"], entries[SNAPSHOT][0]["request_ns"]) == (2, T0 + 1)
    assert entries[INSTRUMENT][0]["source"] == "inferred"


def test_ticks_stand_where_the_receive_time_crosses_a_minute(importer: Importer, tmp_path: Path) -> None:
    """They know what the log held then; of a silence the next trade's id tells whether one was missed in it."""
    times = [T0 + 30 * SECOND_NS, T0 + 61 * SECOND_NS, T0 + 10 * MINUTE_NS, T0 + 11 * MINUTE_NS]
    import_lines(importer, tmp_path, *(a_trade_line(i + 1, at) for i, at in enumerate(times)))
    ticks = contents(log_of(importer).read())[TICK]
    assert [(t["boundary_ns"] - T0) // MINUTE_NS for t in ticks] == list(range(1, 12))
    assert [t["last_agg_id"] for t in ticks] == [1, *[2] * 9, 3]
    assert {(t["trades"], t["depth"]) for t in ticks} == {("live", "down")}
    assert [t["seq"] for t in ticks[:2]] == [3, 5]


def test_a_minute_in_which_a_trade_was_missed_is_not_live(importer: Importer, tmp_path: Path) -> None:
    """A trade came before the first boundary; whether one came before the later ones is unknown."""
    import_lines(importer, tmp_path, a_trade_line(1, T0), a_trade_line(5, T0 + 3 * MINUTE_NS + 1))
    ticks = contents(log_of(importer).read())[TICK]
    assert [t["trades"] for t in ticks] == ["live", "down", "down"]


def test_a_message_that_cannot_be_read_is_quarantined_where_it_stands(importer: Importer, tmp_path: Path) -> None:
    """With its bytes and the reason; the good ones around it are all there."""
    bad = a_trade(2, "-1").data
    done = import_lines(importer, tmp_path, a_trade_line(1), (T0, bad), a_trade_line(3), (T0, b"no json"))
    assert (done.added, done.quarantined) == (2, 2)
    rows = contents(log_of(importer).read())
    assert [r["agg_id"] for r in rows[AGG_TRADE]] == [1, 3]
    assert [r["data"] for r in rows[QUARANTINE]] == [bad, b"no json"]
    assert "no sign" in rows[QUARANTINE][0]["reason"]
    assert rows[QUARANTINE][0]["seq"] == 3


def test_an_unreadable_rest_row_does_not_take_its_neighbour_with_it(importer: Importer, tmp_path: Path) -> None:
    """REST-shaped rows and events mixed: the one with the bad event time is the one that goes."""
    trade = {"e": "trade", "E": T0 // 10**6, "s": "BTCFDUSD", "p": "1", "q": "1", "T": T0 // 10**6, "m": True}
    lines = [(T0, msgspec.json.encode(trade | {"t": i} | ({"E": 5} if i == 3 else {}))) for i in range(1, 6)]
    assert import_lines(importer, tmp_path, *lines).quarantined == 1
    assert [r["agg_id"] for r in contents(log_of(importer).read())[AGG_TRADE]] == [1, 2, 4, 5]


def test_the_same_recording_twice_adds_nothing(importer: Importer, tmp_path: Path) -> None:
    """Trades, diffs and books are told by their ids, within one recording too."""
    lines = [(T0 + 1, BOOK), (T0 + 2, a_diff(11, 12).data), a_trade_line(1, T0 + 3), a_trade_line(1, T0 + 4)]
    assert import_lines(importer, tmp_path, *lines) == ImportSummary(added=3, known=1)
    before = importer.cold.catalogue
    assert import_lines(importer, tmp_path, *lines) == ImportSummary(added=0, known=4)
    assert importer.cold.refresh() == before


def test_a_second_recording_goes_on_where_the_first_ended(importer: Importer, tmp_path: Path) -> None:
    """One tick between them where the minute was watched on both sides, a gap where trades are missing."""
    import_lines(importer, tmp_path, a_trade_line(1, T0 + 30 * SECOND_NS))
    done = import_lines(importer, tmp_path, a_trade_line(4, T0 + 70 * SECOND_NS))
    assert done.holes == 1
    rows = contents(log_of(importer).read())
    assert [t["boundary_ns"] - T0 for t in rows[TICK]] == [MINUTE_NS]
    assert [(g["first"], g["last"], g["state"]) for g in rows[GAP]] == [(2, 3, "open")]
    assert len(rows[INSTRUMENT]) == 1
    assert check(log_of(importer)).sound


def test_an_older_recording_is_refused(importer: Importer, tmp_path: Path) -> None:
    """And one from the future; nothing is written."""
    import_lines(importer, tmp_path, a_trade_line(5, T0 + MINUTE_NS))
    before = importer.cold.refresh()
    with pytest.raises(ImportRefused, match="before the log's end"):
        import_lines(importer, tmp_path, a_trade_line(1, T0))
    with pytest.raises(ImportRefused, match="in the future"):
        import_lines(importer, tmp_path, a_trade_line(6, NOW + 61 * SECOND_NS))
    assert importer.cold.refresh() == before


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "holds no trade"),
        (b"\n\n", "holds no trade"),
        (b'1704067200000000000 {"e":"kline"}\n', "holds no trade"),
        (b'1704067200000 {"e":"trade"}\n', "nothing in it can be read; not as documented"),
        (b'170406720000 {"e":"trade"}\n', "line 1 is not"),
        (b"hello world\n", "line 1 is not"),
        (b"1704067200000000000\n", "line 1 is not"),
        (b"\x1f\x8b\x08broken", "cut short or damaged"),
    ],
)
def test_what_is_no_recording_is_named(importer: Importer, tmp_path: Path, data: bytes, reason: str) -> None:
    """With the line where there is one."""
    (tmp_path / "r.gz").write_bytes(data)
    with pytest.raises(BadFile, match=reason):
        append_recording(importer, tmp_path / "r.gz")
    assert importer.cold.refresh().last_seq == 0


def test_a_packed_recording_cut_short_gives_its_whole_lines(importer: Importer, tmp_path: Path) -> None:
    """As a killed recorder leaves it; when the file is whole, the rest follows."""
    path = a_recording(tmp_path / "r.gz", [a_trade_line(i, T0 + i) for i in range(1, 5_000)])
    complete = path.read_bytes()
    path.write_bytes(complete[:-20])
    done = append_recording(importer, path)
    assert 0 < done.added < 4_999
    assert "ends within its packing, after line" in done.notes[0]
    assert check(log_of(importer)).trades == done.added
    path.write_bytes(complete)
    again = append_recording(importer, path)
    assert (again.added, again.known, again.notes) == (4_999 - done.added, done.added, ())


def test_a_recording_that_is_not_there(importer: Importer, tmp_path: Path) -> None:
    """One line, and nothing is written."""
    with pytest.raises(BadFile, match="No such file"):
        append_recording(importer, tmp_path / "none")
    assert importer.cold.refresh().last_seq == 0
