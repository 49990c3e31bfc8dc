"""
The only writer of a log: numbers facts and stores each once, even if the server fails in between.

Two locks exclude other writers: on this storage a file lock that the kernel frees when the process dies; on the
server an epoch that every new writer raises, so that an older one that still runs is refused. Numbers are reserved
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
from eventlog.names import RESERVED_FILE, Reservation
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog, refuse_other_storage
from eventlog.store.server_facts import read_facts

_BLOCK = 10_000  # seqs reserved at once: at most so many are skipped after the server lost its data


@dataclass(frozen=True, slots=True)
class LostRange:
    """Seqs that the server lost, both inclusive; a gap names them and they are never used again."""

    first: int
    last: int


class StorageLock:
    """
    The lock that makes this process the only writer of a log's folder, which is created where it is missing.

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
        if not self._try_acquire():
            holder, _ = _read_holder(self._descriptor)
            os.close(self._descriptor)
            raise WriterRefused(f"{log} already has a writer (process {holder}); stop it first")
        _, term = _read_holder(self._descriptor)
        text = f"{os.getpid():<10}\n{term + 1}\n".encode()  # of one width: a kill leaves the old line or the new one
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def _try_acquire(self) -> bool:
        """Try for a moment: a process that reads the status holds the lock for an instant."""
        for _ in range(10):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            if self._path.exists() and self._path.stat().st_ino == os.fstat(self._descriptor).st_ino:
                return True
            os.close(self._descriptor)  # an import that added nothing removed its lock file
            with translate_errors(self._path):
                create_private_folder(self._path.parent)
                self._descriptor = open_private(self._path)
        return False

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def _read_holder(descriptor: int) -> tuple[str, int]:
    """The process id in a lock file, `?` where none can be read, and the number of writers so far."""
    lines = os.pread(descriptor, 64, 0).decode(errors="replace").splitlines()
    holder, term, *_ = [line.strip() if line.isascii() and line.strip().isdigit() else "" for line in lines] + ["", ""]
    return holder or "?", int(term or 0)


def current_term(lock: Path) -> int | None:
    """
    The number of writers that have held a lock so far, the current one included; None while none holds it.

    It identifies a writer where a process id would not: after a restart another process may have the same id.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor)[1]
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
        clock: stamps the gaps that name lost seqs.
        used_seqs: seqs that were used according to other sources, e.g. those that a decision log names.

    Attributes:
        startup_loss: what the server had lost when this writer started, None for nothing.
        losses: how often the server turned out to have lost something since.
        archiving: held while a segment is committed, and while a loss is measured.

    Raises:
        WriterRefused: another writer is at work, or storage and server belong to different logs.
    """

    def __init__(self, cold: ColdLog, hot: HotLog, clock: Clock, used_seqs: Iterable[int] = ()) -> None:
        self.cold = cold
        self.hot = hot
        self._clock = clock
        self._lock = StorageLock(cold)
        self._new_facts: list[Fact] = []
        self._pending: list[Entry] = []
        self._follows = False
        self._is_wiped = False
        self._unreported_loss: LostRange | None = None
        self.losses = 0
        self.archiving = Lock()
        try:
            if not cold.exists():
                cold.expect_nothing_recorded()
                server_log_id = hot.log_id()
                if server_log_id is not None:
                    refuse_other_storage(cold.name, server_log_id, "none yet")
            self._expect_durable_server()
            self.cold.create(clock.now_ns())
            with translate_errors(cold.folder):
                self._reservation = cold.load_reservation() or Reservation(cold.catalogue.last_seq, 0)
            self._last = max((0, *used_seqs))
            self._last_stored = 0
            self.startup_loss = self._recover()
        except BaseException:
            self._lock.release()
            raise

    @property
    def last_seq(self) -> int:
        """The last seq that was given to a fact."""
        return self._last

    @property
    def last_stored_seq(self) -> int:
        """The last seq known to be in the log; entries sent after it may not be stored."""
        return self._last_stored

    def append(self, facts: Sequence[Fact]) -> LostRange | None:
        """
        Number facts and store them; with nothing pending and no facts this does nothing.

        After StoreUnavailable or StoreFull call it again (with further facts or none): what is pending is stored first.

        Returns:
            The range that the server had lost, None for nothing; the facts are stored after the gap that names it.
        """
        self._new_facts += facts
        self._store()
        loss, self._unreported_loss = self._unreported_loss, None
        return loss

    def close(self) -> None:
        """Release the log; the reservation is cut to the exact last seq."""
        try:
            if not self._pending and not self._is_wiped:
                self._reserve_up_to(self._last, self._reservation.epoch, closed=True)
        finally:
            self._lock.release()

    def _expect_durable_server(self) -> None:
        """Refuse a server that may evict entries; one that does not allow INFO is accepted."""
        refusal = self._server_refusal()
        if refusal is not None:
            raise WriterRefused(refusal)

    def _server_refusal(self) -> str | None:
        try:
            return read_facts(self.hot.client).refusal
        except StoreUnavailable:
            raise
        except EventLogError:
            return None  # INFO is not allowed

    def _store(self) -> None:
        # A step that fails leaves its facts in _new_facts or _pending for the next call.
        while self._is_wiped or self._new_facts or self._pending:
            if self._is_wiped:
                self._recover_from_wipe()
            self._number()
            try:
                self.hot.append(self._pending, self._reservation.epoch, self._follows)
            except StoreWiped:
                self._is_wiped = True
                continue
            self._last_stored = self._pending[-1].seq
            self._pending = []
            self._follows = True

    def _number(self) -> None:
        self._reserve(self._last + len(self._new_facts))
        for fact in self._new_facts:
            self._last += 1
            self._pending.append(Entry(self._last, fact.kind, fact.recv_ns, fact.data))
        self._new_facts = []

    def _recover(self) -> LostRange | None:
        """Find the end of the log. Seqs that may have been used and are in neither part are named as lost."""
        epoch = self.hot.acquire_epoch(self.cold.catalogue.log_id, self._reservation.epoch)
        archived_seq = self.cold.catalogue.last_seq
        first, last = self.hot.bounds()
        if last and first > archived_seq + 1 and not self._begins_with_loss(first, archived_seq):
            raise LogBroken(
                f"{self.cold.name}: seq {archived_seq + 1} to {first - 1} are in neither archive nor stream"
            )
        last_present = max(archived_seq, last)
        last_used = max(last_present, self._last)
        # The stream is empty (wiped, or never written to), or the writer before closed with all seqs stored and the
        # server may have lost its end.
        if last == 0 or self._reservation.closed:
            last_used = max(last_used, self._reservation.last)
        self._last = self._last_stored = last_used
        self._reserve_up_to(max(last_used, self._reservation.last), epoch)
        self._follows = last > 0 and last_used == last
        if last_used == last_present:
            return None
        loss = LostRange(last_present + 1, last_used)
        self._new_facts = [self._gap_fact(loss)]
        self._store()
        return loss

    def _begins_with_loss(self, first: int, archived_seq: int) -> bool:
        """Whether the stream starts with the gap that names everything between it and the archive."""
        entry = self.hot.read(first - 1, first, 1)[0]
        if entry.kind != GAP:
            return False
        gap = msgspec.json.decode(entry.data, type=Gap)
        return gap.what == "seqs" and gap.first <= archived_seq + 1 and gap.last == first - 1

    def _recover_from_wipe(self) -> None:
        """
        The server lost its end: pending facts get new seqs, after the gap that names the old ones. While the server
        would lose them again, nothing is sent and no seq is used.
        """
        refusal = self._server_refusal()
        if refusal is not None:
            raise StoreUnavailable(refusal)
        epoch = self.hot.acquire_epoch(self.cold.catalogue.log_id, self._reservation.epoch)
        self._reserve_up_to(self._reservation.last, epoch)
        with self.archiving:
            last_present = max(self.cold.refresh().last_seq, self.hot.bounds()[1])
            self._unreported_loss = LostRange(last_present + 1, self._last)
            self.losses += 1
        pending = [Fact(e.kind, e.recv_ns, e.data) for e in self._pending]
        self._new_facts = [self._gap_fact(self._unreported_loss), *pending, *self._new_facts]
        self._pending = []
        self._follows = False
        self._is_wiped = False

    def _gap_fact(self, loss: LostRange) -> Fact:
        gap = Gap("seqs", loss.first, loss.last, "log_lost", "given_up")
        return gap.fact(GAP, self._clock.now_ns())

    def _reserve(self, seq: int) -> None:
        if seq > self._reservation.last:
            self._reserve_up_to(seq + _BLOCK, self._reservation.epoch)

    def _reserve_up_to(self, last: int, epoch: int, closed: bool = False) -> None:
        reservation = Reservation(last, epoch, self.cold.catalogue.log_id, closed)
        write_atomic(self.cold.folder / RESERVED_FILE, seal(reservation))
        self._reservation = reservation
