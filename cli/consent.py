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
    given: bool = False

    def __call__(self, found: Estimate) -> None:
        """Show an estimate and have it agreed to; raises Failure where it is not."""
        if self.given:
            return
        if not self.yes and not sys.stdin.isatty():
            whole = _usd(found.expected_usd_e12, self.parts)
            raise console.Failure(
                f"asking a model costs money ({whole}) and nobody is here to agree; repeat with --yes"
            )
        for line in estimate_lines(found, self.parts):
            typer.echo(line, err=True)
        if not self.yes and not typer.confirm("ask now?", err=True):
            raise console.Failure("nothing was asked; choose a shorter stretch, or fewer repeats")
        self.given = True


def estimate_lines(found: Estimate, parts: int) -> Iterator[str]:
    """An estimate for people."""
    each = f" for the first of {parts} parts" if parts > 1 else ""
    yield f"{found.conversations:,} conversations are missing{each}; expected from {found.basis}:"
    for name, tokens, usd in (
        ("expected", found.expected_tokens, found.expected_usd_e12),
        ("at worst", found.worst_tokens, found.worst_usd_e12),
    ):
        whole = f", all parts {_usd(usd, parts)}" if parts > 1 else ""
        yield f"  {name}: {tokens:,} tokens, {_usd(usd, 1)}{whole}"


def _usd(usd_e12: int | None, parts: int) -> str:
    return "no price is set for this model" if usd_e12 is None else f"about {parts * usd_e12 / 1e12:.4f} USD"


def patience(yes: bool, concurrency: int, parts: int = 1) -> SpendPolicy:
    """How a command lets a model be asked."""
    return SpendPolicy(concurrency, Consent(yes, parts), bar("asking"))


def bar(what: str) -> Callable[[int], AbstractContextManager[Callable[[int], None]]]:
    """Opens a progress bar over so many."""

    @contextmanager
    def opened(total: int) -> Iterator[Callable[[int], None]]:
        with console.progress(what, total) as advance:
            yield advance

    return opened
