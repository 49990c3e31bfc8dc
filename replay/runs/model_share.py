"""
A model's share of a run: at how many ticks it decided, and why it did not at the others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from market.printable import printable
from replay.errors import NothingDecided

_MAX_REASONS = 8  # listed by name; the rest is one row
_MAX_REASON = 60  # characters
_OTHERS = "other reasons"


@dataclass(frozen=True, slots=True)
class ModelShare:
    """
    A model's share of some ticks.

    Attributes:
        asked: the number of ticks at which it was to decide. decided: at which its own decision stands.
        fallback: at which the rules stood in, by the kind of reason, the most frequent first.
    """

    asked: int
    decided: int
    fallback: Mapping[str, int]

    @classmethod
    def from_fallbacks(cls, fallbacks: Iterable[str | None]) -> "ModelShare":
        """
        The share at some ticks.

        Args:
            fallbacks: for each tick why the rules' advice stands in for the model's, None where it does not.
        """
        all_ticks = list(fallbacks)
        reasons = Counter(_kind(reason) for reason in all_ticks if reason is not None)
        by_frequency = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        reason_counts = dict(by_frequency[:_MAX_REASONS])
        rest = sum(n for _, n in by_frequency[_MAX_REASONS:])
        if rest:
            reason_counts[_OTHERS] = reason_counts.get(_OTHERS, 0) + rest
        return cls(len(all_ticks), len(all_ticks) - sum(reasons.values()), reason_counts)

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"asked": self.asked, "decided": self.decided, "fallback": dict(self.fallback)}

    @property
    def sentence(self) -> str:
        """The share in a line for people."""
        line = f"model decided {self.decided:,} of {self.asked:,}"
        if not self.fallback:
            return line
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in self.fallback.items())
        return f"{line}; at the others the rules stood in: {reasons}"

    def expect_any(self, server_error: str, consequence: str) -> None:
        """
        Raise an error where the model decided at no tick.

        Args:
            server_error: what its server said, blank where that is unknown.
            consequence: what is missing for that reason, a sentence.

        Raises:
            NothingDecided: it decided nothing.
        """
        if self.decided:
            return
        server_text = f"; its server said: {printable(server_error)}" if server_error else ""
        raise NothingDecided(f"{self.sentence}{server_text}. {consequence}")


def _kind(reason: str) -> str:
    """The part of a reason before its first colon, which reasons that differ only in figures share."""
    return printable(reason.partition(": ")[0], _MAX_REASON)
