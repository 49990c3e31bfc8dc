"""
Logs a condition that may last for days only now and then.
"""

import time
from typing import Any

import structlog

REPEAT_S = 600.0  # a trouble that lasts is said again this often
_MAX_REASONS = 16  # remembered; beyond them all are logged anew

_log = structlog.get_logger()


class RecurringWarning:
    """
    Warns when a condition begins or has another reason, and again every ten minutes while it lasts.

    Args:
        event: the log line. end_event: the line when the condition ends.
    """

    def __init__(self, event: str, end_event: str) -> None:
        self._event = event
        self._end_event = end_event
        self._logged_s: dict[str, float] = {}  # by reason
        self._is_open = False
        self._unlogged_count = 0

    def occurs(self, reason: str, **fields: Any) -> None:
        """Report that the condition begins or lasts."""
        now = time.monotonic()
        last = self._logged_s.get(reason)
        if last is not None and now - last < REPEAT_S:
            self._unlogged_count += 1
            return
        if len(self._logged_s) >= _MAX_REASONS:
            self._logged_s.clear()
        self._logged_s[reason] = now
        extra = {"repeated": self._unlogged_count} if self._unlogged_count else {}
        _log.warning(self._event, reason=reason, **fields, **extra)
        self._is_open, self._unlogged_count = True, 0

    def ends(self, **fields: Any) -> None:
        """Report that the condition does not hold; logged once, after a warning."""
        if self._is_open:
            self._is_open = False
            _log.info(self._end_event, **fields)
