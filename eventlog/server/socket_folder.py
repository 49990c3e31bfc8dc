"""
The folder of the embedded server's socket, and checks of the server's folders: owner, links, special files.
"""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from eventlog.disk.files import OWNER_ONLY, translate_errors
from eventlog.errors import ServerFailed

_MAX_SOCKET_PATH_BYTES = 100  # Linux takes 107 bytes, macOS 103


def expect_plain(folder: Path) -> None:
    """
    Refuse a folder of the server that holds anything but regular files and folders: the server follows links.

    Raises:
        ServerFailed: a path below it is a link or a special file, or has another name elsewhere.
    """
    for path in folder.rglob("*"):
        status = path.lstat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise ServerFailed(f"{path} is neither a file nor a folder; remove it, the log's server would follow it")
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            raise ServerFailed(f"{path} has another name elsewhere; copy it, the log's server would write to both")


def create_socket_folder(folder: Path) -> None:
    """Create the folder of the socket where it is missing."""
    with translate_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)


def expect_private(folder: Path, owner: int) -> None:
    """
    Refuse a folder of the socket that is not its owner's alone: in a shared folder another user may have made it first.

    Raises:
        ServerFailed: it is missing, belongs to another user, or others may enter it.
    """
    try:
        status = folder.lstat()
    except OSError as error:
        raise ServerFailed(f"no folder of the log's server at {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & OWNER_ONLY:
        raise ServerFailed(
            f"{folder} is not this user's alone: another user may have made it; remove it, or set TMPDIR to a folder "
            "of your own"
        )


def socket_path(folder: Path, owner: int) -> Path:
    """A socket path of bounded length, the same in every process of `owner` for the same folder."""
    short = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
    path = Path(tempfile.gettempdir()) / f"liquidity-agent-{owner}" / f"{short}.sock"
    return path if len(str(path)) <= _MAX_SOCKET_PATH_BYTES else Path("/tmp") / f"la-{owner}" / f"{short}.sock"
