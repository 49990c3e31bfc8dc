"""
Asks for consent to the estimated cost before money is spent on a model.
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
    Asks before money is spent, once per command.

    Args:
        yes: whether consent is given beforehand. parts: the number of estimates like the first that will follow.
        is_given: set once consent was given.
    """

    yes: bool
    parts: int = 1
    is_given: bool = False

    def __call__(self, estimate: Estimate) -> None:
        """Show an estimate and ask for consent; raises Failure where it is refused or cannot be asked for."""
        if self.is_given:
            return
        if not self.yes and not sys.stdin.isatty():
            cost = _usd(estimate.expected_usd_e12, self.parts)
            raise console.Failure(f"asking a model costs money ({cost}) and needs consent; run it again with --yes")
        for line in estimate_lines(estimate, self.parts):
            typer.echo(line, err=True)
        if not self.yes and not typer.confirm("ask the model now?", err=True):
            raise console.Failure("nothing was sent to the model; choose a shorter time range, or fewer repeats")
        self.is_given = True


def estimate_lines(estimate: Estimate, parts: int) -> Iterator[str]:
    """Format an estimate for people, a line each."""
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
    """
    The spend policy of a command: consent first, with a progress bar.

    Args:
        yes: whether consent is given beforehand.
        concurrency: most conversations under way at once.
        parts: the number of estimates like the first.
    """
    return SpendPolicy(concurrency, Consent(yes, parts), progress_bar("asking"))


def progress_bar(label: str) -> Callable[[int], AbstractContextManager[Callable[[int], None]]]:
    """A function that opens a progress bar for a total."""

    @contextmanager
    def open_bar(total: int) -> Iterator[Callable[[int], None]]:
        with console.progress(label, total) as advance:
            yield advance

    return open_bar
