"""SQL reads a file only as it was written, by whatever way a query comes to it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlog.disk.files import file_digest
from eventlog.errors import EventLogError, LogBroken
from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, SNAPSHOT
from eventlog.proof.certificate import certify, path_of, save
from eventlog.store.cold import ColdLog
from market.timestamps import DAY_NS, HOUR_NS
from replay.errors import BadRun
from research.errors import ResearchError
from research.views import connect, open_views
from tests.builders import EVENTS, MARKET, NOW, T0, a_cold_log, a_log, a_snapshot, a_tick, a_trade
from tests.conftest import ROOT


def file_of(cold: ColdLog, kind: str, segment: int = 0) -> Path:
    """A kind's file."""
    return next(cold.path_of(f) for f in cold.catalogue.segments[segment].files if f.kind == kind)


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x04
    path.write_bytes(data)


def three_segments(storage: Path) -> ColdLog:
    """Trades in each, a tick in the last, a book in the first."""
    return a_cold_log(
        storage, [a_snapshot(), *(a_trade(n) for n in range(1, 40))], [a_trade(50)], [a_trade(51), a_tick()]
    )


WAYS = [
    "select count(*) from agg_trade",
    'select count(*) from "AGG_trade"',
    "from main.agg_trade limit 1",
    "from memory.main.agg_trade limit 1",
    "with agg_trade as (select 1) select * from main.agg_trade",
    "with t as (select * from agg_trade) select count(*) from t",
    "select (select max(price) from agg_trade)",
    "select 1 where exists (from agg_trade)",
    "select * from tick where trades in (select source from agg_trade)",
    "select count(*) from tick, lateral (select * from agg_trade limit 1)",
    "from query_table('agg_' || 'trade')",
    "from query('from agg_' || 'trade')",
    "select count(*) from minute_bars",
    "create view mine as from agg_trade",
    "create table mine as select 1 from agg_trade",
    "create macro mine() as table from agg_trade; from mine()",
    "prepare p as from agg_trade; execute p",
    "describe agg_trade",
    "summarize agg_trade",
    "explain from agg_trade",
    "pivot agg_trade on aggressor using sum(quantity)",
    "copy agg_trade to '/dev/null' (format csv)",
    "select count(*) from agg_trade where agg_id > 1000000",
    "select count(*) from agg_trade where false",
    "from agg_trade limit 0",
]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_flipped_bit_is_refused_by_every_way(tmp_path: Path, way: str) -> None:
    """The file is named, and what to do; a view of other files answers."""
    cold = three_segments(tmp_path)
    path = file_of(cold, AGG_TRADE, 1)
    connection, sources = open_views(tmp_path, MARKET)
    flip(path, 60)
    with connection:
        assert connection.execute("select count(*) from tick").fetchall() == [(1,)]
        assert sources.failure is None
        with pytest.raises(duckdb.Error, match="is not as it was written; restore it from a backup"):
            connection.execute(way).fetchall()
        assert isinstance(sources.failure, LogBroken)
        assert str(path) in str(sources.failure)
        assert "\n" not in str(sources.failure)


@pytest.mark.parametrize("at", [0, 4, 60, -1, -6, -40, -200])
@pytest.mark.parametrize("segment", [0, 2])
def test_damage_before_connecting_is_told_by_who_asks(tmp_path: Path, at: int, segment: int) -> None:
    """Wherever in a file the bit lies, its foot included, and whichever file it is; other views are not held up."""
    cold = three_segments(tmp_path)
    flip(file_of(cold, AGG_TRADE, segment), at)
    with connect(tmp_path, MARKET) as connection:
        assert connection.execute("select interval_ns from tick").fetchall() == [(60 * 10**9,)]
        for query in ("select count(*) from agg_trade", "select price from agg_trade", "from minute_bars"):
            with pytest.raises(duckdb.Error, match="is not as it was written; restore it from a backup"):
                connection.execute(query)


def test_a_missing_file_and_a_link_are_told(tmp_path: Path) -> None:
    """And a folder behind a link."""
    cold = three_segments(tmp_path / "s")
    path = file_of(cold, AGG_TRADE)
    path.rename(tmp_path / "elsewhere")
    with connect(tmp_path / "s", MARKET) as connection:
        assert connection.execute("select count(*) from tick").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error, match="restore it from a backup"):
            connection.execute("from agg_trade")
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(duckdb.Error, match="is a link; put the file itself in its place"):
            connection.execute("from agg_trade")
    cold.folder.parent.rename(tmp_path / "moved")
    cold.folder.parent.symlink_to(tmp_path / "moved")
    with pytest.raises(LogBroken, match="is a link"):
        connect(tmp_path / "s", MARKET)


def test_a_file_that_was_mended_answers_again(tmp_path: Path) -> None:
    """In a connection that found it whole; another one connects again."""
    cold = three_segments(tmp_path)
    path = file_of(cold, AGG_TRADE)
    with connect(tmp_path, MARKET) as connection:
        flip(path, -1)
        with pytest.raises(duckdb.Error):
            connection.execute("from agg_trade")
        with connect(tmp_path, MARKET) as later:
            flip(path, -1)
            with pytest.raises(duckdb.Error, match="connect again"):
                later.execute("from agg_trade")
        assert connection.execute("select count(*) from agg_trade").fetchall() == [(41,)]


def test_files_that_were_merged_away_are_found_again(tmp_path: Path) -> None:
    """A connection outlives a compaction and the removal of what was merged."""
    cold = three_segments(tmp_path)
    with connect(tmp_path, MARKET) as connection:
        before = connection.execute("select agg_id from agg_trade order by 1").fetchall()
        assert cold.compact(NOW) == 2
        cold.compact(NOW + 2 * HOUR_NS)
        assert len(list(cold.folder.glob("*.agg_trade.parquet"))) == 1
        assert connection.execute("select agg_id from agg_trade order by 1").fetchall() == before
        assert connection.execute("select count(*) from tick").fetchall() == [(1,)]


def test_a_file_with_other_columns_is_no_answer(tmp_path: Path) -> None:
    """A log made by other hands: its digest fits, its columns do not."""
    cold = ColdLog(tmp_path, EVENTS)
    cold.create(NOW)
    cold.append(1, 1, {TICK: pa.table({"seq": [1], "recv_ns": [T0], "surprise": ["x"]})})
    with pytest.raises(
        ResearchError, match="the files of tick are as they were written, but no such table: Binder Error"
    ):
        connect(tmp_path, MARKET)


def test_levels_that_are_none_are_refused(tmp_path: Path) -> None:
    """A log made by other hands: a hole in a book is no price."""
    cold = a_cold_log(tmp_path, [a_snapshot()])
    (segment,) = cold.catalogue.segments
    path = cold.path_of(segment.files[0])
    table = pq.read_table(path)
    holes = pa.array([[1, None]], pa.list_(pa.int64()))
    pq.write_table(table.set_column(table.schema.get_field_index("bid_price_steps"), "bid_price_steps", holes), path)
    fake = msgspec.structs.replace(segment.files[0], sha256=file_digest(path))
    message = msgspec.structs.replace(cold.catalogue, segments=(msgspec.structs.replace(segment, files=(fake,)),))
    message.save(cold.folder)
    with connect(tmp_path, MARKET) as connection, pytest.raises(duckdb.Error, match="a level is null"):
        connection.execute("from book_levels").fetchall()


def test_files_are_looked_at_once_while_they_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests are kept by a file's state; only the files of a query's views are hashed at all."""
    cold = three_segments(tmp_path)
    hour_ago = (NOW // 10**9 - 3600,) * 2
    for path in cold.folder.glob("*.parquet"):
        os.utime(path, hour_ago)
    digests: list[str] = []
    monkeypatch.setattr(
        "eventlog.store.cold.expect_intact", lambda path, record: digests.append(record.kind), raising=True
    )
    with connect(tmp_path, MARKET) as connection:
        del digests[:]  # the scale of quantities is read once
        connection.execute("select count(*) from tick").fetchall()
        assert set(digests) == {TICK}
        connection.execute("select count(*) from book_levels").fetchall()
        assert set(digests) == {TICK, SNAPSHOT}


def test_certificates_of_others_are_refused(tmp_path: Path) -> None:
    """What could not be proven of another log says nothing of this one; a pipe is not waited for."""
    three_segments(tmp_path / "s")
    certificate = certify(a_log(tmp_path / "s"), T0 - T0 % DAY_NS)
    save(certificate, path_of(ColdLog(tmp_path / "s", EVENTS), certificate.day))
    with connect(tmp_path / "s", MARKET) as connection:
        days = connection.execute("select distinct day from unproven").fetchall()
        assert days == [("2024-01-01",)]
    path = path_of(ColdLog(tmp_path / "s", EVENTS), "2024-01-02")
    os.mkfifo(path)
    with pytest.raises(LogBroken, match="is no plain file"):
        connect(tmp_path / "s", MARKET)
    path.unlink()
    path.write_bytes(b"{}")
    with pytest.raises(LogBroken, match="is no certificate"):
        connect(tmp_path / "s", MARKET)


def a_run(folder: Path, values: list[int], digest: str | None = None) -> Path:
    """A finished run with one table."""
    folder.mkdir(parents=True)
    path = folder / "scores.parquet"
    pq.write_table(pa.table({"samples": values}), path)
    files = {path.name: digest or file_digest(path)}
    (folder / "manifest.json").write_text(json.dumps({"run_id": folder.name, "inputs": {}, "files": files}))
    return path


def test_runs_are_views_over_all_of_them(tmp_path: Path) -> None:
    """By name, whatever it is; hidden folders are runs that were not finished."""
    a_cold_log(tmp_path / "s", [a_trade(1)])
    a_run(tmp_path / "runs" / "a=1", [1, 2])
    a_run(tmp_path / "runs" / "b's [x]", [3])
    a_run(tmp_path / "runs" / ".half", [4])
    with connect(tmp_path / "s", MARKET, tmp_path / "runs") as connection:
        rows = connection.execute("select run_id, sum(samples) from run_scores group by 1 order by 1").fetchall()
    assert rows == [("a=1", 3), ("b's [x]", 3)]


@pytest.mark.parametrize("at", [10, -1, -30])
def test_a_damaged_run_is_told_by_who_asks(tmp_path: Path, at: int) -> None:
    """One line names it; the log's views answer."""
    a_cold_log(tmp_path / "s", [a_trade(1)])
    a_run(tmp_path / "runs" / "good", [1, 2])
    bad = a_run(tmp_path / "runs" / "bad", list(range(100)))
    flip(bad, at)
    connection, sources = open_views(tmp_path / "s", MARKET, tmp_path / "runs")
    with connection:
        assert connection.execute("select count(*) from agg_trade").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error, match="run the replay again"):
            connection.execute("select samples from run_scores")
        assert isinstance(sources.failure, BadRun)
        assert str(bad) in str(sources.failure)


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    """A table without the manifest that vouches for it; and no folder at all."""
    a_cold_log(tmp_path / "s", [a_trade(1)])
    path = a_run(tmp_path / "runs" / "one", [1])
    (path.parent / "manifest.json").unlink()
    with (
        connect(tmp_path / "s", MARKET, tmp_path / "runs") as connection,
        pytest.raises(duckdb.Error, match="is no run: no readable manifest"),
    ):
        connection.execute("from run_scores")
    with pytest.raises(EventLogError, match="No such file"):
        connect(tmp_path / "s", MARKET, tmp_path / "none")


def test_a_connection_that_is_never_closed_ends_in_silence(tmp_path: Path) -> None:
    """A script or a notebook just ends."""
    a_cold_log(tmp_path, [a_trade(1)])
    script = (
        "import sys; from pathlib import Path; from research.views import connect; from tests.builders import MARKET\n"
        "connection = connect(Path(sys.argv[1]), MARKET); cursor = connection.cursor()\n"
        "print(cursor.execute('select count(*) from agg_trade').fetchall())"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[(1,)]\n", "")
