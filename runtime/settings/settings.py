"""
The only reader of YAML and environment: one frozen model, no unknown keys, faults named by their key's path.

`${VAR}` and `${VAR:-default}` inside a value are replaced from the environment and from `.env` beside the settings.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from runtime.settings.addresses import check_proxy_address, check_redis_address
from runtime.settings.binance import Binance
from runtime.settings.collector import Archive, Backpressure, DataCollector, DepthSnapshot, Metrics, OrderFlow
from runtime.settings.deepseek import DeepSeek, ModelPrice
from runtime.settings.proxies import Proxies
from runtime.settings.reference import entries, reason_of
from runtime.settings.types import Day, Exact, Folder, Host, Line, Section
from runtime.settings.yaml_file import SettingsError, printable_path, read, read_dotenv, substitute

__all__ = [
    "AnalysisSettings", "Analyzer", "App", "Archive", "Backpressure", "Binance", "DataCollector", "DeepSeek",
    "DepthSnapshot", "Metrics", "ModelPrice", "Network", "OrderFlow", "Redis", "Scoring", "Settings", "SettingsError",
    "load", "parse",
]  # fmt: skip

_NO_PROXY = "none"

_Null = BeforeValidator(lambda value: () if value is None else value)


class App(Section):
    """The installation's name, folders and logging."""

    name: Line = Field(default="liquidity-agent", description="Name of this installation in its logs.")
    environment: Line = Field(default="development", description="Purpose of this installation in its logs, any text.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Lowest severity that is logged; small letters are accepted."
    )
    logs_dir: Folder = Field(default=Path("logs"), description="Folder of the daemons' log files.")
    runs_dir: Folder = Field(
        default=Path("runs"), description="Folder of replay runs, where a command's `--out` names no other."
    )
    logs_keep_days: int = Field(default=14, ge=7, le=3650, description="How many days log files are kept.")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class Network(Section):
    """How requests leave this machine."""

    proxy: SecretStr | None = Field(
        default=None,
        description="HTTP proxy for all hosts except this machine, http://[user:password@]host:port; `none`: no proxy; "
        "null: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY apply.",
    )

    @field_validator("proxy")
    @classmethod
    def _address_or_none(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value().strip()
        return SecretStr(_NO_PROXY if text.lower() in ("", _NO_PROXY) else check_proxy_address(text))


class Redis(Section):
    """
    Where the hot log lives. A url, or host and port, names a server that must answer; `embedded` runs one beside the
    storage instead.
    """

    url: SecretStr | None = Field(
        default=None,
        description="The server's address: redis://, rediss:// (encrypted) or unix://, with user and password if "
        "required; it takes precedence over host, port and db.",
    )
    host: Host | None = Field(default=None, description="The server's host name or IP address; an alternative to url.")
    port: int = Field(default=6379, ge=1, le=65_535, description="The server's port, if host is set.")
    db: int = Field(default=0, ge=0, le=65_535, description="Number of the server's database, if host is set.")
    embedded: bool = Field(
        default=False,
        description="Whether to run an embedded server in the storage; true if the file has no redis section.",
    )
    storage_dir: Folder = Field(default=Path("storage"), description="Folder of all logs.")
    trade_files: bool = Field(
        default=False,
        description="Whether minutes that leave the window of views are written to trades_YYYYMMDD_HHMM.json.",
    )

    @property
    def server_url(self) -> str | None:
        """The server to connect to, None for the embedded one."""
        if self.url is not None:
            return self.url.get_secret_value()
        if self.host is None:
            return None
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis://{host}:{self.port}/{self.db}"

    @field_validator("url")
    @classmethod
    def _address(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value().strip() if value is not None else ""
        return SecretStr(check_redis_address(text)) if text else None

    @field_validator("host", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    @model_validator(mode="after")
    def _one_server(self) -> "Redis":
        if self.embedded and (self.url or self.host):
            raise ValueError("embedded: true and a url or host exclude each other; remove one")
        if not self.embedded and not (self.url or self.host):
            raise ValueError("no server named; set url, or host and port, or embedded: true")
        return self


class AnalysisSettings(Section):
    """The interval and thresholds of the analysis."""

    interval_seconds: int = Field(
        default=60, ge=1, le=3600, description="Seconds between analyses; must divide an hour."
    )
    min_order_volume_threshold: Exact = Field(
        default=0.01, ge=0, le=10**10, description="Minimum quantity of a wall, in base coins, at most 8 decimals."
    )
    ladder_policy: Literal["front", "behind"] = Field(
        default="front", description="Whether a zone's orders rest in front of its heaviest price or behind it."
    )
    ladder_rungs: int = Field(default=3, ge=1, le=20, description="Maximum number of prices in a zone's ladder.")
    ladder_spread_percent: float = Field(
        default=0.05, ge=0.001, le=5,
        description="How far a zone and its ladder extend to each side of the heaviest price, in percent of it.",
    )  # fmt: skip
    fitted_file: Folder | None = Field(
        default=None, description="File of fitted probabilities (`liquidity fit`); null for the shipped ones."
    )

    thresholds_chosen_on: Annotated[tuple[Day, ...], _Null] = Field(
        default=(), max_length=1000,
        description="UTC days, YYYY-MM-DD, on which the thresholds of this file were chosen; their scores are called "
        "in sample.",
    )  # fmt: skip

    @field_validator("interval_seconds")
    @classmethod
    def _divides(cls, value: int) -> int:
        if 3600 % value:
            raise ValueError("must divide an hour, e.g. 10, 30 or 60")
        return value


class Analyzer(Section):
    """The model and the analysis."""

    deepseek: DeepSeek = Field(default=DeepSeek(), description="The model that decides, and what it may cost.")
    analysis: AnalysisSettings = Field(
        default=AnalysisSettings(), description="The interval and thresholds of the analysis."
    )


class Scoring(Section):
    """How advice is scored: latency, fees and the number of placebos."""

    publish_delay_ms: int = Field(
        default=2000, ge=0, le=3_600_000,
        description="Assumed milliseconds from tick to publication, for runs that were not live.",
    )  # fmt: skip
    latency_ms: int = Field(
        default=250, ge=0, le=3_600_000, description="Milliseconds from publication until an order can be filled."
    )
    order_value: float = Field(
        default=10_000.0, ge=0.01, le=1_000_000_000,
        description="Value of all orders of one recommendation, in quote currency, split over its rungs by weight.",
    )  # fmt: skip
    maker_fee_bps: float = Field(
        default=0.0, ge=-1000, le=1000, description="Fee of a fill, in basis points; a negative fee is a rebate."
    )
    placebo_draws: int = Field(
        default=20, ge=1, le=1000, description="Number of random control zones (placebos) per recommended zone."
    )
    seed: int = Field(default=1, ge=0, le=2**63 - 1, description="Seed of the random numbers.")


class Settings(Section):
    """All settings."""

    app: App = Field(default=App(), description="The installation's name, folders and logging.")
    network: Network = Field(default=Network(), description="How requests leave this machine.")
    redis: Redis = Field(
        default=Redis(embedded=True),
        description="The server of the newest log entries: given by url, or by host and port, or `embedded`.",
    )
    binance: Binance = Field(default=Binance(), description="The venue and its markets.")
    data_collector: DataCollector = Field(default=DataCollector(), description="What is recorded for every market.")
    analyzer: Analyzer = Field(default=Analyzer(), description="The model and the analysis.")
    scoring: Scoring = Field(default=Scoring(), description="How advice is scored.")
    metrics: Metrics = Field(default=Metrics(), description="The Prometheus endpoint; none without a port.")

    _environment: Proxies = PrivateAttr(default=Proxies())

    @property
    def market(self) -> str:
        """The market's name in the log."""
        return f"binance:{self.binance.symbol}"

    def proxy_for(self, url: str) -> str | None:
        """
        The proxy for a request, its user and password included; None for a direct connection.

        Args:
            url: an http, https, ws or wss address; this machine is never asked through a proxy.
        """
        if self.network.proxy is None:
            return self._environment.proxy_for(url)
        address = self.network.proxy.get_secret_value()
        return Proxies.of_setting(None if address == _NO_PROXY else address).proxy_for(url)

    def without_secrets(self) -> str:
        """The effective settings as JSON; keys, passwords and the addresses that may hold them are not in it."""
        return self.model_dump_json(exclude=_SECRETS)


def _secret_keys() -> dict[str, Any]:
    """All secret keys, in pydantic's form for `exclude`."""
    keys: dict[str, Any] = {}
    for entry in entries(Settings):
        if entry.is_secret:
            section = keys
            for key in entry.path[:-1]:
                section = section.setdefault(key, {})
            section[entry.path[-1]] = True
    return keys


_SECRETS = _secret_keys()


def load(path: Path) -> Settings:
    """
    Read a settings file, and the proxies of the environment.

    Raises:
        SettingsError: it cannot be read, a key is unknown, given twice or out of range, a variable is missing, or the
            environment names a proxy that cannot be used.
    """
    values = read(path)
    variables = {**read_dotenv((path.parent, Path()), os.environ), **os.environ}
    settings = parse(substitute(values, variables, printable_path(path)), printable_path(path))
    if settings.network.proxy is None:
        try:
            settings._environment = Proxies.of_environment(variables)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    return settings


def parse(values: Mapping[str, Any], source: str) -> Settings:
    """
    Make settings from plain values, of a file or of a log.

    Args:
        values: by section. source: their name in an error, e.g. the file's.

    Raises:
        SettingsError: a key is unknown, missing or out of range.
    """
    try:
        with warnings.catch_warnings(record=True) as records:
            warnings.simplefilter("always")
            settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{source}: {reason_of(error, Settings)}") from None
    for warning in records:
        warnings.warn(str(warning.message), warning.category, stacklevel=3)
    return settings
