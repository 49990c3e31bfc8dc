"""
A condition that may last for days, in the log a few times instead of a thousand.
"""

import time
from typing import Any

import structlog

AGAIN_S = 600.0
_MAX_REASONS = 16

_log = structlog.get_logger()


class RecurringWarning:
    """
    Warns when a condition begins or has another reason, and again every ten minutes while it lasts.

    Args:
        event: the log line. over: the line when the condition ends.
    """

    def __init__(self, event: str, over: str) -> None:
        self._event = event
        self._over = over
        self._logged_s: dict[str, float] = {}  # by reason
        self._is_open = False
        self._unlogged = 0

    def occurs(self, reason: str, **fields: Any) -> None:
        """The condition is there: now, or still."""
        now = time.monotonic()
        last = self._logged_s.get(reason)
        if last is not None and now - last < AGAIN_S:
            self._unlogged += 1
            return
        if len(self._logged_s) >= _MAX_REASONS:
            self._logged_s.clear()
        self._logged_s[reason] = now
        repeated = {"repeated": self._unlogged} if self._unlogged else {}
        _log.warning(self._event, reason=reason, **fields, **repeated)
        self._is_open, self._unlogged = True, 0

    def ends(self, **fields: Any) -> None:
        """The condition is not there: said once, after a warning."""
        if self._is_open:
            self._is_open = False
            _log.info(self._over, **fields)
