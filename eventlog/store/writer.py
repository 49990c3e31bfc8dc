"""
The one writer of a log: numbers facts and stores them once, whatever the server does in between.

Who may write is settled twice. On this storage by a file lock that the kernel frees when the process dies; on the
server by an epoch that every new writer raises, so that an older one that still runs is refused. Numbers are reserved
on disk in blocks before they are used: after a server lost everything, no seq is given to a second fact.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import msgspec

from eventlog.clock import Clock
from eventlog.disk.files import create_private_folder, open_private, translate_errors, write_atomic
from eventlog.disk.sealed_json import seal
from eventlog.errors import EventLogError, LogBroken, StoreUnavailable, StoreWiped, WriterRefused
from eventlog.facts.capture import GAP, Gap
from eventlog.facts.entry import Entry, Fact
from eventlog.names import RESERVED_FILE, Reserved
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog, refuse_other_storage
from eventlog.store.server_facts import read_facts

_BLOCK = 10_000


@dataclass(frozen=True, slots=True)
class LostRange:
    """Seqs the server lost, both inclusive; they are named by a gap and never used again."""

    first: int
    last: int


class StorageLock:
    """
    The lock that makes this process the only writer of a log's folder, which is made where it is missing.

    Raises:
        WriterRefused: another process holds it. LogBroken: the log, or the lock, lies behind a link.
    """

    def __init__(self, cold: ColdLog) -> None:
        cold.expect_no_link()
        folder, log = cold.folder, cold.name.key
        with translate_errors(folder):
            create_private_folder(folder)
            self._path = folder / "writer.lock"
            self._descriptor = open_private(self._path)
        if not self._taken():
            holder, _ = _holder_and_term(self._descriptor)
            os.close(self._descriptor)
            raise WriterRefused(f"{log} already has a writer (process {holder}); stop it first")
        _, term = _holder_and_term(self._descriptor)
        text = f"{os.getpid():<10}\n{term + 1}\n".encode()  # of one width: a kill leaves the old line or the new one
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def _taken(self) -> bool:
        """Try for a moment: whoever asks for the status holds the lock for an instant."""
        for _ in range(10):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            if self._path.exists() and self._path.stat().st_ino == os.fstat(self._descriptor).st_ino:
                return True
            os.close(self._descriptor)  # an import that came to nothing took its lock away with it
            with translate_errors(self._path):
                create_private_folder(self._path.parent)
                self._descriptor = open_private(self._path)
        return False

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)


def _holder_and_term(descriptor: int) -> tuple[str, int]:
    """The process that a lock names, `?` where none can be read, and how many held it so far."""
    lines = os.pread(descriptor, 64, 0).decode(errors="replace").splitlines()
    holder, term, *_ = [line.strip() if line.isascii() and line.strip().isdigit() else "" for line in lines] + ["", ""]
    return holder or "?", int(term or 0)


def term_of(lock: Path) -> int | None:
    """
    Which term of writing runs: how many writers have held a lock so far. None while none holds it.

    A process id would not do: after a restart of a machine or a container another process may have the same.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder_and_term(descriptor)[1]
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


class LogWriter:
    """
    Appends facts to a log.

    Args:
        cold, hot: the two parts of the log; the cold part is created where it is missing.
        also_used: seqs that others saw used, e.g. those a decision log names.

    Raises:
        WriterRefused: another writer is at work, or storage and server belong to different logs.
    """

    def __init__(self, cold: ColdLog, hot: HotLog, clock: Clock, also_used: Iterable[int] = ()) -> None:
        self.cold = cold
        self.hot = hot
        self._clock = clock
        self._lock = StorageLock(cold)
        self._unnumbered: list[Fact] = []
        self._pending: list[Entry] = []
        self._follows = False
        self._wiped = False
        self._untold: LostRange | None = None
        self.losses = 0  # how often the server turned out to have lost something
        self.archiving = Lock()  # held while a segment is committed, and while a loss is measured
        try:
            if not cold.exists():
                cold.expect_nothing_recorded()
                there = hot.log_id()
                if there is not None:
                    refuse_other_storage(cold.name, there, "none yet")
            self._expect_keeping_server()
            self.cold.create(clock.now_ns())
            with translate_errors(cold.folder):
                self._reserved = cold.reserved() or Reserved(cold.catalogue.last_seq, 0)
            self._last = max((0, *also_used))
            self._stored = 0
            self.lost = self._recover()
        except BaseException:
            self._lock.release()
            raise

    @property
    def last_seq(self) -> int:
        """The last seq given to a fact."""
        return self._last

    @property
    def stored_seq(self) -> int:
        """The last seq known to be in the log; what is on its way behind it may never get there."""
        return self._stored

    def append(self, facts: Sequence[Fact]) -> LostRange | None:
        """
        Number facts and store them; with nothing pending and no facts this does nothing.

        After StoreUnavailable or StoreFull call it again (with further facts or none): what is pending is stored first.

        Returns:
            What the server had lost, where it turned out to have been wiped; the facts are stored behind that gap.
        """
        self._unnumbered += facts
        self._store()
        lost, self._untold = self._untold, None
        return lost

    def close(self) -> None:
        """Release the log; the exact last seq goes on record."""
        try:
            if not self._pending and not self._wiped:
                self._reserve_up_to(self._last, self._reserved.epoch, closed=True)
        finally:
            self._lock.release()

    def _expect_keeping_server(self) -> None:
        """A server that throws away what it was given is not written to; one that hides what it is like is believed."""
        refusal = self._server_refusal()
        if refusal is not None:
            raise WriterRefused(refusal)

    def _server_refusal(self) -> str | None:
        try:
            return read_facts(self.hot.client).refusal
        except StoreUnavailable:
            raise
        except EventLogError:
            return None  # it does not let us ask

    def _store(self) -> None:
        # Every step that may fail leaves its facts where the next call finds them.
        while self._wiped or self._unnumbered or self._pending:
            if self._wiped:
                self._begin_anew()
            self._number()
            try:
                self.hot.append(self._pending, self._reserved.epoch, self._follows)
            except StoreWiped:
                self._wiped = True
                continue
            self._stored = self._pending[-1].seq
            self._pending = []
            self._follows = True

    def _number(self) -> None:
        self._reserve(self._last + len(self._unnumbered))
        for fact in self._unnumbered:
            self._last += 1
            self._pending.append(Entry(self._last, fact.kind, fact.recv_ns, fact.data))
        self._unnumbered = []

    def _recover(self) -> LostRange | None:
        """Find where the log ends. Seqs that may have been used and are nowhere now are named as lost."""
        epoch = self.hot.take_over(self.cold.catalogue.log_id, self._reserved.epoch)
        archived = self.cold.catalogue.last_seq
        first, last = self.hot.bounds()
        if last and first > archived + 1 and not self._begins_with_loss(first, archived):
            raise LogBroken(f"{self.cold.name}: seq {archived + 1} to {first - 1} are in neither archive nor stream")
        known = max(archived, last)
        used = max(known, self._last)
        # Wiped, or never written to (an earlier start may have told the server our name since); or closed with all of
        # them stored: the server may have lost its end.
        if last == 0 or self._reserved.closed:
            used = max(used, self._reserved.last)
        self._last = self._stored = used
        self._reserve_up_to(max(used, self._reserved.last), epoch)
        self._follows = last > 0 and used == last
        if used == known:
            return None
        lost = LostRange(known + 1, used)
        self._unnumbered = [self._gap_of(lost)]
        self._store()
        return lost

    def _begins_with_loss(self, first: int, archived: int) -> bool:
        """Whether the stream starts with the gap that names everything between it and the archive."""
        entry = self.hot.read(first - 1, first, 1)[0]
        if entry.kind != GAP:
            return False
        gap = msgspec.json.decode(entry.data, type=Gap)
        return gap.what == "seqs" and gap.first <= archived + 1 and gap.last == first - 1

    def _begin_anew(self) -> None:
        """
        The server lost its end: what was on the way gets new numbers, behind the gap that names the old. While it would
        lose that again, nothing is given to it, and no number used up.
        """
        refusal = self._server_refusal()
        if refusal is not None:
            raise StoreUnavailable(refusal)
        epoch = self.hot.take_over(self.cold.catalogue.log_id, self._reserved.epoch)
        self._reserve_up_to(self._reserved.last, epoch)
        with self.archiving:
            held = max(self.cold.refresh().last_seq, self.hot.bounds()[1])
            self._untold = LostRange(held + 1, self._last)
            self.losses += 1
        waiting = [Fact(e.kind, e.recv_ns, e.data) for e in self._pending]
        self._unnumbered = [self._gap_of(self._untold), *waiting, *self._unnumbered]
        self._pending = []
        self._follows = False
        self._wiped = False

    def _gap_of(self, lost: LostRange) -> Fact:
        gap = Gap("seqs", lost.first, lost.last, "log_lost", "given_up")
        return gap.fact(GAP, self._clock.now_ns())

    def _reserve(self, seq: int) -> None:
        if seq > self._reserved.last:
            self._reserve_up_to(seq + _BLOCK, self._reserved.epoch)

    def _reserve_up_to(self, last: int, epoch: int, closed: bool = False) -> None:
        reserved = Reserved(last, epoch, self.cold.catalogue.log_id, closed)
        write_atomic(self.cold.folder / RESERVED_FILE, seal(reserved))
        self._reserved = reserved
