"""
How long a stream may be silent before somebody looks: from how often it spoke in the last minutes; pure.
"""

from collections import deque
from dataclasses import dataclass

_WINDOW_S = 300.0
_MEAN_GAPS = 20.0  # a steady stream is silent for so long once in e^20 messages
_LONGEST_GAPS = 3.0  # trades come in bursts
_LONGEST_S = 900.0


@dataclass(frozen=True, slots=True)
class SilenceRules:
    """Bounds of what is expected of a stream, in seconds: even a fast one may pause, even a slow one is looked at."""

    least_s: float
    most_s: float


class StallDetector:
    """
    One stream's budget; times are seconds of a clock that never goes back.

    Args:
        now_s: when the stream began.
    """

    def __init__(self, rules: SilenceRules, now_s: float) -> None:
        self._rules = rules
        self._samples: deque[tuple[float, int, float]] = deque()  # when, how many came, the gap before them
        self._last_s = now_s
        self._from_s = now_s
        self._patience = 1
        self._broken = False
        self._spoke = False  # on this connection

    def heard(self, count: int, last_s: float, now_s: float) -> None:
        """So many messages came since the last call, the newest at `last_s`."""
        self._forget(now_s)
        if count:
            # A gap that a broken connection made says nothing about the market.
            gap = 0.0 if self._broken else max(0.0, last_s - self._last_s)
            self._samples.append((now_s, count, gap))
            self._last_s = self._from_s = max(self._last_s, last_s)
            self._patience, self._broken, self._spoke = 1, False, True

    def connected(self, now_s: float) -> None:
        """The stream begins again: silence counts from here, and the gap before says nothing."""
        self._from_s = max(self._from_s, now_s)
        self._broken, self._spoke = True, False

    def looked(self, now_s: float, broken: bool) -> None:
        """Somebody looked whether the market was silent or the stream: next time they wait twice as long."""
        self._from_s = now_s
        self._patience = min(2 * self._patience, 64)
        self._broken |= broken

    def silent_s(self, now_s: float) -> float:
        """How long nothing has come."""
        return now_s - self._last_s

    def allowed_s(self) -> float:
        """How long nothing may come before somebody looks."""
        rules, count = self._rules, sum(sample[1] for sample in self._samples)
        usual = rules.most_s if self._spoke else rules.least_s  # nothing says yet that it speaks at all
        if count:
            span = max(1.0, self._last_s - self._samples[0][0])
            usual = max(_MEAN_GAPS * span / count, _LONGEST_GAPS * max(sample[2] for sample in self._samples))
        bounded = min(max(usual, rules.least_s), rules.most_s)
        return min(bounded * self._patience, max(_LONGEST_S, bounded))

    def spent(self, now_s: float) -> bool:
        """Whether it is time to look."""
        return now_s - self._from_s > self.allowed_s()

    def _forget(self, now_s: float) -> None:
        while self._samples and self._samples[0][0] < now_s - _WINDOW_S:
            self._samples.popleft()
