"""Every way to read a log gives the same columns for the same facts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventlog.facts.capture import GAP, TICK
from eventlog.facts.market import AGG_TRADE
from eventlog.store.log import Log
from market.timestamps import DAY_NS
from tests.builders import (
    EVENTS,
    NOW,
    a_cold_log,
    a_gap,
    a_hot_log,
    a_log,
    a_trade,
    a_writer,
    as_tables,
    contents,
    one_of_each_market_kind,
)

FACTS = one_of_each_market_kind()
Make = Callable[[Path, Any], Log]


def archived(log: Log, first: int, last: int) -> None:
    """Commit a stretch of facts to the archive."""
    log.cold.create(NOW)
    log.cold.append(first, last, as_tables(FACTS[first - 1 : last], first))


def cold_only(storage: Path, _: Any) -> Log:
    """One segment, no server."""
    return a_log(storage, FACTS)


def many_segments(storage: Path, _: Any) -> Log:
    """A segment for every two entries."""
    return a_log(storage, *(FACTS[i : i + 2] for i in range(0, len(FACTS), 2)))


def compacted(storage: Path, _: Any) -> Log:
    """The same, merged, the replaced files gone."""
    log = many_segments(storage, None)
    assert log.cold.compact(NOW) > 0
    log.cold.compact(NOW + DAY_NS)
    assert len(log.cold.catalogue.segments) == 1
    return log


def hot_only(storage: Path, client: Any) -> Log:
    """Everything in the stream, nothing archived yet."""
    writer = a_writer(storage, client)
    writer.append(FACTS)
    writer.close()
    return a_hot_log(storage, client)


def hot_one_by_one(storage: Path, client: Any) -> Log:
    """Each fact a batch of its own."""
    writer = a_writer(storage, client)
    for fact in FACTS:
        writer.append([fact])
    writer.close()
    return a_hot_log(storage, client)


def overlapping(storage: Path, client: Any) -> Log:
    """The first nine are in both."""
    log = hot_only(storage, client)
    archived(log, 1, 9)
    return log


def trimmed(storage: Path, client: Any) -> Log:
    """Two segments, and a stream that begins behind the first."""
    log = overlapping(storage, client)
    assert log.hot is not None
    log.hot.trim(7)
    assert log.hot.bounds() == (7, len(FACTS))
    return log


def trimmed_to_the_seam(storage: Path, client: Any) -> Log:
    """The stream begins exactly where the archive ends."""
    log = overlapping(storage, client)
    assert log.hot is not None
    log.hot.trim(10)
    return log


def all_archived(storage: Path, client: Any) -> Log:
    """Nothing in the stream that the archive does not hold; the last entry always stays."""
    log = overlapping(storage, client)
    archived(log, 10, len(FACTS))
    assert log.hot is not None
    log.hot.trim(10_000)
    return log


def trimmed_while_read(storage: Path, client: Any) -> Log:
    """The reader knows an older catalogue; meanwhile everything was archived and trimmed."""
    log = hot_only(storage, client)
    log.last_seq()
    other = a_hot_log(storage, client)
    archived(other, 1, 5)
    archived(other, 6, 11)
    assert other.hot is not None
    other.hot.trim(12)
    return log


WAYS = [
    cold_only,
    many_segments,
    compacted,
    hot_only,
    hot_one_by_one,
    overlapping,
    trimmed,
    trimmed_to_the_seam,
    all_archived,
    trimmed_while_read,
]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def log(request: pytest.FixtureRequest, tmp_path: Path, client: Any) -> Log:
    """The same log, read in one of the ways."""
    return request.param(tmp_path, client)


def test_everything_is_read_once_and_alike(log: Log) -> None:
    """Every kind, every row, every column, in the schema of its kind."""
    expected = {kind: table.to_pylist() for kind, table in as_tables(FACTS).items()}
    assert contents(log.read()) == expected
    assert log.last_seq() == len(FACTS)
    for batch in log.read():
        for kind, rows in batch.rows.items():
            assert rows.columns.table.schema == as_tables(FACTS)[kind].schema


def test_batches_follow_one_another(log: Log) -> None:
    """Each begins where the one before ended, whatever kinds were asked for."""
    for kinds in (None, [AGG_TRADE], [TICK, GAP]):
        at = 0
        for batch in log.read(kinds=kinds):
            assert batch.first_seq == at + 1
            assert set(batch.rows) <= set(kinds or batch.rows)
            at = batch.last_seq
        assert at == len(FACTS)


@pytest.mark.slow
def test_any_stretch_can_be_read(log: Log) -> None:
    """After any seq, up to any other; an empty stretch is no batch."""
    whole = as_tables(FACTS)
    for after in range(len(FACTS) + 1):
        for until in range(after, len(FACTS) + 1):
            found = contents(log.read(after, until))
            seqs = sorted(r["seq"] for rows in found.values() for r in rows)
            assert seqs == list(range(after + 1, until + 1))
            for kind, rows in found.items():
                assert rows == [r for r in whole[kind].to_pylist() if after < r["seq"] <= until]


def test_some_columns_are_those_columns(log: Log) -> None:
    """A reader that asks for less never sees other values."""
    names = ["agg_id", "recv_ns", "price_e8"]
    expected = as_tables(FACTS)[AGG_TRADE]
    for name in names:
        found = [
            value
            for batch in log.read(kinds=[AGG_TRADE], columns={AGG_TRADE: names})
            if AGG_TRADE in batch.rows
            for value in batch.rows[AGG_TRADE][name].tolist()
        ]
        assert found == expected.column(name).to_pylist()


def test_the_end_is_where_it_is(log: Log) -> None:
    """Reading after the last entry gives nothing."""
    assert list(log.read(after_seq=len(FACTS))) == []


def lost_in_the_stream(storage: Path, client: Any) -> Log:
    """Six entries, the last two archived never, then an empty server."""
    writer = a_writer(storage, client)
    writer.append(FACTS[:6])
    writer.cold.append(1, 4, as_tables(FACTS[:4]))
    client.flushall()
    writer.append([a_trade(50)])
    writer.append([a_trade(51)])
    writer.close()
    return a_hot_log(storage, client)


def lost_and_archived(storage: Path, client: Any) -> Log:
    """The same, archived since."""
    cold = a_cold_log(storage, FACTS[:4], name=EVENTS)
    cold.append(8, 10, as_tables([a_gap(5, 7, "seqs", "given_up"), a_trade(50), a_trade(51)], 8))
    return a_log(storage)


@pytest.mark.parametrize("way", [lost_in_the_stream, lost_and_archived])
def test_a_named_loss_is_read_over(way: Make, tmp_path: Path, client: Any) -> None:
    """Entries 5 to 7 are nowhere; the gap that names them comes next, wherever reading starts."""
    log = way(tmp_path, client)
    found = contents(log.read(kinds=[AGG_TRADE, GAP]))
    assert [(g["seq"], g["first"], g["last"], g["state"]) for g in found[GAP]] == [(8, 5, 7, "given_up")]
    assert [r["seq"] for r in found[AGG_TRADE]] == [4, 9, 10]
    for after in (4, 5, 6, 7):
        assert [r["seq"] for r in contents(log.read(after_seq=after))[AGG_TRADE]] == [9, 10]
    for until in (5, 6, 7):
        assert [r["seq"] for r in contents(log.read(0, until))[AGG_TRADE]] == [4]
