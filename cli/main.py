"""
`liquidity`: all commands under one name. A command's libraries are loaded only when it runs.
"""

from cli import interrupts

interrupts.leave_quietly()

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A command that is not loaded yet.

    Attributes:
        target: `module:name` of a function, or of a group of commands. summary: its line in the list of commands.
        context: typer's context settings, where not the usual ones.
    """

    target: str
    summary: str
    context: dict[str, Any] = field(default_factory=dict)


ENTRIES = {
    "log": Entry("cli.log.app:app", "Verify a log, import and export data, show new entries."),
    "replay": Entry("cli.replay.run:app", "Replay recorded days, score the advice, compare runs."),
    "verify": Entry("cli.replay.verify:verify", "Verify that live decisions replay byte for byte."),
    "transcript": Entry("cli.replay.verify:transcript", "Print the conversation with a model about one tick."),
    "picture": Entry("cli.replay.picture:picture", "Draw the analysis of one tick."),
    "signals": Entry("cli.replay.signals:signals", "Score every signal and its control, with confidence intervals."),
    "fit": Entry("cli.replay.signals:fit", "Fit probabilities on whole logs, offline."),
    "trials": Entry("cli.trials:app", "Ask models about recorded days: compare prompts, test robustness."),
    "sql": Entry(
        "cli.sql:sql",
        "Query a market's archive, its decisions and finished runs.",
        {"ignore_unknown_options": True},  # a query may begin with a comment
    ),
    "simulate": Entry("cli.simulate:app", "Run a simulated exchange or a simulated model on this machine."),
    "demo": Entry("cli.demo:main", "Demonstrate all steps in a few minutes on this machine."),
}
"""The commands in the order in which they are listed."""


class LazyGroup(TyperGroup):
    """The commands of ENTRIES; listing them loads none."""

    _is_listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return list(ENTRIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name, None for an unknown one; while commands are listed, only its name and summary."""
        if cmd_name not in ENTRIES:
            return None
        if self._is_listing:
            return TyperCommand(cmd_name, help=ENTRIES[cmd_name].summary)
        return load_command(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without loading them."""
        self._is_listing = True
        super().format_help(ctx, formatter)


def load_command(name: str) -> Any:
    """Load a command of ENTRIES with its libraries."""
    module, _, attribute = ENTRIES[name].target.partition(":")
    target = getattr(import_module(module), attribute)
    if not isinstance(target, typer.Typer):
        one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        one.command(name, context_settings=ENTRIES[name].context)(target)
        target = one
    command = typer.main.get_command(target)
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup,
    help="Records markets, finds price levels where liquidity matters, recommends zones for orders, and scores them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.callback()(lambda: None)


def main() -> None:
    """Run the console script."""
    from cli import console  # late: the list of commands does not need it

    console.run(app)
