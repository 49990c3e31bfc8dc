"""
The options of commands on a market, and the logs and settings that they name.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import Failure
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from market.errors import BadTime
from market.instrument import Market
from market.timestamps import DAY_NS, parse_iso
from runtime.open_log import OpenLog, open_log

if TYPE_CHECKING:
    from runtime.settings.settings import Settings

DEFAULT_CONFIG = Path("config/development.yaml")
"""The daemons' default."""

MarketOption = Annotated[
    str | None, typer.Option("--market", help="venue:SYMBOL, e.g. binance:BTCFDUSD; default: from the settings file")
]
StorageOption = Annotated[
    Path | None, typer.Option("--storage", help="the folder of all logs; default: from the settings file")
]
RedisOption = Annotated[
    str | None,
    typer.Option(
        "--redis", help="redis://host:port/db; default: from the settings file, else the server embedded in --storage"
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help=f"settings file; default {DEFAULT_CONFIG}, if --market or --storage is not given"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
FromOption = Annotated[str | None, typer.Option("--from", help="start of the time range, e.g. 2024-01-01 (UTC)")]
ToOption = Annotated[str | None, typer.Option("--to", help="end of the time range; a date means the end of that day")]

ALL_NS = (0, 2**62)
"""A range from before the first tick of any log to after the last, UTC ns."""


@dataclass(frozen=True)
class LogSource:
    """
    A market's logs.

    Attributes:
        market, storage: whose logs, and the folder that holds them.
        redis: the server that holds their newest entries; None for the one embedded in the storage, if any.
        settings: of the settings file; None where none was needed.
    """

    market: Market
    storage: Path
    redis: str | None
    settings: "Settings | None"

    @property
    def events(self) -> OpenLog:
        """A function that opens the market's log."""
        return partial(open_log, self.storage, self.market, "events", self.redis)

    @property
    def has_decisions(self) -> bool:
        """Whether the market has a decision log."""
        return ColdLog(self.storage, LogName("decisions", self.market)).exists()

    @property
    def decisions(self) -> OpenLog:
        """A function that opens the decision log."""
        return partial(open_log, self.storage, self.market, "decisions", self.redis)

    def runs_dir(self, out: Path | None) -> Path:
        """The folder of all runs: what `--out` names, else that of the settings file, else `runs`."""
        if out is not None:
            return out
        return self.settings.app.runs_dir if self.settings is not None else Path("runs")


def log_source(
    market: str | None, storage: Path | None, redis: str | None = None, config: Path | None = None
) -> LogSource:
    """
    The logs that a command's options name; what an option leaves out is taken from the settings file.

    Args:
        market: venue:SYMBOL, or None.
        storage: the folder of all logs, or None.
        redis: the server's address; None for that of the settings, else the one embedded in the storage.
        config: the settings file; None for the default one, read only where market or storage is None.

    Raises:
        Failure: no market or no storage is named, and there is no settings file. SettingsError: it cannot be read.
        BadMarket: the market's name is invalid.
    """
    if config is None and (market is None or storage is None):
        if not DEFAULT_CONFIG.exists():
            raise Failure(f"no log named; give --market and --storage, or --config; there is no {DEFAULT_CONFIG} here")
        config = DEFAULT_CONFIG
    if config is None:
        return LogSource(Market.parse(market or ""), storage or Path(), redis, None)
    from runtime.settings.settings import load  # late: not loaded where no settings are needed

    settings = load(config)
    if redis is None and storage in (None, settings.redis.storage_dir):
        redis = settings.redis.server_url
    return LogSource(Market.parse(market or settings.market), storage or settings.redis.storage_dir, redis, settings)


def time_of(text: str | None, default_ns: int) -> int:
    """Parse the time of an option to UTC ns; `default_ns` where it is None."""
    try:
        return default_ns if text is None else parse_iso(text)
    except BadTime as error:
        raise Failure(str(error)) from error


def end_of(to: str | None) -> int:
    """Parse --to to UTC ns: the end of the day where it is a date alone, the far future where it is None."""
    is_date = to is not None and not set(to.strip()) & set("Tt :")
    return min(time_of(to, ALL_NS[1]) + (DAY_NS if is_date else 0), ALL_NS[1])
