"""
Checks the configuration of the log's server every few seconds: it may be changed while the server runs.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from eventlog.errors import EventLogError, StoreUnavailable
from eventlog.store.server_facts import ServerFacts, read_facts

EVERY_S = 5.0  # how often the server is looked at: bounds how long a loss goes unsaid

_log = structlog.get_logger()


class ServerWatch:
    """
    Keeps the last known configuration of a server.

    Args:
        connect: makes a new connection.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._client = connect()
        self._facts: ServerFacts | None = None
        self._answers = False
        self._logged_kinds: set[str] = set()

    async def run(self, every_s: float = EVERY_S) -> None:
        """Check the server every few seconds until cancelled."""
        while True:
            await asyncio.to_thread(self.poll)
            await asyncio.sleep(every_s)

    def poll(self) -> None:
        """Check the server once; new warnings are logged."""
        try:
            facts = read_facts(self._client)
        except StoreUnavailable as error:
            if self._answers:  # at the start the writer reports it
                _log.warning("log server does not answer", reason=str(error))
            self._answers = False
            return
        except EventLogError as error:
            self._answers = True
            self._warn_once(f"the Redis server does not say what it is like: {error}")
            return
        if self._facts is None:
            _log.info("log server", **msgspec.structs.asdict(facts))
        elif not self._answers:
            _log.info("log server answers again")
        self._facts, self._answers = facts, True
        for warning in (facts.refusal, *facts.warnings):
            if warning is not None:
                self._warn_once(warning)

    def status(self) -> dict[str, Any] | None:
        """The server's fields for `--status`; None before the first answer."""
        if self._facts is None:
            return None
        problem = self._facts.refusal or "; ".join(self._facts.warnings)
        return {"answers": self._answers, **msgspec.structs.asdict(self._facts), "problem": problem}

    def _warn_once(self, warning: str) -> None:
        """Log a warning, once for each text without its digits."""
        kind = "".join(letter for letter in warning if not letter.isdigit())
        if kind not in self._logged_kinds:
            self._logged_kinds.add(kind)
            _log.warning(warning)
