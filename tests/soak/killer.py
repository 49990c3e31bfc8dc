"""
Counts the writes of a process and kills it, its log's server, or both at the ones its points name.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from eventlog.facts.entry import Entry, Fact
from eventlog.server.embedded_server import EmbeddedServer
from tests.soak.kill_points import Journal, Life, Point, Told, done_file

_WITHIN_S = 2.5
_WORK_S = 0.6  # of processor time: on a busy machine everything comes later
_AT_MOST_S = 10.0


class Killer:
    """Counts the writes of a life and kills where its points say."""

    def __init__(self, life: Life) -> None:
        self.server: int | None = None
        self._storage = Path(life.storage)
        self._journal = Journal(Path(life.journal))
        self._points = list(life.points)
        self._until_reached = life.until_reached
        self._seen: set[str] = set()
        self._lock = threading.RLock()
        self._armed: Point | None = None
        self._ended = False
        self._done = done_file(Path(life.journal))
        self._count = 0
        self._since = 0.0
        self._since_work = 0.0
        self._arm()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def slow(self) -> bool:
        """Whether appends are slow now."""
        return self._armed is not None and self._armed.slow

    def around(
        self,
        site: str,
        write: Callable[[], Any],
        halves: Callable[[float], tuple[Callable[[], Any], Callable[[], Any]]] | None = None,
    ) -> Any:
        """Do one write of a site, and kill at it where it is its turn."""
        point = self._due(site)
        if point is None:
            return write()
        if point.when == "before":
            self._kill(point)
        if point.when == "during" and halves is not None:
            first, rest = halves(point.part)
            first()
            self._kill(point)
            return rest()
        result = write()
        if point.when != "before":
            self._kill(point)
        return result

    def send(self, connection: Any, site: str, data: bytes, send: Callable[[Any, bytes], None]) -> None:
        """Send one command, and kill at it where it is its turn."""
        point = self._due(site)
        if point is None:
            send(connection, data)
            return
        if point.when == "before":
            self._kill(point)
            send(connection, data)
            return
        cut = int(len(data) * point.part) if point.when == "during" else len(data)
        send(connection, data[:cut])
        if point.when == "unanswered":
            select.select([connection._sock], [], [], 5.0)
            self._kill(point, torn_bytes=int(len(data) * point.part) if point.torn else 0)
            connection.disconnect()
            raise RedisConnectionError("the answer was never read")
        self._kill(point)
        if cut < len(data):
            send(connection, data[cut:])

    def acknowledged(self, entries: Sequence[Entry]) -> None:
        """The server's answer is here: it goes on record before anything else happens."""
        self._journal.say(Told("acknowledged", entries=list(entries)))
        self.around("acknowledged", lambda: None)
        with self._lock:
            if self._armed is None and not self._ended:
                self._arm()

    def spilled(self, facts: Sequence[Fact]) -> None:
        """The file holds these now."""
        self._journal.say(Told("spilled", facts=list(facts)))

    def _arm(self) -> None:
        self._armed = self._points.pop(0) if self._points else None
        self._count = 0
        self._since = time.monotonic()
        self._since_work = time.process_time()
        if self._armed is None:
            self._ended = True
            self._done.touch()

    def _due(self, site: str) -> Point | None:
        with self._lock:
            if site not in self._seen:
                self._seen.add(site)
                self._journal.say(Told("site", site=site))
            if self._armed is None or self._armed.site != site:
                return None
            self._count += 1
            return self._taken() if self._count >= self._armed.nth else None

    def _taken(self) -> Point | None:
        point, self._armed = self._armed, None
        if self._points and self._points[0].at_once:
            self._arm()
        return point

    def _watch(self) -> None:
        while True:
            time.sleep(0.05)
            with self._lock:
                late = self._armed is not None and self._is_late()
                point = self._taken() if late else None
            if point is not None:
                self._kill(point, reached=False)

    def _is_late(self) -> bool:
        if self._until_reached:
            return False
        waited, worked = time.monotonic() - self._since, time.process_time() - self._since_work
        return waited > _AT_MOST_S or (waited > _WITHIN_S and worked > _WORK_S)

    def _kill(self, point: Point, torn_bytes: int = 0, reached: bool = True) -> None:
        self._journal.say(Told("point", site=point.site, reached=reached))
        if point.who != "collector" and self.server is not None:
            if point.rewrite:
                self._begin_rewrite(point.part * 0.02)
            with suppress(ProcessLookupError):
                os.kill(self.server, signal.SIGKILL)
            if torn_bytes:
                self._tear(torn_bytes)
        if point.who == "both" and point.part > 0.5:
            time.sleep((point.part - 0.5) * 0.6)  # until then the others of its threads go on without a server
        if point.who != "server":
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        with self._lock:
            if self._points and self._points[0].at_once:
                self._arm()

    def _begin_rewrite(self, wait_s: float) -> None:
        client = EmbeddedServer(self._storage).connect(timeout_s=0.5)
        with suppress(redis.RedisError, OSError):
            client.bgrewriteaof()
        client.close()
        time.sleep(wait_s)

    def _tear(self, count: int) -> None:
        # The process is gone: a write that it was in the middle of may be in its file up to any byte.
        files = sorted((self._storage / "redis" / "appendonlydir").glob("*.incr.aof"), key=lambda p: p.stat().st_mtime)
        time.sleep(0.02)
        os.truncate(files[-1], max(0, files[-1].stat().st_size - count))
