"""
The log's server, killed at its own n-th write: run in the place of its binary, it traces the real one's system calls.

`python traced_server.py BINARY POINTS DONE ARGUMENT…`. Each start takes the next line of POINTS, `nth before|after`,
and adds a line to DONE when it has killed; with no line left the server just runs. Linux only.
"""

import ctypes
import os
import platform
import signal
import sys
from pathlib import Path
from types import FrameType

_WITHIN_S = 2.5
_TRACEME, _SYSCALL, _SETOPTIONS, _CALL_INFO = 0, 24, 0x4200, 0x420E
_OPTIONS = 1 | 16 | 0x100000  # system calls told from signals, a stop at exec that is no signal, dies with its tracer
_ENTRY = 1
_X86 = {1: "write", 18: "pwrite", 20: "writev", 44: "sendto", 46: "sendmsg", 74: "fsync", 75: "fdatasync",
        77: "ftruncate", 82: "rename", 87: "unlink", 264: "renameat", 263: "unlinkat", 316: "renameat2"}  # fmt: skip
_ARM = {64: "write", 68: "pwrite", 66: "writev", 206: "sendto", 211: "sendmsg", 82: "fsync", 83: "fdatasync",
        46: "ftruncate", 38: "renameat", 35: "unlinkat", 276: "renameat2"}  # fmt: skip


class _CallInfo(ctypes.Structure):
    _fields_ = [("op", ctypes.c_uint8), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64), ("sp", ctypes.c_uint64),
                ("number", ctypes.c_uint64), ("rest", ctypes.c_uint64 * 8)]  # fmt: skip


def _ptrace(request: int, pid: int, address: int = 0, data: object = None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    return int(libc.ptrace(request, pid, address, data))


def can_trace() -> bool:
    """Whether a process may trace its child here."""
    if platform.system() != "Linux":
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _ptrace(_TRACEME, 0) == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _next_point(points: Path) -> tuple[int, str] | None:
    first, _, rest = points.read_text().partition("\n")
    points.write_text(rest)
    return (int(first.split()[0]), first.split()[1]) if first else None


def _trace(pid: int, nth: int, when: str, done: Path) -> None:
    """Let it run to its n-th write, and end it there, or when its time is up."""
    names = _ARM if platform.machine() in ("aarch64", "arm64") else _X86
    info, count, name = _CallInfo(), 0, ""

    def end(what: str) -> None:
        descriptor = os.open(done, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, f"{what}\n".encode())
        os.close(descriptor)
        os.kill(pid, signal.SIGKILL)

    def late(_: int, __: FrameType | None) -> None:
        end(f"late: {count} of {nth}")

    os.waitpid(pid, 0)
    _ptrace(_SETOPTIONS, pid, 0, _OPTIONS)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, _WITHIN_S)
    passed_on = 0
    while True:
        _ptrace(_SYSCALL, pid, 0, passed_on)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return
        stopped_by = os.WSTOPSIG(status)
        passed_on = 0 if stopped_by & 0x7F == signal.SIGTRAP else stopped_by
        if stopped_by != signal.SIGTRAP | 0x80:
            continue
        _ptrace(_CALL_INFO, pid, ctypes.sizeof(info), ctypes.byref(info))
        if info.op == _ENTRY:
            name = names.get(info.number, "")
            count += bool(name)
        if name and count == nth and (info.op == _ENTRY) == (when == "before"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            end(f"{when} {name}")


def main() -> None:
    """Run the server under this process, and end as it ends."""
    binary, points, done, *arguments = sys.argv[1:]
    point = _next_point(Path(points))
    if point is None:
        os.execv(binary, [binary, *arguments])
    pid = os.fork()
    if pid == 0:
        _ptrace(_TRACEME, 0)
        os.execv(binary, [binary, *arguments])
    os.closerange(3, 256)  # the lock is the server's
    _trace(pid, *point, Path(done))


if __name__ == "__main__":
    main()
