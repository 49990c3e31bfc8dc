"""
The write queue of a process's facts into a log whose server may be unavailable: `put` never blocks.

A thread stores the facts in order and retries while the server does not answer. Facts not stored when the process ends
go to a file beside the log (`eventlog.spill.spill`), which the next process stores first.
"""

import threading
from collections.abc import Callable, Sequence

import structlog

from eventlog.errors import StoreFull, StoreUnavailable
from eventlog.facts.entry import Fact
from eventlog.spill.spill import Spill
from eventlog.store.writer import LogWriter, LostRange

_RETRY_S = 0.2  # how often a server that was lost is tried again
_POLL_S = 0.05  # how often `wait` calls `should_stop`

_log = structlog.get_logger()


class Outlet:
    """
    Stores facts through a log's writer, which it owns from now on.

    The caller bounds the number of pending facts: an analyzer gets no further tick while the log's server is down.

    Args:
        writer: of the log. spill: takes the facts that are not stored at the end.
        facts_after_loss: the facts that must be stored again where the server turns out to have lost entries.
    """

    def __init__(
        self, writer: LogWriter, spill: Spill, facts_after_loss: Callable[[LostRange], Sequence[Fact]]
    ) -> None:
        self.writer = writer
        self._spill = spill
        self._facts_after_loss = facts_after_loss
        self._condition = threading.Condition()
        self._pending: list[Fact] = []
        self._in_flight: list[Fact] = []
        self._put_count = 0
        self._stored_count = 0
        self._stored_seq = writer.last_seq
        self._ending = False
        self._outage = ""
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
        self._thread.start()

    @property
    def outage(self) -> str:
        """Why the server stores nothing now, "" while it does."""
        return self._outage

    @property
    def pending_count(self) -> int:
        """The number of facts that are not stored yet."""
        return self._put_count - self._stored_count

    def put(self, facts: Sequence[Fact]) -> int:
        """
        Queue facts, from any thread; they are stored in the order of the calls, those of one call together.

        Returns:
            A ticket for `wait`.
        """
        with self._condition:
            self._pending += facts
            self._put_count += len(facts)
            self._condition.notify_all()
            return self._put_count

    def wait(self, ticket: int, should_stop: Callable[[], bool]) -> bool:
        """
        Wait until everything up to a ticket is stored.

        Args:
            ticket: what `put` returned. should_stop: called again and again; True ends the wait.

        Returns:
            Whether it is stored.

        Raises:
            EventLogError: this process may not write any more.
        """
        with self._condition:
            while self._stored_count < ticket and self._error is None and not should_stop():
                self._condition.wait(_POLL_S)
            if self._error is not None:
                raise self._error
            return self._stored_count >= ticket

    def close(self, timeout_s: float) -> None:
        """
        Store the pending facts for at most `timeout_s` seconds; the remaining ones go to the spill file.

        Raises:
            EventLogError: this process may not write any more, or the spill file cannot be written.
        """
        with self._condition:
            self._condition.wait_for(
                lambda: self._stored_count == self._put_count or self._error is not None, timeout_s
            )
            self._ending = True
            self._condition.notify_all()
        self._thread.join(timeout_s)
        with self._condition:
            remaining = [*self._in_flight, *self._pending]
            if remaining and self._error is None:
                self._spill.append(remaining, self._stored_seq, has_limit=False)
                _log.warning(
                    "not stored yet, kept for the next start", facts=len(remaining), file=str(self._spill.path)
                )
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while (facts := self._next()) is not None:
                self._store(facts)
        except Exception as error:  # raised by `wait` and `close`
            with self._condition:
                self._error = error
                self._condition.notify_all()

    def _next(self) -> Sequence[Fact] | None:
        with self._condition:
            self._condition.wait_for(lambda: self._pending or self._ending)
            if self._ending:
                return None
            self._in_flight, self._pending = self._pending, []
            return self._in_flight

    def _store(self, facts: Sequence[Fact]) -> None:
        """Store facts, retrying while the server is unavailable, until the process ends."""
        batch = facts
        while True:
            try:
                lost_range = self.writer.append(batch)
            except (StoreUnavailable, StoreFull) as error:
                batch = ()  # the writer keeps what it could not store
                if not self._outage:
                    _log.warning("log server away, waiting", reason=str(error))
                self._outage = str(error)
                with self._condition:
                    if self._condition.wait_for(lambda: self._ending, _RETRY_S):
                        return
                continue
            break
        if self._outage:
            _log.info("log server back")
        self._outage = ""
        repeats = self._facts_to_repeat(lost_range) if lost_range is not None else []
        with self._condition:
            self._pending = [*repeats, *self._pending]
            self._put_count += len(repeats)
            self._stored_count += len(facts)
            self._stored_seq = self.writer.last_seq
            self._in_flight = []
            self._condition.notify_all()

    def _facts_to_repeat(self, lost_range: LostRange) -> Sequence[Fact]:
        _log.error("the server lost entries", first_seq=lost_range.first, last_seq=lost_range.last)
        return self._facts_after_loss(lost_range)
