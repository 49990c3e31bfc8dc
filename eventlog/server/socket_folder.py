"""
Where the embedded server's socket lies, and what its folders may hold: nobody else's, and nothing that leads elsewhere.
"""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from eventlog.disk.files import OWNER_ONLY, translate_errors
from eventlog.errors import ServerFailed

_LONGEST_SOCKET_PATH = 100  # Linux takes 107 bytes, macOS 103


def expect_plain(folder: Path) -> None:
    """The server writes wherever its files' names lead: none of them may be a link, or anything but a file."""
    for path in folder.rglob("*"):
        about = path.lstat()
        if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
            raise ServerFailed(f"{path} is neither a file nor a folder; remove it, the log's server would follow it")
        if stat.S_ISREG(about.st_mode) and about.st_nlink > 1:
            raise ServerFailed(f"{path} has another name elsewhere; copy it, the log's server would write to both")


def create_socket_folder(folder: Path) -> None:
    """Make the folder of the socket, where it is not there yet."""
    with translate_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)


def expect_private(folder: Path, owner: int) -> None:
    """
    The folder of the socket must be its owner's alone: in a place where everybody may make folders, another user may
    have made it first.
    """
    try:
        about = folder.lstat()
    except OSError as error:
        raise ServerFailed(f"no folder of the log's server at {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != owner or about.st_mode & OWNER_ONLY:
        raise ServerFailed(
            f"{folder} is not this user's alone: another user may have made it; remove it, or set TMPDIR to a folder "
            "of your own"
        )


def socket_path(folder: Path, owner: int) -> Path:
    """A socket path of bounded length, the same for every process that names the same folder."""
    short = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
    path = Path(tempfile.gettempdir()) / f"liquidity-agent-{owner}" / f"{short}.sock"
    return path if len(str(path)) <= _LONGEST_SOCKET_PATH else Path("/tmp") / f"la-{owner}" / f"{short}.sock"
