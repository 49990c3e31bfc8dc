"""Files that others made: what is unpacked, what is refused, and how much memory it takes to find out."""

import gzip
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from exchanges.errors import BadFile
from exchanges.packed_files import open_unpacked
from tests.conftest import ROOT

TEXT = b"1,2,3\n4,5,6\n"


def read(path: Path, ending: str = "") -> tuple[str, bytes]:
    """All of a file."""
    with open_unpacked(path, ending) as (name, stream):
        return name, stream.read()


def zip_files(path: Path, **files: bytes) -> Path:
    """A zip of some files; `__` in their names is a slash, `_csv` an ending."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_csv", ".csv"), data)
    return path


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_plain_packed_and_zipped_are_the_same(tmp_path: Path, mark: bytes) -> None:
    """A byte order mark is removed."""
    (tmp_path / "plain").write_bytes(mark + TEXT)
    (tmp_path / "packed").write_bytes(gzip.compress(mark + TEXT))
    (tmp_path / "parts").write_bytes(gzip.compress(mark + TEXT[:5]) + gzip.compress(TEXT[5:]))
    zip_files(tmp_path / "zipped", a_csv=mark + TEXT)
    assert [read(tmp_path / name)[1] for name in ("plain", "packed", "parts", "zipped")] == [TEXT] * 4


@pytest.mark.parametrize(
    "beside",
    [
        ["__MACOSX/._a.csv"],
        ["__MACOSX/", "__MACOSX/._a.csv", ".DS_Store"],
        ["._a.csv"],
        ["Thumbs.db", "desktop.ini"],
        ["a.csv.CHECKSUM"],
        ["README.txt", "LICENSE"],
        ["folder/"],
    ],
)
def test_what_lies_beside_the_csv_in_a_zip_is_passed_over(tmp_path: Path, beside: list[str]) -> None:
    """As systems and other packers put it there."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in beside:
            archive.writestr(name, b"\0\1" if not name.endswith("/") else b"")
        archive.writestr("deep/er/A.CSV", TEXT)
    assert read(path, ".csv") == ("A.CSV", TEXT)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xfe1\x00,\x00", "text in UTF-16; save it as UTF-8"),
        (gzip.compress("1,2".encode("utf-16")), "text in UTF-16"),
        (b"BZh91AY", "is a bzip2 file"),
        (b"\xfd7zXZ\x00\x00", "is a xz file"),
        (b"\x28\xb5\x2f\xfd\x00", "is a zstd file"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip file"),
        (b"Rar!\x1a\x07\x00", "is a RAR file"),
        (b"PAR1....", "is a Parquet file"),
        (b"PK\x03\x04broken", "cut short or damaged"),
        (b"\x1f\x8b\x08broken", "cut short or damaged"),
        (gzip.compress(TEXT)[:-4], "cut short or damaged"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    """One line, with the mend."""
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadFile, match=said) as caught:
        read(tmp_path / "x")
    assert "\n" not in str(caught.value)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A pipe would never end."""
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path / "pipe", "no regular file"), (tmp_path, "directory"), (Path("/dev/zero"), "regular")):
        with pytest.raises(BadFile, match=said):
            read(path)


def test_an_encrypted_or_oddly_packed_zip_is_named(tmp_path: Path) -> None:
    """Methods that cannot be unpacked in blocks could fill the memory."""
    path = zip_files(tmp_path / "x.zip", a_csv=TEXT)
    data = bytearray(path.read_bytes())
    for at in (6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    path.write_bytes(data)
    with pytest.raises(BadFile, match="is encrypted"):
        read(path)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("a.csv", TEXT * 100)
        with pytest.raises(BadFile, match="a method that few use"):
            read(path)


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    """A recorder still writes to it."""
    path = tmp_path / "x"
    path.write_bytes(TEXT * 1_000_000)
    with open_unpacked(path) as (_, stream):
        stream.read(10)
        with open(path, "ab") as file:
            file.write(b"more")
        with pytest.raises(BadFile, match="changed while it was read"):
            stream.read()


BOMB = """
import gzip, sys, zipfile
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from eventlog.clock import ManualClock
from eventlog.store.cold import ColdLog
from eventlog.transfer.importing import Importer
from eventlog.names import LogName
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import Archive
from exchanges.binance.recordings.recording import append_recording
from market.instrument import Market
path, way = Path(sys.argv[1]), sys.argv[3]
name = LogName("events", Market("binance", "BTCUSDT"))
importer = Importer(ColdLog(path.parent / "storage", name), ManualClock(2**60))
try:
    append_recording(importer, path) if way == "recording" else import_trades(importer, path.name, Archive(path))
    print("imported")
except Exception as error:
    print(error)
importer.close()
status = Path("/proc/self/status").read_text()  # ru_maxrss would count the process that began this one
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""

ROW = b"%d,60000.1,0.5,%d,%d,1714521600000,True,True\n"
MESSAGE = (
    b'1714521600000000000 {"e":"aggTrade","E":1714521600000,"s":"BTCUSDT","a":%d,"p":"1","q":"1",'
    b'"f":1,"l":1,"T":1714521600000,"m":true,"M":true}\n'
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "start", "body", "packer"),
    [
        ("archive", b"", b"\0", "zip"),
        pytest.param("archive", b"row", b"0", "zip", marks=pytest.mark.soak),
        ("archive", b"", b"\n", "gzip"),
        ("recording", b"", b"\0", "gzip"),
        pytest.param("recording", b"row", b" ", "gzip", marks=pytest.mark.soak),
        pytest.param("recording", b"", b"\n", "zip", marks=pytest.mark.soak),
    ],
)
def test_a_bomb_takes_little_memory(tmp_path: Path, way: str, start: bytes, body: bytes, packer: str) -> None:
    """Three GB of one byte, packed to three MB (a zip: half of that): one line, below 1 GB, nothing left behind."""
    path = tmp_path / "bomb"
    first = (ROW % (1, 1, 1) if way == "archive" else MESSAGE % 1) if start else b""
    piece = body * (64 << 20)
    if packer == "zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("a.csv", "w") as file,
        ):
            file.write(first)
            for _ in range(24):
                file.write(piece)
    else:
        path.write_bytes(gzip.compress(first) + gzip.compress(piece) * 48)
    done = subprocess.run(
        [sys.executable, "-c", BOMB, path, ROOT, way], capture_output=True, text=True, check=True, timeout=300
    )
    said, megabytes = done.stdout.splitlines()
    assert said != "imported"
    assert int(megabytes) < 1_000
    assert not (tmp_path / "storage").exists()
    assert done.stderr == ""


@pytest.mark.slow
def test_an_honest_file_packs_less_than_a_bomb(tmp_path: Path) -> None:
    """The most regular trades there can be: within bounds."""
    path = tmp_path / "x.gz"
    text = b"".join(ROW % (i, i, i) for i in range(1, 1_200_000))
    path.write_bytes(gzip.compress(text, 6))
    assert len(text) > 64 * 1024**2
    assert len(text) / path.stat().st_size < 50
    assert read(path)[1] == text
