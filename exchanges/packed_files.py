"""
Untrusted files, plain or packed by gzip or zip, read as a stream of bounded size.
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

_MIN_LIMIT_BYTES = 64 * 1024**2
"""Any file may unpack to this size, however small it is: a few repeated lines pack very well."""
_MAX_RATIO = 200
"""Trades and books pack to between a third and a fortieth; a bomb to a thousandth."""
_MAX_BYTES = 256 * 1024**3  # that any file may unpack to
_BUFFER_BYTES = 1 << 20  # read from a file at once

_OTHER_FORMATS = {
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

_NESTED_FORMATS = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip"}
_TAR_MARK, _TAR_MARK_OFFSET = b"ustar", 257  # what a tar archive has at that place
_HEAD_BYTES = 512  # a tar archive's first block: enough to tell every kind apart

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DAMAGE_ERRORS = (zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, NotImplementedError, RuntimeError, ValueError)


class TruncatedFile(BadFile):
    """A packed file is cut short; everything up to there was read."""


@contextmanager
def open_unpacked(path: Path, suffix: str = "", on_read: OnRead = lambda _: None) -> Iterator[tuple[str, IO[bytes]]]:
    """
    Open a file for reading, unpacked where it is packed, without a byte order mark.

    Args:
        path: a regular file: plain, gzip, or a zip with one member to read.
        suffix: of that member, e.g. ".csv", lower case; empty takes any.
        on_read: called with the number of bytes read from the file on disk since its last call.

    Returns:
        The name of what is read (a zip's member, else the file), and the stream. Reading from it may raise BadFile
        (damaged, unpacks beyond the limit, changed meanwhile) or TruncatedFile.

    Raises:
        BadFile: no regular file, packed in another way, no such member in a zip or several of them.
    """
    try:
        with _open_regular(path) as file:
            head = file.read(16)
            file.seek(0)
            _expect_readable(path, head)
            if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
                with zipfile.ZipFile(file) as archive:
                    member = _find_member(path, archive, suffix)
                    with archive.open(member) as inside:
                        yield (
                            PurePosixPath(member.filename).name,
                            _open_bounded(path, file, cast(io.BufferedIOBase, inside), on_read),
                        )
                return
            if head.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=file) as inside:
                    yield path.name, _open_bounded(path, file, inside, on_read)
                return
            yield path.name, _open_bounded(path, file, file, on_read)
    except BadFile:
        raise
    except EOFError as error:
        raise BadFile(f"{path} is cut short or damaged ({error}); fetch it again") from error
    except _DAMAGE_ERRORS as error:
        raise BadFile(f"{path} is cut short or damaged ({_one_line(error)}); fetch it again") from error
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror or error}") from error


def _open_regular(path: Path) -> io.BufferedReader:
    """Regular files only: a pipe may never end, and reading a device may do anything."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "Is a directory; name the files in it" if stat.S_ISDIR(mode) else "it is no regular file"
        raise BadFile(f"cannot read {path}: {kind}")
    return os.fdopen(descriptor, "rb")


def _expect_readable(path: Path, head: bytes) -> None:
    packer = next((name for start, name in _OTHER_FORMATS.items() if head.startswith(start)), None)
    if packer is not None:
        raise BadFile(f"{path} is a {packer} file; unpack it, or give the zip, gzip or text itself")
    if head.startswith(_UTF16):
        raise BadFile(f"{path} is text in UTF-16; save it as UTF-8")


def _find_member(path: Path, archive: zipfile.ZipFile, suffix: str) -> zipfile.ZipInfo:
    """The one file with a suffix in a zip; files of the operating system, and other files, are skipped."""
    files = [m for m in archive.infolist() if not m.filename.endswith("/") and not _is_system_file(m.filename)]
    matches = [m for m in files if m.filename.lower().endswith(suffix)] or files
    leading_bytes = min((m.header_offset for m in archive.infolist()), default=0)
    if leading_bytes:  # another zip, of which the list at the end says nothing
        raise BadFile(f"{path} holds {leading_bytes:,} bytes before its first file; fetch it again, or unpack it first")
    if len(matches) != 1:
        names = ", ".join(ascii(m.filename[:60]) for m in matches[:3]) + (" …" if len(matches) > 3 else "")
        listing = f"{len(matches)} files ({names})" if matches else "no file"
        raise BadFile(f"{path} holds {listing}, expected one{' ' + suffix.strip('.').upper() if suffix else ''}")
    if matches[0].flag_bits & 0x1:
        raise BadFile(f"{path} is encrypted; unpack it first")
    if matches[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot be read in blocks
        raise BadFile(f"{path} is packed by a method that few use; unpack it first")
    return matches[0]


def _is_system_file(name: str) -> bool:
    """Whether an operating system put a file into a zip by itself."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    base_name = parts[-1].lower() if parts else ""
    return "__MACOSX" in parts or base_name.startswith("._") or base_name in (".ds_store", "thumbs.db", "desktop.ini")


def _open_bounded(path: Path, file: IO[bytes], stream: io.BufferedIOBase, on_read: OnRead) -> IO[bytes]:
    reader = io.BufferedReader(_BoundedReader(path, file, stream, on_read), _BUFFER_BYTES)
    head = reader.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    if head.startswith(b"\xef\xbb\xbf"):
        reader.read(3)
    elif head[:2] in _UTF16:
        raise BadFile(f"{path} holds text in UTF-16; save it as UTF-8")
    packer = next((name for start, name in (_OTHER_FORMATS | _NESTED_FORMATS).items() if head.startswith(start)), None)
    if head[_TAR_MARK_OFFSET:].startswith(_TAR_MARK):
        packer = "tar"
    if packer is not None:
        raise BadFile(f"{path} holds a {packer} file; unpack it first")
    return cast(IO[bytes], reader)


class _BoundedReader(io.RawIOBase):
    """Counts what comes out of a packed file and translates errors into one line."""

    def __init__(self, path: Path, file: IO[bytes], stream: io.BufferedIOBase, on_read: OnRead) -> None:
        self._path = path
        self._on_read = on_read
        self._position = 0
        self._file = file
        self._stream = stream
        info = os.fstat(file.fileno())
        self._initial_stat = info.st_size, info.st_mtime_ns
        self._max_bytes = min(_MAX_BYTES, max(_MIN_LIMIT_BYTES, info.st_size * _MAX_RATIO))  # what is plain stays below
        self._count = 0

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; 0 at the end."""
        try:
            data = self._stream.read1(len(buffer))  # returns what comes before a torn end
        except EOFError as error:
            raise TruncatedFile(f"{self._path} is cut short or damaged ({error}); fetch it again") from error
        except _DAMAGE_ERRORS as error:
            raise BadFile(f"{self._path} is cut short or damaged ({_one_line(error)}); fetch it again") from error
        except OSError as error:
            raise BadFile(f"cannot read {self._path}: {error.strerror or error}") from error
        self._count += len(data)
        if self._count > self._max_bytes:
            raise BadFile(
                f"{self._path} unpacks to more than {self._max_bytes:,} bytes, "
                f"{self._max_bytes // self._initial_stat[0]:,} times its size, which no plausible file does: unpack it "
                "yourself if you trust it"
            )
        if not data:
            self._expect_unchanged()
        buffer[: len(data)] = data
        previous, self._position = self._position, self._file.tell()
        self._on_read(max(0, self._position - previous))
        return len(data)

    def _expect_unchanged(self) -> None:
        info = os.fstat(self._file.fileno())
        if (info.st_size, info.st_mtime_ns) != self._initial_stat:
            raise BadFile(f"{self._path} changed while it was read; import it when it is whole")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
