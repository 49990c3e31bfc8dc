"""
How long a stream may be silent before it is probed, from how often it brought messages in the last minutes; pure.
"""

from collections import deque
from dataclasses import dataclass

_WINDOW_S = 300.0  # how far back messages count
_MEAN_GAPS = 20.0  # of a Poisson stream one gap in e^20 is as long as 20 mean gaps
_LONGEST_GAPS = 3.0  # times the longest gap of the window: trades come in bursts
_LONGEST_S = 900.0  # to which probes of a market that stays quiet back off


@dataclass(frozen=True, slots=True)
class SilenceRules:
    """
    Bounds of the silence that is allowed, in seconds.

    Attributes:
        min_s: even a fast stream may pause for so long.
        max_s: even a slow stream is probed after this.
    """

    min_s: float
    max_s: float


class StallDetector:
    """
    Tells when one stream has been silent for too long; times are seconds of a clock that never goes back.

    Args:
        rules: bounds of the allowed silence.
        now_s: when the stream began.
    """

    def __init__(self, rules: SilenceRules, now_s: float) -> None:
        self._rules = rules
        self._samples: deque[tuple[float, int, float]] = deque()  # when, how many came, the gap before them
        self._last_s = now_s
        self._since_s = now_s
        self._backoff = 1
        self._is_broken = False
        self._has_messages = False  # on this connection

    def record(self, count: int, last_s: float, now_s: float) -> None:
        """
        Count messages that came since the last call.

        Args:
            count: number of messages, 0 for none.
            last_s: when the newest of them came; ignored if there is none.
            now_s: the time of this call.
        """
        self._drop_old_samples(now_s)
        if count:
            # A gap due to a broken connection says nothing about the market.
            gap = 0.0 if self._is_broken else max(0.0, last_s - self._last_s)
            self._samples.append((now_s, count, gap))
            self._last_s = self._since_s = max(self._last_s, last_s)
            self._backoff, self._is_broken, self._has_messages = 1, False, True

    def restart(self, now_s: float) -> None:
        """A connection was opened: silence counts from now on, and the gap before it is ignored."""
        self._since_s = max(self._since_s, now_s)
        self._is_broken, self._has_messages = True, False

    def note_probe(self, now_s: float, broken: bool) -> None:
        """
        The stream was probed: allow twice as long a silence until the next message.

        Args:
            now_s: when it was probed.
            broken: whether the stream was silent though the market was not.
        """
        self._since_s = now_s
        self._backoff = min(2 * self._backoff, 64)
        self._is_broken |= broken

    def silence_s(self, now_s: float) -> float:
        """Seconds since the last message."""
        return now_s - self._last_s

    def limit_s(self) -> float:
        """Seconds of silence that are allowed now."""
        rules, count = self._rules, sum(sample[1] for sample in self._samples)
        expected_s = rules.max_s if self._has_messages else rules.min_s  # it may never bring anything
        if count:
            span = max(1.0, self._last_s - self._samples[0][0])
            expected_s = max(_MEAN_GAPS * span / count, _LONGEST_GAPS * max(sample[2] for sample in self._samples))
        base_s = min(max(expected_s, rules.min_s), rules.max_s)
        return min(base_s * self._backoff, max(_LONGEST_S, base_s))

    def is_expired(self, now_s: float) -> bool:
        """Whether it is time to probe the stream."""
        return now_s - self._since_s > self.limit_s()

    def _drop_old_samples(self, now_s: float) -> None:
        while self._samples and self._samples[0][0] < now_s - _WINDOW_S:
            self._samples.popleft()
