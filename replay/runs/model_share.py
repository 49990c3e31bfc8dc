"""
How much of what is attributed to a model was its own: at how many ticks it decided, and why not at the others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from market.printable import printable
from replay.errors import NothingDecided

_MAX_REASONS = 8
_LONGEST_REASON = 60
_OTHERS = "other reasons"


@dataclass(frozen=True, slots=True)
class ModelShare:
    """
    A model's part of some ticks.

    Attributes:
        asked: at how many it was to decide. decided: at how many its own decision stands.
        fallback: at how many the rules stood in, by the kind of reason, the most frequent first.
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
        every = list(fallbacks)
        reasons = Counter(_kind(reason) for reason in every if reason is not None)
        ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        shown = dict(ordered[:_MAX_REASONS])
        rest = sum(n for _, n in ordered[_MAX_REASONS:])
        if rest:
            shown[_OTHERS] = shown.get(_OTHERS, 0) + rest
        return cls(len(every), len(every) - sum(reasons.values()), shown)

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

    def expect_any(self, why: str, what: str) -> None:
        """
        Refuse to call something a model's of which nothing is its own.

        Args:
            why: what its server said, blank where nobody knows. what: what cannot be had, a sentence.

        Raises:
            NothingDecided: it decided nothing.
        """
        if self.decided:
            return
        said = f"; its server said: {printable(why)}" if why else ""
        raise NothingDecided(f"{self.sentence}{said}. {what}")


def _kind(reason: str) -> str:
    """What is the same in reasons that differ in figures: what stands before the first colon."""
    return printable(reason.partition(": ")[0], _LONGEST_REASON)
