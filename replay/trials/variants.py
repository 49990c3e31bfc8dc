"""
The ledger of all comparisons ever made: among many variants one looks good by chance, so each comparison counts.

One line for each comparison, see `ledger_file`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from replay.inference.blocks import holm
from replay.ledger_file import LedgerFile, Versioned

_VERSION = 1  # raised when a line's fields change; others are not read


@dataclass(frozen=True, slots=True)
class Variant:
    """
    The analyst of one side.

    Attributes:
        prompt: digest of its prompts, empty for rules. model: by name. mode: staged or compact, with thinking or
            without. settings: digest of whatever else changes its answers.
    """

    prompt: str
    model: str
    mode: str
    settings: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two variants, scored once by one metric.

    Attributes:
        from_ns, to_ns: the recorded range. repeats: answers for each minute and side. at_ns: when it was made.
        p: uncorrected; None where there were too few minutes. cost_usd_e12: of both sides, 1e-12 USD.
    """

    a: Variant
    b: Variant
    metric: str
    market: str
    from_ns: int
    to_ns: int
    repeats: int
    at_ns: int
    p: float | None
    cost_usd_e12: int

    @property
    def key(self) -> str:
        """A digest that is the same for a comparison run again, or with its sides swapped."""
        sides = sorted(msgspec.json.encode(side).decode() for side in (self.a, self.b))
        look = [*sides, self.metric, self.market, self.from_ns, self.to_ns, self.repeats]
        return blake2b(msgspec.json.encode(look), digest_size=16).hexdigest()


class _Line(Versioned):
    comparison: Comparison


class Ledger:
    """
    A file of comparisons; one process at a time writes it.

    Args:
        path: of the file, there or not.
        wait_s: how long to wait for another process, seconds.
    """

    def __init__(self, path: Path, wait_s: float = 10.0) -> None:
        self._file = LedgerFile(path, _Line, _VERSION, "comparison", wait_s)

    def record(self, comparison: Comparison) -> None:
        """
        Append a comparison; one that was recorded before stays as well, and both count as one.

        Raises:
            BadLedger: it cannot be read, or another process has locked it.
        """
        self._file.append(_Line(_VERSION, comparison))

    def comparisons(self) -> list[Comparison]:
        """
        All comparisons, oldest first; one that was run again is there again.

        An incomplete last line, as a crash may leave it, is ignored with a warning.

        Raises:
            BadLedger: a line is no comparison, or one of a later version; or another process has locked the file.
        """
        return [line.comparison for line in self._file.lines()]

    def count_comparisons(self, metric: str) -> int:
        """The number of different comparisons of one metric."""
        return len({c.key for c in self.comparisons() if c.metric == metric})

    def cost_usd_e12(self) -> int:
        """The cost of all comparisons, 1e-12 USD, repeated ones included."""
        return sum(c.cost_usd_e12 for c in self.comparisons())


def correct_p_values(comparisons: Sequence[Comparison], ledger: Sequence[Comparison]) -> list[float | None]:
    """
    The p-values of comparisons, corrected for all that were ever made (Holm), of every metric and range.

    Args:
        comparisons: n comparisons.
        ledger: the entries of the ledger, with these or without; of one that was run again the latest p counts.

    Returns:
        n p-values, None where there were too few minutes.
    """
    latest = {c.key: c.p for c in (*ledger, *comparisons)}
    p_by_key = dict(zip(latest, holm(list(latest.values())), strict=True))
    return [p_by_key[c.key] for c in comparisons]
