"""SQL views: the log's own columns, what people read beside them, and the same figures as an export."""

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventlog.errors import LogBroken, LogNotFound
from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.facts.registry import SCHEMAS, STREAMS, kinds_of
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer import export
from exchanges.binance.mapper import BinanceMapper
from market.errors import BadMarket
from market.instrument import Market
from market.timestamps import DAY_NS, MINUTE_NS
from projections.trades.minute_bars import MinuteBars
from research.views import connect
from tests.builders import (
    EVENTS,
    MARKET,
    NOW,
    T0,
    a_cold_log,
    a_diff,
    a_snapshot,
    a_tick,
    a_trade,
    an_instrument,
    as_tables,
    one_of_each_decision_kind,
    one_of_each_market_kind,
)

MANY_COINS = an_instrument(tick="0.00000001", step="1.00", largest="92141578736.00")
"""A market that keeps whole coins."""
FEW = BinanceMapper(MARKET.symbol, 0)


def ask(storage: Path, query: str, market: Market = MARKET) -> list[tuple[Any, ...]]:
    """The rows of a query over a market's log."""
    with connect(storage, market) as connection:
        return connection.execute(query).fetchall()


def a_log_of_many_coins(storage: Path, *facts: Fact) -> ColdLog:
    """A log of a coin counted in trillions, as its recorder writes it."""
    cold = ColdLog(storage, EVENTS)
    cold.create(NOW)
    all_rows = [MANY_COINS, *facts]
    cold.append(1, len(all_rows), as_tables(all_rows, 1, FEW))
    return cold


def both_logs(storage: Path) -> None:
    """An entry of every kind."""
    a_cold_log(storage, one_of_each_market_kind())
    a_cold_log(storage, one_of_each_decision_kind(), name=LogName("decisions", MARKET))


def test_every_column_of_the_log_is_there_as_stored(tmp_path: Path) -> None:
    """Levels are put together again, lags are times again."""
    both_logs(tmp_path)
    for stream in STREAMS:
        cold = ColdLog(tmp_path, LogName(stream, MARKET))
        (segment,) = cold.catalogue.segments
        for kind in kinds_of(stream):
            (file,) = (f for f in segment.files if f.kind == kind)
            expected = [tuple(row.values()) for row in cold.table(file).to_pylist()]
            names = ", ".join(f'"{name}"' for name in SCHEMAS[kind].names)
            assert ask(tmp_path, f"select {names} from {kind}") == expected, kind


def test_views_are_there_and_typed_where_nothing_was_recorded(tmp_path: Path) -> None:
    """The same names and types as with entries; a log of decisions alone is one."""
    both_logs(tmp_path / "full")
    a_cold_log(tmp_path / "trades", [a_trade(1)])
    a_cold_log(tmp_path / "decisions", name=LogName("decisions", MARKET))
    types = "select table_name, column_name, data_type from duckdb_columns() where not internal order by all"
    expected = ask(tmp_path / "full", types)
    assert {"agg_trade", "diffs", "model_decision", "minute_bars", "unproven"} <= {row[0] for row in expected}
    for name in ("trades", "decisions"):
        assert ask(tmp_path / name, types) == expected
        assert ask(tmp_path / name, "select * from diff union by name select * from book_levels") == []
    assert ask(tmp_path / "decisions", "select count(*), sum(quantity) from agg_trade") == [(0, None)]


def test_prices_and_quantities_are_exact(tmp_path: Path) -> None:
    """Decimals to the last digit, also of the largest counts; sums over days pass what an integer holds."""
    largest = "46116860184.27387904"
    a_cold_log(tmp_path, [a_trade(n, "0.00000001" if n % 2 else largest, largest) for n in range(1, 101)])
    rows = ask(
        tmp_path,
        "select min(price), max(price), sum(quantity), sum(price * 2), typeof(any_value(price)) from agg_trade",
    )
    total = Decimal(largest) * 100
    assert rows == [(Decimal("0.00000001"), Decimal(largest), total, total + Decimal("0.00000100"), "DECIMAL(19,8)")]
    assert ask(tmp_path, "select sum(quantity_e8) from agg_trade") == [(2**62 * 100,)]


def test_moments_are_times(tmp_path: Path) -> None:
    """UTC, to the nanosecond; and who was the aggressor is a word."""
    a_cold_log(tmp_path, [a_trade(1, at_ns=T0 + 1_500_000_000, recv_ns=T0 + 1_600_000_001, seller=True)])
    columns = "recv_at::varchar, trade_at::varchar, event_at = trade_at, traded_at = trade_at, aggressor"
    assert ask(tmp_path, f"select {columns} from agg_trade") == [
        ("2024-01-01 00:00:01.600000001", "2024-01-01 00:00:01.5", True, True, "sell")
    ]
    assert ask(
        tmp_path, "select count(*) from agg_trade where recv_at >= '2024-01-01' and trade_at < '2024-01-02'"
    ) == [(1,)]


def test_quantities_count_in_the_markets_unit(tmp_path: Path) -> None:
    """Whole coins where LOT_SIZE.maxQty is 92,141,578,736: trades, books and changes, as the export has them."""
    levels = [("0.00001", "92141578736"), ("0.000009", "3")]
    a_log_of_many_coins(
        tmp_path,
        a_trade(1, "0.00001", "92141578736"),
        a_trade(2, "0.000011", "5", seller=True),
        a_snapshot(levels, [("0.00002", "7")]),
        a_diff(bids=levels, asks=[("0.00002", "0")]),
    )
    assert ask(tmp_path, "select sum(quantity) from agg_trade") == [(Decimal(92141578741),)]
    assert ask(tmp_path, "select sum(quantity), max(price) from book_levels") == [(92141578746, Decimal("0.00002"))]
    assert ask(tmp_path, "select sum(quantity) from diffs") == [(92141578739,)]
    assert ask(tmp_path, "select bid_quantity, ask_quantity from snapshot") == [([92141578736, 3], [7])]
    assert ask(tmp_path, "select bid_quantity, ask_quantity from diff") == [([92141578736, 3], [0])]
    assert ask(tmp_path, "select total_vol, buy_vol, sell_vol, vwap from minute_bars") == [
        (92141578741, 92141578736, 5, Decimal("0.00001"))
    ]
    assert ask(tmp_path, "select tick_size, step_size from instrument") == [(Decimal("0.00000001"), 1)]


@pytest.mark.parametrize(("kind", "view"), [(AGG_TRADE, AGG_TRADE), (SNAPSHOT, SNAPSHOT), (DIFF, DIFF)])
@pytest.mark.parametrize("decimals", [0, 8])
def test_sums_equal_those_of_an_export(tmp_path: Path, kind: str, view: str, decimals: int) -> None:
    """Of every quantity and price, row by row."""
    facts = [a_trade(1, "3", "5"), a_trade(2, "4", "6"), a_snapshot([("2", "9")], [("5", "8")]), a_diff()]
    cold = a_log_of_many_coins(tmp_path, *facts) if decimals == 0 else a_cold_log(tmp_path, facts)
    tables = [cold.table(f) for s in cold.catalogue.segments for f in s.files if f.kind == kind]
    export.write(tables, tmp_path / "out.csv", "csv", decimals)
    with open(tmp_path / "out.csv", newline="") as file:
        exported_rows = list(csv.DictReader(file))
    names = [n for n in exported_rows[0] if n.endswith(("price", "quantity"))]
    rows = ask(tmp_path, f"select {', '.join(names)} from {view} order by seq")
    expected = [tuple(_decimals(row[name]) for name in names) for row in exported_rows]
    assert [tuple(v if isinstance(v, list) else [v] for v in row) for row in rows] == expected


def _decimals(text: str) -> list[Decimal]:
    return [Decimal(word) for word in text.strip("[]").split(",") if word]


def test_a_scale_that_no_market_has_is_one_line(tmp_path: Path) -> None:
    """A foreign log is not a way into SQL."""
    table = as_tables([an_instrument()])["instrument"]
    at = table.schema.get_field_index("quantity_decimals")
    cold = ColdLog(tmp_path, EVENTS)
    cold.create(NOW)
    cold.append(1, 1, {"instrument": table.set_column(at, table.schema.field(at), [[10**6]])})
    with pytest.raises(LogBroken, match="quantities keep 1000000 decimals; 0 to 8 fit"):
        connect(tmp_path, MARKET)


def test_levels_of_books_are_rows(tmp_path: Path) -> None:
    """Each side from its best price outwards, with its distance from the mid; books of any shape and many of them."""
    a_cold_log(
        tmp_path,
        [a_snapshot([], []), a_snapshot([("99.5", "2"), ("98.5", "0.00000001")], [("100.5", "4")])],
        [a_snapshot([("7", "1")], [])],
    )
    assert ask(tmp_path, "select seq, side, level, price, quantity, dist_bps from book_levels") == [
        (2, "bid", 0, Decimal("99.5"), 2, 50.0),
        (2, "bid", 1, Decimal("98.5"), Decimal("0.00000001"), 150.0),
        (2, "ask", 0, Decimal("100.5"), 4, 50.0),
        (3, "bid", 0, 7, 1, None),
    ]


def test_levels_of_many_large_books(tmp_path: Path) -> None:
    """In pieces of any size, filtered or not."""
    books = [
        a_snapshot(
            [(f"{100 - i * (1 + n % 3) / 100:.2f}", str(1 + i * n % 7)) for i in range(1, 1 + 40 * (n % 5))],
            [(f"{100 + i / 100:.2f}", "3") for i in range(1, 30)],
            T0 + n,
            update_id=10 + n,
        )
        for n in range(300)
    ]
    cold = a_cold_log(tmp_path, books[:120], books[120:])
    expected = [
        (row["seq"], price)
        for segment in cold.catalogue.segments
        for row in cold.table(segment.files[0]).to_pylist()
        for price in row["bid_price_e8"]
    ]
    assert ask(tmp_path, "select seq, price_e8 from book_levels where side = 'bid' order by seq, level") == expected
    few = [row for row in expected if row[0] in (5, 250)]
    assert (
        ask(tmp_path, "select seq, price_e8 from book_levels where seq in (5, 250) and side = 'bid' order by 1, level")
        == few
    )


def test_changes_of_books_are_rows(tmp_path: Path) -> None:
    """A quantity of 0 says that the level is gone."""
    a_cold_log(tmp_path, [a_diff(11, 12, [("99", "0"), ("98.5", "2")], [("101", "4")]), a_diff(13, 13, [], [])])
    columns = "seq, first_update_id, last_update_id, side, price, quantity, event_at = recv_at"
    assert ask(tmp_path, f"select {columns} from diffs") == [
        (1, 11, 12, "bid", 99, 0, True),
        (1, 11, 12, "bid", Decimal("98.5"), 2, True),
        (1, 11, 12, "ask", 101, 4, True),
    ]


def bars_of(storage: Path) -> list[tuple[Any, ...]]:
    """What the fold says, as SQL has it."""
    log, bars = Log(ColdLog(storage, EVENTS), None, {}), MinuteBars()
    for batch in log.read():
        bars.apply(batch)
    rows = [row for table in bars.tables() for row in table.to_pylist()]
    return [tuple(row.values()) for row in rows]


def sql_bars_of(storage: Path) -> list[tuple[Any, ...]]:
    """What the view says, in the fold's units."""
    rows = ask(storage, "select * exclude (minute) from minute_bars")
    return [tuple(int(v * 10**8) if isinstance(v, Decimal) else v for v in row) for row in rows]


@pytest.mark.parametrize(
    "facts",
    [
        [a_trade(2, "99", "2", T0 + 5, seller=True, first_id=7, last_id=9), a_trade(1, "100", "1", T0 + 9, last_id=6)],
        [a_trade(1), *[a_tick(T0 + n * MINUTE_NS) for n in range(1, 5)], a_trade(2, "7.5", at_ns=T0 + 5 * MINUTE_NS)],
        [
            a_tick(T0), a_trade(1), a_tick(T0 + 2 * MINUTE_NS, trades="down"), a_tick(T0 + 3 * MINUTE_NS),
            a_trade(2, "200", at_ns=T0 + 4 * MINUTE_NS), a_tick(T0 + 6 * MINUTE_NS),
        ],
        [a_trade(1), a_tick(T0 + 10**10, interval_ns=10**10), a_tick(T0 + MINUTE_NS + 10**10, interval_ns=10**10)],
        [a_trade(1, at_ns=T0 + DAY_NS), a_tick(T0 + 2 * DAY_NS, interval_ns=2**62), a_tick(T0, interval_ns=-1)],
        [a_trade(3, "1.23456789", "0.00000007"), a_trade(4, "46116860184", "0.5"), a_trade(5, "0.00000001", "461168")],
        [a_tick()],
        [a_snapshot()],
    ],
)  # fmt: skip
def test_minute_bars_are_those_of_the_fold(tmp_path: Path, facts: Sequence[Fact]) -> None:
    """The same rows in the same order, in one segment or in many."""
    a_cold_log(tmp_path / "one", facts)
    a_cold_log(tmp_path / "many", *[[fact] for fact in facts])
    expected = bars_of(tmp_path / "one")
    assert sql_bars_of(tmp_path / "one") == expected
    assert sql_bars_of(tmp_path / "many") == expected
    assert bool(expected) == any(fact.kind == AGG_TRADE for fact in facts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "year=2024", "market=x/seq=5", "it's", 'a "b"', "[ab]", "a*b?", "{x,y}", "two  blanks", "寬é", "a;b--c", "%41",
        "~", "$HOME", "a\\b", "'); DROP VIEW tick; --",
    ],
)  # fmt: skip
def test_a_storage_may_be_called_anything(tmp_path: Path, name: str) -> None:
    """No part of a path is a column, a pattern or SQL; a folder that such a pattern fits is not read instead."""
    a_cold_log(tmp_path / name, [a_trade(1, "5"), a_tick()])
    for other in ("a", "axb_", "x", "two blanks"):
        if other != name:
            a_cold_log(tmp_path / other, [a_trade(1, "6"), a_trade(2, "6"), a_tick()])
    assert ask(tmp_path / name, "select seq, price from agg_trade") == [(1, 5)]
    assert ask(tmp_path / name, "select * from tick") == ask(tmp_path / "x", "select * replace (2 as seq) from tick")
    names = {row[0] for row in ask(tmp_path / name, "describe agg_trade")}
    assert not names & {"year", "market"}


def test_a_storage_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are found wherever a query is asked from later."""
    a_cold_log(tmp_path / "s", [a_trade(1)])
    monkeypatch.chdir(tmp_path)
    with connect(Path("s"), MARKET) as connection:
        monkeypatch.chdir("/")
        assert connection.execute("select count(*) from agg_trade").fetchall() == [(1,)]


def test_what_is_no_log_is_one_line(tmp_path: Path) -> None:
    """A storage that is not there, another market, another venue, a lost catalogue."""
    both_logs(tmp_path / "s")
    with pytest.raises(LogNotFound, match="check --market and --storage"):
        connect(tmp_path / "none", MARKET)
    with pytest.raises(LogNotFound, match="check --market and --storage"):
        connect(tmp_path / "s", Market("binance", "ETHFDUSD"))
    with pytest.raises(BadMarket, match="kraken"):
        connect(tmp_path / "s", Market("kraken", "BTCFDUSD"))
    (ColdLog(tmp_path / "s", LogName("decisions", MARKET)).folder / "catalogue.json").unlink()
    with pytest.raises(LogBroken, match="rebuild-catalogue"):
        connect(tmp_path / "s", MARKET)
    assert not (tmp_path / "none").exists()
