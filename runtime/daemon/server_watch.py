"""
Looks at the log's server every few seconds: what it is like may be changed while it runs.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from eventlog.errors import EventLogError, StoreUnavailable
from eventlog.store.server_facts import ServerFacts, read_facts

EVERY_S = 5.0

_log = structlog.get_logger()


class ServerWatch:
    """
    Keeps what is known of a server.

    Args:
        connect: a new connection.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._client = connect()
        self._facts: ServerFacts | None = None
        self._answers = False
        self._logged_kinds: set[str] = set()

    async def run(self, every_s: float = EVERY_S) -> None:
        """Look, for ever."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(every_s)

    def look(self) -> None:
        """Ask once; what is new and wrong is logged."""
        try:
            facts = read_facts(self._client)
        except StoreUnavailable as error:
            if self._answers:  # at the start who wants to write to it says so
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
        """What `--status` shows; None before the first answer."""
        if self._facts is None:
            return None
        problem = self._facts.refusal or "; ".join(self._facts.warnings)
        return {"answers": self._answers, **msgspec.structs.asdict(self._facts), "problem": problem}

    def _warn_once(self, warning: str) -> None:
        """Say what a person may want to change, once."""
        kind = "".join(letter for letter in warning if not letter.isdigit())
        if kind not in self._logged_kinds:
            self._logged_kinds.add(kind)
            _log.warning(warning)
