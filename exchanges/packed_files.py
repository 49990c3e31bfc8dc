"""
Files that others made, plain or packed by gzip or zip, read as a stream and never beyond what honest ones hold.
"""

import gzip
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from exchanges.errors import BadFile

_FREE_BYTES = 64 * 1024**2
"""So much may come out of any file, however small: a few repeated lines pack very well."""
_LARGEST_RATIO = 200
"""Trades and books pack to between a third and a fortieth; a bomb to a thousandth."""
_MAX_BYTES = 256 * 1024**3
_BUFFER_BYTES = 1 << 20

_OTHER_PACKERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"PAR1": "Parquet",
    b"\x04\x22\x4d\x18": "lz4",
    b"SQLite format 3": "SQLite",
    b"%PDF": "PDF",
}
OnRead = Callable[[int], None]

_PACKED_AGAIN = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip"}
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_HEAD_BYTES = 512

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DAMAGED = (zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, NotImplementedError, RuntimeError, ValueError)


class CutShort(BadFile):
    """A packed file ends before its end; what came before it was whole."""


@contextmanager
def unpacked(path: Path, ending: str = "", on_read: OnRead = lambda _: None) -> Iterator[tuple[str, IO[bytes]]]:
    """
    The bytes of a file, unpacked where it is packed, without a byte order mark.

    Args:
        ending: of the one wanted file in a zip, e.g. ".csv", lower case.
        on_read: told how many bytes of the file as it lies there were read since.

    Returns:
        The name of what is read (a zip's member, else the file), and the stream. While reading it may raise BadFile:
        damaged, unpacks beyond bounds, changed meanwhile; or CutShort.

    Raises:
        BadFile: no regular file, packed in another way, no such member in a zip or several of them.
    """
    try:
        with _regular(path) as file:
            head = file.read(16)
            file.seek(0)
            _expect_readable(path, head)
            if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
                with zipfile.ZipFile(file) as archive:
                    member = _wanted(path, archive, ending)
                    with archive.open(member) as inside:
                        yield (
                            PurePosixPath(member.filename).name,
                            _bounded(path, file, cast(io.BufferedIOBase, inside), on_read),
                        )
                return
            if head.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=file) as inside:
                    yield path.name, _bounded(path, file, inside, on_read)
                return
            yield path.name, _bounded(path, file, file, on_read)
    except BadFile:
        raise
    except EOFError as error:
        raise BadFile(f"{path} is cut short or damaged ({error}); fetch it again") from error
    except _DAMAGED as error:
        raise BadFile(f"{path} is cut short or damaged ({_said(error)}); fetch it again") from error
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror or error}") from error


def _regular(path: Path) -> io.BufferedReader:
    """A pipe would never end, and reading a device may do anything."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "Is a directory; name the files in it" if stat.S_ISDIR(mode) else "it is no regular file"
        raise BadFile(f"cannot read {path}: {kind}")
    return os.fdopen(descriptor, "rb")


def _expect_readable(path: Path, head: bytes) -> None:
    packer = next((name for start, name in _OTHER_PACKERS.items() if head.startswith(start)), None)
    if packer is not None:
        raise BadFile(f"{path} is a {packer} file; unpack it, or give the zip, gzip or text itself")
    if head.startswith(_UTF16):
        raise BadFile(f"{path} is text in UTF-16; save it as UTF-8")


def _wanted(path: Path, archive: zipfile.ZipFile, ending: str) -> zipfile.ZipInfo:
    """The one file of a kind in a zip; what systems put beside it, and other files, are passed over."""
    files = [m for m in archive.infolist() if not m.filename.endswith("/") and not _litter(m.filename)]
    wanted = [m for m in files if m.filename.lower().endswith(ending)] or files
    before = min((m.header_offset for m in archive.infolist()), default=0)
    if before:  # another zip, of which the list at the end says nothing
        raise BadFile(f"{path} holds {before:,} bytes before its first file; fetch it again, or unpack it first")
    if len(wanted) != 1:
        names = ", ".join(ascii(m.filename[:60]) for m in wanted[:3]) + (" …" if len(wanted) > 3 else "")
        found = f"{len(wanted)} files ({names})" if wanted else "no file"
        raise BadFile(f"{path} holds {found}, expected one{' ' + ending.strip('.').upper() if ending else ''}")
    if wanted[0].flag_bits & 0x1:
        raise BadFile(f"{path} is encrypted; unpack it first")
    if wanted[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot be read in blocks
        raise BadFile(f"{path} is packed by a method that few use; unpack it first")
    return wanted[0]


def _litter(name: str) -> bool:
    """Files that no person put into a zip."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    last = parts[-1].lower() if parts else ""
    return "__MACOSX" in parts or last.startswith("._") or last in (".ds_store", "thumbs.db", "desktop.ini")


def _bounded(path: Path, packed: IO[bytes], stream: io.BufferedIOBase, on_read: OnRead) -> IO[bytes]:
    buffered = io.BufferedReader(_Bounded(path, packed, stream, on_read), _BUFFER_BYTES)
    head = buffered.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    if head.startswith(b"\xef\xbb\xbf"):
        buffered.read(3)
    elif head[:2] in _UTF16:
        raise BadFile(f"{path} holds text in UTF-16; save it as UTF-8")
    packer = next((name for start, name in (_OTHER_PACKERS | _PACKED_AGAIN).items() if head.startswith(start)), None)
    if head[_TAR_MARK_AT:].startswith(_TAR_MARK):
        packer = "tar"
    if packer is not None:
        raise BadFile(f"{path} holds a {packer} file; unpack it first")
    return cast(IO[bytes], buffered)


class _Bounded(io.RawIOBase):
    """Counts what comes out of a packed file; says in one line what is wrong with it."""

    def __init__(self, path: Path, packed: IO[bytes], stream: io.BufferedIOBase, on_read: OnRead) -> None:
        self._path = path
        self._on_read = on_read
        self._place = 0
        self._packed = packed
        self._stream = stream
        about = os.fstat(packed.fileno())
        self._as_opened = about.st_size, about.st_mtime_ns
        self._most = min(_MAX_BYTES, max(_FREE_BYTES, about.st_size * _LARGEST_RATIO))  # what is plain stays below
        self._count = 0

    def readable(self) -> bool:
        """It is read from."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; 0 at the end."""
        try:
            data = self._stream.read1(len(buffer))  # what came before a torn end is not lost
        except EOFError as error:
            raise CutShort(f"{self._path} is cut short or damaged ({error}); fetch it again") from error
        except _DAMAGED as error:
            raise BadFile(f"{self._path} is cut short or damaged ({_said(error)}); fetch it again") from error
        except OSError as error:
            raise BadFile(f"cannot read {self._path}: {error.strerror or error}") from error
        self._count += len(data)
        if self._count > self._most:
            raise BadFile(
                f"{self._path} unpacks to more than {self._most:,} bytes, {self._most // self._as_opened[0]:,} times "
                "its size; nothing honest does: unpack it yourself if you trust it"
            )
        if not data:
            self._expect_unchanged()
        buffer[: len(data)] = data
        before, self._place = self._place, self._packed.tell()
        self._on_read(max(0, self._place - before))
        return len(data)

    def _expect_unchanged(self) -> None:
        about = os.fstat(self._packed.fileno())
        if (about.st_size, about.st_mtime_ns) != self._as_opened:
            raise BadFile(f"{self._path} changed while it was read; import it when it is whole")


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
