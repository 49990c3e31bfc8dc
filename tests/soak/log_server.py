"""
A way to the log's server that fails as it is told: what a client of ours sees when the server, or the line to it, does.
"""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis

from eventlog.clock import Clock
from tests.soak.drawn import Kind

_SLOW_S = 0.4


class Line:
    """
    The way to one server, for one scenario.

    Args:
        seed: decides which commands fail where some do.

    Attributes:
        trouble: what is the matter now, None where nothing is. failed: how many commands failed so far.
    """

    def __init__(self, connect: Callable[[], redis.Redis], clock: Clock, seed: int) -> None:
        self.trouble: Kind | None = None
        self.failed = 0
        self._connect = connect
        self._clock = clock
        self._rng = random.Random(seed)
        self._clients: list[redis.Redis] = []

    def connect(self) -> redis.Redis:
        """A client that goes this way."""
        plain = self._connect()
        client = _Client(connection_pool=plain.connection_pool)
        client.line = self
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Every client hangs up."""
        for client in self._clients:
            with suppress(redis.RedisError):
                client.connection_pool.disconnect()

    def forget(self, pattern: str) -> None:
        """Drop what the server holds under keys like this."""
        self.trouble = None
        client = self.connect()
        for key in client.scan_iter(pattern):
            client.delete(key)

    def before(self, command: str) -> None:
        """A command is about to be sent."""
        if (
            self.trouble == "slow"
            and command == "EVALSHA"
            and threading.current_thread() is not threading.main_thread()
        ):
            self._clock.sleep(_SLOW_S)
        if self.trouble == "away" or (self.trouble == "flaky" and self._rng.random() < 0.3):
            self._fail("refused")

    def after(self) -> None:
        """A command was carried out."""
        if self.trouble == "reply_lost" or (self.trouble == "flaky" and self._rng.random() < 0.3):
            self._fail("cut before the reply")

    def _fail(self, how: str) -> None:
        self.failed += 1
        raise redis.exceptions.ConnectionError(how)


class _Client(redis.Redis):
    line: Line

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self.line.before(str(args[0]))
        reply = super().execute_command(*args, **options)
        self.line.after()
        return reply
