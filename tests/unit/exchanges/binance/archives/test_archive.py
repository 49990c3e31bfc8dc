"""Binance's archive files: what is read, and how each kind of bad file is named."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from exchanges.binance.archives.archive import read_agg_trades
from exchanges.errors import BadFile
from tests.builders import HEADER, T0, archive_csv, archive_row, archive_zip

T0_MS = T0 // 10**6


@pytest.mark.parametrize("header", [None, HEADER])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_read_with_and_without_header_or_zip(tmp_path: Path, header: str | None, packed: bool) -> None:
    """The same rows whichever way Binance wrote them."""
    rows = [archive_row(1, "42283.58000000", "0.00069000"), archive_row(2, maker="False", last=5)]
    path = archive_csv(tmp_path / "x.csv", rows, header)
    if packed:
        path = archive_zip(tmp_path / "x.zip", {"x.csv": path.read_text()})
    trades = read_agg_trades(path)
    assert trades.agg_id.tolist() == [1, 2]
    assert trades.price_e8.tolist() == [4_228_358_000_000, 10_050_000_000]
    assert trades.quantity_e8.tolist() == [69_000, 25_000_000]
    assert trades.last_trade_id.tolist() == [1, 5]
    assert trades.trade_time_ns.tolist() == [T0, T0]
    assert trades.buyer_is_maker.tolist() == [True, False]
    assert trades.best_match is not None
    assert trades.best_match.tolist() == [True, True]


def test_seven_columns_lower_case_and_windows_line_ends(tmp_path: Path) -> None:
    """Futures files have no best_match and write true; some tools write \\r\\n."""
    path = tmp_path / "x.csv"
    path.write_bytes(b"1,100.5,0.25,1,1,%d,true\r\n2,100.5,0.25,2,2,%d,false\r\n" % (T0_MS, T0_MS))
    trades = read_agg_trades(path)
    assert trades.best_match is None
    assert trades.buyer_is_maker.tolist() == [True, False]


def test_microseconds_are_told_by_their_size(tmp_path: Path) -> None:
    """From 2025 on."""
    path = archive_csv(tmp_path / "x.csv", [archive_row(1, at=T0_MS), archive_row(2, at=T0 // 1000 + 1)])
    assert read_agg_trades(path).trade_time_ns.tolist() == [T0, T0 + 1000]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("<html>Not found</html>", "holds HTML"),
        ('{"code":-1}', "holds JSON"),
        (HEADER + "\n", "aggTrades|no trades"),
        ("1,2,3\n", "7 or 8 columns"),
        ("a,b,c,d,e,f,g\n", "7 or 8 columns"),
        (archive_row(1) + ",x\n", "7 or 8 columns"),
        (archive_row(1) + "\n1,2,3\n", "does not hold aggTrades"),
        (archive_row(1) + "\nx" + archive_row(2) + "\n", "does not hold aggTrades"),
        (archive_row(1) + "\n" + archive_row(2, maker="maybe") + "\n", "does not hold aggTrades"),
        (archive_row(1) + "\n" + archive_row(10**30) + "\n", "does not hold aggTrades"),
        (archive_row(1) + "\n0x" + archive_row(10) + "\n", "line 2 does not hold aggTrades: agg_id is '0x10'"),
        (archive_row(1) + "\n" + archive_row(2).replace(f"{T0_MS}", "0X18CC") + "\n", "line 2 .*time is '0X18CC'"),
        (archive_row(1) + "\n" + archive_row(2, price="-5") + "\n", "line 2.*'-5' is not a plain decimal"),
        (archive_row(1) + "\n" + archive_row(2, quantity="0") + "\n", "line 2.*'0' is zero"),
        (HEADER + "\n" + archive_row(1) + "\n" + archive_row(2, quantity="") + "\n", "line 3"),
        (archive_row(1) + "\n" + archive_row(2, at=5) + "\n", "line 2.* 5 is no time"),
        (archive_row(1) + "\n" + archive_row(2, first=5, last=4) + "\n", "line 2.*wrong order"),
        (archive_row(1) + "\n" + archive_row(-2) + "\n", "line 2.*negative"),
        (archive_row(1) + "\n" + archive_row(2).replace(f"{T0_MS}", "") + "\n", "line 2: time is missing"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    """One line that names the path, and nothing of the file is taken."""
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(BadFile, match=reason) as caught:
        read_agg_trades(path)
    assert "bad.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_zip_must_hold_one_file(tmp_path: Path) -> None:
    """Which of two would it be?"""
    two = archive_zip(tmp_path / "two.zip", {"a.csv": archive_row(1), "b.csv": archive_row(2)})
    with pytest.raises(BadFile, match=r"holds 2 files \('a.csv', 'b.csv'\), expected one CSV"):
        read_agg_trades(two)
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("folder/", "")
    with pytest.raises(BadFile):
        read_agg_trades(tmp_path / "none.zip")


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    """Cut short, or with one byte changed."""
    rows = "\n".join(archive_row(i, price=f"{i}.{i * 7919 % 97:02d}") for i in range(1, 400))
    path = archive_zip(tmp_path / "x.zip", {"x.csv": rows})
    complete = path.read_bytes()
    altered_path = bytearray(complete)
    altered_path[len(complete) // 3] ^= 0x55
    for data in (complete[: len(complete) // 2], complete[:30], bytes(altered_path)):
        path.write_bytes(data)
        with pytest.raises(BadFile, match=r"cut short or damaged.*fetch it again"):
            read_agg_trades(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Or is a folder."""
    with pytest.raises(BadFile, match="No such file"):
        read_agg_trades(tmp_path / "none.zip")
    with pytest.raises(BadFile, match="Is a directory"):
        read_agg_trades(tmp_path)


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_checksum_beside_the_file_must_agree(tmp_path: Path, case: object) -> None:
    """Binance publishes one; where it was kept, it is believed over the file."""
    path = archive_zip(tmp_path / "x.zip", {"x.csv": archive_row(1)})
    beside = tmp_path / "x.zip.CHECKSUM"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    beside.write_text(f"{case(digest)}  x.zip\n")  # type: ignore[operator]
    assert len(read_agg_trades(path)) == 1
    for text in ("0" * 64 + "  x.zip\n", ""):
        beside.write_text(text)
        with pytest.raises(BadFile, match=r"does not match x\.zip\.CHECKSUM"):
            read_agg_trades(path)
