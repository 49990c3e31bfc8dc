"""Archives as people have them: of other things, written and packed otherwise; the right value, or what it is."""

import csv
import gzip
import io
import os
import random
import tarfile
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from eventlog.clock import ManualClock
from eventlog.errors import EventLogError
from eventlog.facts.capture import QUARANTINE
from eventlog.facts.market import AGG_TRADE, INSTRUMENT
from eventlog.names import LogName
from eventlog.proof.check import check
from eventlog.store.cold import ColdLog
from eventlog.store.log import Log
from eventlog.transfer.importing import Importer, ImportSummary
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import Archive
from exchanges.binance.mapper import BinanceMapper
from exchanges.errors import BadFile
from market.instrument import Market
from research.errors import ResearchError
from research.views import connect
from tests.builders import HEADER, NOW, T0, archive_csv, archive_row, contents

MARKET = Market("binance", "BTCUSDT")
T0_MS = T0 // 10**6
DAY_MS = 86_400_000
ROWS = [archive_row(i, f"{60_000 + i}.10", f"0.00{i}", T0_MS + i) for i in range(1, 6)]
Trade = tuple[int, Decimal, Decimal]


def bring(storage: Path, *files: Path) -> tuple[list[ImportSummary], ColdLog]:
    """Import files; what came of each, and the log."""
    importer = Importer(ColdLog(storage, LogName("events", MARKET)), ManualClock(NOW * 2))
    try:
        done = [import_trades(importer, f.name, Archive(f, MARKET.symbol)) for f in files]
    finally:
        importer.close()
    importer.cold.refresh()
    return done, importer.cold


def load_trades(cold: ColdLog) -> list[Trade]:
    """The trades of a log."""
    entries = contents(cold.read(0, cold.catalogue.last_seq))
    decimals = entries[INSTRUMENT][0]["quantity_decimals"]
    return [
        (t["agg_id"], Decimal(t["price_e8"]) / 10**8, Decimal(t["quantity_e8"]) / 10**decimals)
        for t in entries[AGG_TRADE]
    ]


def plainly(text: str) -> list[Trade]:
    """The trades of Binance's own columns, read without the product."""
    return [(int(r[0]), Decimal(r[1]), Decimal(r[2])) for r in csv.reader(io.StringIO(text))]


def make_zip(*members: tuple[str, str | bytes]) -> bytes:
    """A zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def make_tar_gz(text: str) -> bytes:
    """A tar of one CSV."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


TEXT = "".join(f"{row}\n" for row in ROWS)
LETTERS = "a,p,q,f,l,T,m,M"
SAME: dict[str, bytes] = {
    "header": f"{HEADER}\n{TEXT}".encode(),
    "capitals": f"{HEADER.upper()}\n{TEXT}".encode(),
    "camel": b"aggTradeId,price,quantity,firstTradeId,lastTradeId,timestamp,isBuyerMaker,isBestMatch\n" + TEXT.encode(),
    "plural": f"{HEADER.replace('agg_trade_id', 'agg_trades_id')}\n{TEXT}".encode(),
    "words": b"Agg Trade ID, Price ,Quantity,First ID,Last ID,Time,Buyer Maker,Best Match\n" + TEXT.encode(),
    "letters": f"{LETTERS}\n{TEXT}".encode(),
    "an index before": b",a,p,q,f,l,T,m\n" + b"".join(b"%d,%b\n" % (i, r[:-5].encode()) for i, r in enumerate(ROWS)),
    "order": b"m,T,l,f,q,p,a\n" + b"".join(b",".join(r.split(b",")[6::-1]) + b"\n" for r in TEXT.encode().split()),
    "no last line end": TEXT[:-1].encode(),
    "windows": TEXT.replace("\n", "\r\n").encode(),
    "a mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbf" + TEXT.encode(),
    "quotes": "".join(",".join(f'"{cell}"' for cell in row.split(",")) + "\n" for row in ROWS).encode(),
    "blanks": TEXT.replace(",", ", ").replace("\n", " \n   \n\t\n").encode(),
    "blank lines": f"\n\n{TEXT}\n\n".encode(),
    "a header a row": "".join(f"{HEADER}\n{row}\n" for row in ROWS).encode(),
    "a header a row with marks": b"".join(f"\ufeff{HEADER}\n{row}\n".encode() for row in ROWS),
    "falling": "".join(f"{row}\n" for row in reversed(ROWS)).encode(),
    "twice": (TEXT + TEXT).encode(),
    "gzip": gzip.compress(TEXT.encode()),
    "two gzips": gzip.compress(TEXT[:90].encode()) + gzip.compress(TEXT[90:].encode()),
    "a folder": make_zip(("data/", ""), ("data/BTCUSDT-aggTrades-2024-01-01.csv", TEXT)),
    "things beside": make_zip(("README.txt", "x"), ("X.CSV", TEXT), ("X.CSV.CHECKSUM", "x"), ("__MACOSX/._X.CSV", "x")),
    "no ending": make_zip(("trades.txt", TEXT)),
    "what follows a zip": make_zip(("a.csv", TEXT)) + b"x" * 100,
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_the_same_trades_however_they_are_written(tmp_path: Path, name: str) -> None:
    """As a plain reading of the plain file has them, each once."""
    path = tmp_path / "x"
    path.write_bytes(SAME[name])
    (done,), cold = bring(tmp_path / "s", path)
    assert load_trades(cold) == plainly(TEXT)
    assert (done.added, done.conflicts) == (5, 0)
    assert check(Log(cold, None, BinanceMapper(MARKET.symbol).decoders)).complete


OTHERS: list[tuple[str, str, str]] = [
    ("klines", "", f"{T0_MS},1,2,1,2,5,{T0_MS + 59_999},9,3,1,1,0"),
    ("klines", "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker,taker_quote,ignore", "1"),
    ("klines", "", f"{T0_MS},-0.0001,0.0,-0.0001,0.0,0,{T0_MS},0,12,0,0,0"),
    ("trades", "", f"1,60000,0.001,60,{T0_MS},True,True"),
    ("trades", "", f"1,60000,0.001,60,{T0_MS},true"),
    ("trades", "id,price,qty,quote_qty,time,is_buyer_maker", f"1,60000,0.001,60,{T0_MS},true"),
    ("trades", "id,price,qty,base_qty,time,is_buyer_maker", f"1,60000,1,60,{T0_MS},true"),
    ("bookTicker", "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time", ""),
    ("bookTicker", "", f"1,60000,1,60001,2,{T0_MS},{T0_MS}"),
    ("bookDepth", "timestamp,percentage,depth,notional", "2024-01-01 00:00:08,-5,6461.53,268126437.5"),
    ("metrics", "create_time,symbol,sum_open_interest,sum_open_interest_value,a,b,c,d", ""),
    ("fundingRate", "calc_time,funding_interval_hours,last_funding_rate", f"{T0_MS},8,0.0001"),
    (
        "liquidationSnapshot",
        "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status",
        "",
    ),
    ("BVOLIndex", "calc_time,symbol,base_asset,quote_asset,index_value", f"{T0_MS},X,Y,USDT,44.7"),
    ("EOHSummary", "date,hour,symbol,underlying,type,strike,open", "2023-05-18,00,X,BTC,C,27000,1"),
]


@pytest.mark.parametrize(("kind", "header", "row"), OTHERS)
def test_other_archives_of_the_venue_are_named(tmp_path: Path, kind: str, header: str, row: str) -> None:
    """What it is, in which line, and what to fetch; with the name that Binance gives it or without."""
    for name in ("x.csv", f"BTCUSDT-{kind}-2024-01-01.csv"):
        path = archive_csv(tmp_path / name, [row], header or None)
        with pytest.raises(BadFile, match=f"line 1: this is an archive of {kind}, not of aggTrades"):
            bring(tmp_path / "s", path)
        assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TEXT.replace(",", ";").encode(), "write commas instead of ';'"),
        (TEXT.replace(",", "\t").encode(), r"write commas instead of '\\t'"),
        (TEXT.replace(",", "|").encode(), r"write commas instead of '\|'"),
        (f"{HEADER}\n{TEXT}".replace(",", ";").encode(), "write commas instead of ';'"),
        (TEXT.replace("\n", "\r").encode(), "7 or 8 columns"),
        (TEXT.encode("utf-16"), "UTF-16"),
        (TEXT.encode("utf-16-le"), r"agg_id is '1\\x00'"),
        ((archive_row(1) + "\n" + archive_row(2, price="6.1e4")).encode(), "line 2: '6.1e4' is not a plain decimal"),
        ((archive_row(1) + "\n" + archive_row(2, quantity="1E-05")).encode(), "line 2: '1E-05' is not a plain decimal"),
        (b"3.36E+09" + archive_row(1)[1:].encode(), r"agg_id is '3.36E\+09'"),
        (archive_row(1).replace(str(T0_MS), f"{T0_MS}.0").encode(), "time is '1704067200000.0'"),
        (archive_row(1).replace(str(T0_MS), "2024-01-01 00:00:00").encode(), "time is '2024-01-01 00:00:00'"),
        (archive_row(1, at=T0_MS // 1000).encode(), "1704067200 is no time in milliseconds"),
        (archive_row(1, at=T0).encode(), "1704067200000000000 is no time in milliseconds"),
        ((TEXT + "\0" * 50).encode(), "line 6"),
        ((TEXT + archive_row(6)[:20]).encode(), "line 6 .*8 columns were expected"),
        ((TEXT + archive_row(6)[:-5]).encode(), "line 6 .*8 columns were expected, it has 7"),
        ((TEXT + archive_row(6)[:-2]).encode(), "line 6 .*best_match is 'Tr'"),
        (archive_row(2**63).encode(), "agg_id is '9223372036854775808'"),
        (make_zip(("a.csv", TEXT), ("b.csv", TEXT)), "holds 2 files"),
        (make_zip(("a.zip", make_zip(("a.csv", TEXT)))), "holds a zip file; unpack it first"),
        (make_zip(("a.csv.gz", gzip.compress(TEXT.encode()))), "holds a gzip file; unpack it first"),
        (make_zip(("a.csv", TEXT)) + make_zip(("b.csv", TEXT)), "bytes before its first file"),
        (gzip.compress(gzip.compress(TEXT.encode())), "holds a gzip file; unpack it first"),
        (gzip.compress(make_tar_gz(TEXT)), "holds a tar file; unpack it first"),
        (make_tar_gz(TEXT), "holds a tar file; unpack it first"),
        (gzip.compress(b"\xfd7zXZ\x00" + b"x" * 99), "holds a xz file; unpack it first"),
        (make_zip(("ETHUSDT-aggTrades-2024-01-01.csv", TEXT)), "is of ETHUSDT, the market is BTCUSDT"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path, data: bytes, message: str) -> None:
    """Never a guess; nothing of it is left behind."""
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadFile, match=message) as caught:
        bring(tmp_path / "s", tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("ETHUSDT-aggTrades-2024-01-01.csv", "ETHUSDT"),
        ("ethusdt-aggtrades-2024-01.csv", "ETHUSDT"),
        ("spot_ETHUSDT-aggTrades-2024-01-01.csv", "ETHUSDT"),
        ("my-ETHUSDT-aggTrades-2024-01-01.csv", "ETHUSDT"),
        ("ETHUSDT-aggTrades-2024-01-01 (1).csv", "ETHUSDT"),
        ("ETHUSDT-1h-2024-01-01.csv", "ETHUSDT"),
        ("1000SHIBUSDT-aggTrades-2024-01-01.csv", "1000SHIBUSDT"),
        ("XBTCUSDT-aggTrades-2024-01-01.csv", "XBTCUSDT"),
        ("BTCUSD_PERP-aggTrades-2024-01-01.csv", "BTCUSD_PERP"),
        ("BTCUSDT_240329-aggTrades-2024-01-01.csv", "BTCUSDT_240329"),
        ("ethusdt_aggtrades.csv", "ETHUSDT"),
        ("ETHUSDT aggTrades 2024.csv", "ETHUSDT"),
        ("solfdusd.trades.csv", "SOLFDUSD"),
        ("spot_BTCUSDT-aggTrades-2024-01-01.csv", None),
        ("btcusdt_aggtrades.csv", None),
        ("binance-trades.csv", None),
        ("my trades in btc.csv", None),
        ("copy of BTCUSDT-aggTrades-2024-01-01.csv", None),
        ("trades.csv", None),
    ],
)
def test_a_name_says_which_market_wherever_it_stands(tmp_path: Path, name: str, of: str | None) -> None:
    """Before and behind the venue's own name anything may stand."""
    path = archive_csv(tmp_path / name, ROWS)
    if of is None:
        archive = Archive(path, MARKET.symbol)
        assert sum(len(block) for block in archive.blocks(8)) == 5
        notes = [note for note in archive.notes() if "no name in it says of which market it is" in note]
        assert len(notes) == ("BTCUSDT" not in name.upper())
        return
    with pytest.raises(BadFile, match=f"is of {of}, the market is BTCUSDT"):
        bring(tmp_path / "s", path)


def test_an_archive_like_those_of_futures_is_told(tmp_path: Path) -> None:
    """Its name is that of the spot archive; the column that it lacks is all that differs."""
    for rows, notes in ((ROWS, 0), ([row[:-5] for row in ROWS], 1)):
        archive = Archive(archive_csv(tmp_path / "BTCUSDT-aggTrades-2024-01-01.csv", rows))
        list(archive.blocks(8))
        assert ["futures archives" in note for note in archive.notes()] == [True] * notes


def walk(first_id: int, count: int, price: str, tick: str, quantities: Sequence[str], day: int = 0) -> list[str]:
    """Trades of a price that walks on a grid, 20 s apart."""
    dice, at, step = random.Random(first_id), Decimal(price), Decimal(tick)
    rows = []
    for i in range(count):
        at = max(step, at + step * dice.choice([-3, -2, -1, 0, 1, 2, 3]))
        quantity = f"{Decimal(dice.choice(quantities)):.8f}"
        rows.append(archive_row(first_id + i, f"{at:.8f}", quantity, T0_MS + day * DAY_MS + i * 20_000))
    return rows


@pytest.mark.parametrize(
    ("price", "tick", "quantities"),
    [
        ("0.00000120", "0.00000001", ["92141578", "1", "500000"]),
        ("0.00000120", "0.00000001", ["92141578.5", "1"]),
        ("0.00000120", "0.00000001", ["92141578736", "1"]),
        ("0.00001000", "0.00000001", ["480000000"]),
        ("0.00250000", "0.0000001", ["1", "77", "100000"]),
        ("1.0000", "0.0001", ["1", "1000"]),
        ("100000", "10", ["0.001", "1"]),
        ("5000000000", "1000", ["0.00001"]),
        ("100", "0.5", ["1"]),
        ("0.1", "0.00001", ["100", "200", "5000"]),
    ],
)
def test_every_number_of_any_market_is_exact(tmp_path: Path, price: str, tick: str, quantities: Sequence[str]) -> None:
    """Whatever a coin costs; the sum is SQL's too, and prices lie on the inferred grid."""
    rows = walk(1, 400, price, tick, quantities)
    expected = plainly("\n".join(rows))
    _, cold = bring(tmp_path / "s", archive_csv(tmp_path / "x.csv", rows))
    assert load_trades(cold) == expected
    (grid,) = contents(cold.read(0, cold.catalogue.last_seq))[INSTRUMENT]
    assert all(p * 10**8 % grid["tick_size_e8"] == 0 for _, p, _ in expected)
    with connect(tmp_path / "s", MARKET) as connection:
        assert connection.execute("select sum(quantity) from agg_trade").fetchall() == [(sum(q for *_, q in expected),)]


QUIET = walk(1, 50, "0.00001", "0.00000001", ["1.5"])
LOUD = walk(51, 400, "0.00001", "0.00000001", ["480000000"], day=1)
HUGE = walk(51, 400, "0.00001", "0.00000001", ["92141578736"], day=1)
HALVES = walk(451, 2, "0.00001", "0.00000001", ["1.5"], day=2)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (QUIET, LOUD, "b.csv: so many coins were traded that with the 8 decimals"),
        (QUIET, HUGE, r"is too large for the 8 decimals that this log keeps"),
        (HUGE, HALVES, "line 1: '1.50000000' has more decimals than the 0 this market keeps"),
    ],
)
def test_what_a_log_cannot_count_is_refused_with_the_way_on(
    tmp_path: Path, first: list[str], second: list[str], message: str
) -> None:
    """And that way works: the same file in a log of its own."""
    files = [archive_csv(tmp_path / name, rows) for name, rows in (("a.csv", first), ("b.csv", second))]
    bring(tmp_path / "s", files[0])
    with pytest.raises((BadFile, EventLogError), match=f"{message}.*into another --storage") as caught:
        bring(tmp_path / "s", files[1])
    assert "\n" not in str(caught.value)
    assert load_trades(bring(tmp_path / "s", files[0])[1]) == plainly("\n".join(first))
    assert load_trades(bring(tmp_path / "other", files[1])[1]) == plainly("\n".join(second))


def test_a_quiet_month_leaves_room_for_a_loud_one(tmp_path: Path) -> None:
    """A coin of a quarter of a cent is traded a hundred times as much when it is news; both are summed exactly."""
    quiet = walk(1, 400, "0.0025", "0.0000001", [str(i) for i in range(1, 200)])
    loud = walk(401, 400, "0.0025", "0.0000001", [str(400_000_000 + i) for i in range(1, 200)], day=1)
    files = [archive_csv(tmp_path / f"{i}.csv", rows) for i, rows in enumerate((quiet, loud))]
    _, cold = bring(tmp_path / "s", *files)
    assert load_trades(cold) == plainly("\n".join(quiet + loud))
    assert sum(t["quantity_e8"] for t in contents(cold.read(0, cold.catalogue.last_seq))[AGG_TRADE]) < 2**62


def other(row: str, quantity: str) -> str:
    """The same id with another quantity."""
    return archive_row(int(row.split(",")[0]), row.split(",")[1], quantity, int(row.split(",")[5]))


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        ([ROWS, ROWS], (5, 5, 0, 0)),
        ([ROWS[:3], ROWS], (5, 3, 0, 0)),
        ([ROWS, ROWS[2:4]], (5, 2, 0, 0)),
        ([ROWS[:2], ROWS[1:3], [other(ROWS[0], "7"), *ROWS[1:]]], (5, 3, 1, 1)),
        ([ROWS, [other(ROWS[0], "7")], [other(ROWS[0], "8")], [other(ROWS[0], "7")]], (5, 0, 3, 2)),
        ([[*ROWS, other(ROWS[0], "7"), other(ROWS[0], "8"), other(ROWS[0], "7"), ROWS[0]]], (5, 1, 3, 2)),
    ],
)
def test_what_comes_again_is_known_or_a_conflict(
    tmp_path: Path, files: list[list[str]], counts: tuple[int, int, int, int]
) -> None:
    """By its content, in whichever file; a conflict is on record once."""
    paths = [archive_csv(tmp_path / f"{i}.csv", rows) for i, rows in enumerate(files)]
    done, cold = bring(tmp_path / "s", *paths)
    on_record = len(contents(cold.read(0, cold.catalogue.last_seq)).get(QUARANTINE, []))
    assert (*(sum(getattr(d, n) for d in done) for n in ("added", "known", "conflicts")), on_record) == counts
    assert load_trades(cold) == plainly(TEXT)


def test_a_storage_whose_name_is_no_text(tmp_path: Path) -> None:
    """As disks of other machines have them: read and checked like any; SQL alone says that it cannot."""
    storage = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    cold = bring(storage, archive_csv(tmp_path / "x.csv", ROWS))[1]
    assert load_trades(cold) == plainly(TEXT)
    assert check(Log(cold, None, BinanceMapper(MARKET.symbol).decoders)).complete
    with pytest.raises((EventLogError, ResearchError), match=r"\\xff.*is no UTF-8.*move the folder$"):
        connect(storage, MARKET)
