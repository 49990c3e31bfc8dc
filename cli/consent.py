"""
Nothing is spent on a model before a person has seen what it will cost, and agreed.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import typer

from cli import console
from replay.trials.asking import SpendPolicy
from replay.trials.estimate import Estimate


@dataclass
class Consent:
    """
    Asks before money is spent, once a command.

    Args:
        parts: how many estimates like the first there will be.
    """

    yes: bool
    parts: int = 1
    is_given: bool = False

    def __call__(self, estimate: Estimate) -> None:
        """Show an estimate and have it agreed to; raises Failure where it is not."""
        if self.is_given:
            return
        if not self.yes and not sys.stdin.isatty():
            cost = _usd(estimate.expected_usd_e12, self.parts)
            raise console.Failure(f"asking a model costs money ({cost}) and nobody is here to agree; repeat with --yes")
        for line in estimate_lines(estimate, self.parts):
            typer.echo(line, err=True)
        if not self.yes and not typer.confirm("ask now?", err=True):
            raise console.Failure("nothing was asked; choose a shorter stretch, or fewer repeats")
        self.is_given = True


def estimate_lines(estimate: Estimate, parts: int) -> Iterator[str]:
    """An estimate for people."""
    suffix = f" for the first of {parts} parts" if parts > 1 else ""
    yield f"{estimate.conversations:,} conversations are missing{suffix}; expected from {estimate.basis}:"
    for name, tokens, usd in (
        ("expected", estimate.expected_tokens, estimate.expected_usd_e12),
        ("at worst", estimate.worst_tokens, estimate.worst_usd_e12),
    ):
        total = f", all parts {_usd(usd, parts)}" if parts > 1 else ""
        yield f"  {name}: {tokens:,} tokens, {_usd(usd, 1)}{total}"


def _usd(usd_e12: int | None, parts: int) -> str:
    return "no price is set for this model" if usd_e12 is None else f"about {parts * usd_e12 / 1e12:.4f} USD"


def spend_policy(yes: bool, concurrency: int, parts: int = 1) -> SpendPolicy:
    """How a command lets a model be asked."""
    return SpendPolicy(concurrency, Consent(yes, parts), progress_bar("asking"))


def progress_bar(label: str) -> Callable[[int], AbstractContextManager[Callable[[int], None]]]:
    """Opens a progress bar over so many."""

    @contextmanager
    def open_bar(total: int) -> Iterator[Callable[[int], None]]:
        with console.progress(label, total) as advance:
            yield advance

    return open_bar
