"""
The one way of a process's facts into a log whose server may be away: handing them over never waits.

A thread of its own stores them in order and tries again while the server does not answer. What is not stored when the
process ends goes to a file beside the log (`eventlog.spill.spill`), and the next process stores it first of all.
"""

import threading
from collections.abc import Callable, Sequence

import structlog

from eventlog.errors import StoreFull, StoreUnavailable
from eventlog.facts.entry import Fact
from eventlog.spill.spill import Spill
from eventlog.store.writer import LogWriter, LostRange

_RETRY_S = 0.2
_LOOK_S = 0.05

_log = structlog.get_logger()


class Outlet:
    """
    Stores facts through a log's writer, which belongs to this from now on.

    How many wait is bounded by who hands them over: an analyzer gets no further tick while its log's server is away.

    Args:
        spill: where facts go that are not stored at the end.
        again_after_loss: what must be on record again where the server turns out to have lost entries.
    """

    def __init__(
        self, writer: LogWriter, spill: Spill, again_after_loss: Callable[[LostRange], Sequence[Fact]]
    ) -> None:
        self.writer = writer
        self._spill = spill
        self._again_after_loss = again_after_loss
        self._changed = threading.Condition()
        self._waiting: list[Fact] = []
        self._in_hand: list[Fact] = []
        self._put = 0
        self._stored = 0
        self._stored_seq = writer.last_seq
        self._ending = False
        self._away = ""
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
        self._thread.start()

    @property
    def away(self) -> str:
        """Why the server takes nothing now; empty while it does."""
        return self._away

    @property
    def waiting(self) -> int:
        """How many facts are not stored yet."""
        return self._put - self._stored

    def put(self, facts: Sequence[Fact]) -> int:
        """
        Hand over facts, from any thread; they are stored in the order of the calls, those of one call together.

        Returns:
            A ticket for `wait`.
        """
        with self._changed:
            self._waiting += facts
            self._put += len(facts)
            self._changed.notify_all()
            return self._put

    def wait(self, ticket: int, given_up: Callable[[], bool]) -> bool:
        """
        Wait until everything up to a ticket is stored.

        Args:
            given_up: asked all the while; True ends the wait.

        Returns:
            Whether it is stored.

        Raises:
            EventLogError: this process may not write any more.
        """
        with self._changed:
            while self._stored < ticket and self._error is None and not given_up():
                self._changed.wait(_LOOK_S)
            if self._error is not None:
                raise self._error
            return self._stored >= ticket

    def close(self, timeout_s: float) -> None:
        """
        Store what waits, for so long; what then is left goes to the spill file.

        Raises:
            EventLogError: this process may not write any more, or what is left could not be kept.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stored == self._put or self._error is not None, timeout_s)
            self._ending = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        with self._changed:
            left = [*self._in_hand, *self._waiting]
            if left and self._error is None:
                self._spill.append(left, self._stored_seq, has_limit=False)
                _log.warning("not stored yet, kept for the next start", facts=len(left), file=str(self._spill.path))
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while (facts := self._next()) is not None:
                self._store(facts)
        except Exception as error:  # handed to whoever waits: this thread has nobody to raise it to
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next(self) -> Sequence[Fact] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ending)
            if self._ending:
                return None
            self._in_hand, self._waiting = self._waiting, []
            return self._in_hand

    def _store(self, facts: Sequence[Fact]) -> None:
        """Store facts, however long the server is away, unless the process ends meanwhile."""
        handed = facts
        while True:
            try:
                lost = self.writer.append(handed)
            except (StoreUnavailable, StoreFull) as error:
                handed = ()  # the writer keeps what it could not store
                if not self._away:
                    _log.warning("log server away, waiting", reason=str(error))
                self._away = str(error)
                with self._changed:
                    if self._changed.wait_for(lambda: self._ending, _RETRY_S):
                        return
                continue
            break
        if self._away:
            _log.info("log server back")
        self._away = ""
        again = self._again(lost) if lost is not None else []
        with self._changed:
            self._waiting = [*again, *self._waiting]
            self._put += len(again)
            self._stored += len(facts)
            self._stored_seq = self.writer.last_seq
            self._in_hand = []
            self._changed.notify_all()

    def _again(self, lost: LostRange) -> Sequence[Fact]:
        _log.error("the server lost entries", first_seq=lost.first, last_seq=lost.last)
        return self._again_after_loss(lost)
