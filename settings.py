"""
The only reader of YAML and environment: one frozen model, every key known, every fault named by its path.

`${VAR}` and `${VAR:-default}` inside a value are replaced from the environment and from `.env` beside the settings.
"""

import os
import re
import warnings
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

_WINDOW = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")

_VISIBLE = re.compile(r"[!-~]*")
_PLACE = re.compile(r"([^@]*@)?(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(:\d*)?")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")

_CURRENT_MODELS = {"deepseek-chat": "deepseek-flash", "deepseek-reasoner": "deepseek-flash"}


_Usd = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
_Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,30}$")]
_UsdPerMillion = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class SettingsError(ValueError):
    """A settings file that cannot be used; the message is one line with the key's path and the mend."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class App(_Section):
    """What this installation is called and how much it says."""

    name: str = "liquidity-agent"
    environment: str = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    logs_dir: Path = Path("logs")
    runs_dir: Path = Path("runs")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class Redis(_Section):
    """
    Where the hot log lives. A url, or host and port, names a server that must answer; `embedded` runs one beside the
    storage instead.
    """

    url: SecretStr | None = None
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 6379
    db: Annotated[int, Field(ge=0)] = 0
    embedded: bool = False
    storage_dir: Path = Path("storage")

    @property
    def server_url(self) -> str | None:
        """The server to connect to, None for the embedded one."""
        if self.url is not None:
            return self.url.get_secret_value()
        return f"redis://{self.host}:{self.port}/{self.db}" if self.host else None

    @model_validator(mode="after")
    def _one_server(self) -> "Redis":
        if self.embedded and (self.url or self.host):
            raise ValueError("embedded: true and a url or host exclude each other; remove one")
        if not self.embedded and not (self.url or self.host):
            raise ValueError("no server named; set url, or host and port, or embedded: true")
        return self


class Binance(_Section):
    """The venue: `symbol` is what is looked at, `symbols` what is recorded; by default that one alone."""

    symbol: _Symbol = "BTCFDUSD"
    symbols: Annotated[tuple[_Symbol, ...], Field(max_length=500)] = ()
    timeout: Annotated[float, Field(gt=0, le=120)] = 10.0
    rest_url: str = "https://data-api.binance.vision"
    websocket_url: str = "wss://data-stream.binance.vision"
    weight_per_minute: Annotated[int, Field(ge=300, le=6000)] = 3000

    @field_validator("symbols", mode="before")
    @classmethod
    def _null_names_none(cls, value: Any) -> Any:
        return () if value is None else value

    @model_validator(mode="after")
    def _looks_at_what_it_records(self) -> "Binance":
        if len(set(self.symbols)) < len(self.symbols):
            raise ValueError("symbols names a market twice")
        if self.symbols and self.symbol not in self.symbols:
            raise ValueError(f"symbols does not hold symbol, {self.symbol}: only what is recorded can be looked at")
        return self

    @property
    def recorded(self) -> tuple[str, ...]:
        """The symbols that are recorded."""
        return self.symbols or (self.symbol,)


class DepthSnapshot(_Section):
    """REST snapshots of the book."""

    limit: Literal[5, 10, 20, 50, 100, 500, 1000, 5000] = 5000
    update_interval_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    window_size: Annotated[int, Field(ge=1, le=1440)] = 60


class OrderFlow(_Section):
    """Minute buckets of trades; `price_precision` is the width of a price level in quote units."""

    window_size_minutes: Annotated[int, Field(ge=1, le=10_080)] = 2880
    price_precision: Annotated[float, Field(gt=0)] = 1.0
    history_hours: Annotated[int, Field(ge=0, le=168)] = 72


class Archive(_Section):
    """When the hot tail goes to Parquet and how much of it stays behind for readers."""

    every_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    keep_entries: Annotated[int, Field(ge=1)] = 20_000


class Backpressure(_Section):
    """
    How much waits in memory while the log's server is slow or away; the rest goes to a file beside the log, up to
    `spill_megabytes`. Beyond that nothing more is read.
    """

    queue_facts: Annotated[int, Field(ge=1_000, le=10_000_000)] = 50_000
    queue_megabytes: Annotated[int, Field(ge=1, le=16_384)] = 64
    spill_megabytes: Annotated[int, Field(ge=1)] = 8192


class DataCollector(_Section):
    """
    What is recorded of every market. `views` writes the lists of minutes and books into the server for other programs;
    each market's costs a fold of its own.
    """

    depth_snapshot: DepthSnapshot = DepthSnapshot()
    order_flow: OrderFlow = OrderFlow()
    depth_diff: bool = True
    views: bool = True
    archive: Archive = Archive()
    backpressure: Backpressure = Backpressure()


class Metrics(_Section):
    """Where Prometheus may ask, on this machine by default; nowhere without a port."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] | None = None


class ModelPrice(_Section):
    """
    What a model's tokens cost in USD per million, by whether the provider had the prompt cached; `peak_multiplier` is
    how many times as much they cost in peak hours.
    """

    cache_hit: _UsdPerMillion
    cache_miss: _UsdPerMillion
    output: _UsdPerMillion
    peak_multiplier: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 1.0


_FLASH = ModelPrice(cache_hit=0.003, cache_miss=0.15, output=0.60, peak_multiplier=2)
_PRICES = {
    "deepseek-flash": _FLASH,
    "deepseek-v4-flash": _FLASH,
    "deepseek-v4-pro": ModelPrice(cache_hit=0.022, cache_miss=0.66, output=1.98, peak_multiplier=2),
}


class DeepSeek(_Section):
    """
    The model; without a key the rules decide.

    Limits bound what a minute and a UTC day may take; beyond them the rules decide. `peak_hours` are UTC, Monday to
    Friday except `holidays`. Prices are DeepSeek's of November 2026; a file adds to them or replaces one. Any endpoint
    of the same API will do: `thinking: null` leaves out the one field that is DeepSeek's own.
    """

    api_key: SecretStr | None = None
    base_url: str = "https://api.deepseek.com"
    model: Annotated[str, Field(min_length=1)] = "deepseek-flash"
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.2
    mode: Literal["staged", "compact"] = "staged"
    thinking: bool | None = False
    reasoning_effort: Literal["low", "high", "max"] = "high"
    strict: bool = False
    language: Literal["zh", "en"] = "zh"
    prompts: Annotated[str, Field(min_length=1)] = "default"
    max_tokens: Annotated[int, Field(ge=1, le=393_216)] = 8192
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = 200_000
    tokens_per_day: Annotated[int, Field(ge=1)] | None = 120_000_000
    usd_per_minute: _Usd | None = 0.20
    usd_per_day: _Usd | None = 25.0
    prices: dict[str, ModelPrice] = _PRICES
    peak_hours: tuple[str, ...] = ("01:00-04:00", "06:00-10:00")
    holidays: tuple[date, ...] = ()

    @property
    def endpoint_url(self) -> str:
        """Where requests go: strict tools live under `/beta` of an address that names no path of its own."""
        url = self.base_url
        return f"{url}/beta" if self.strict and not urlsplit(url).path else url

    @property
    def peak_minutes(self) -> tuple[tuple[int, int], ...]:
        """The peak hours as minutes of the UTC day, from and until."""
        return tuple(_minutes(window) for window in self.peak_hours)

    @field_validator("model")
    @classmethod
    def _current(cls, value: str) -> str:
        current = _CURRENT_MODELS.get(value)
        if current is None:
            return value
        warnings.warn(
            f"analyzer.deepseek.model: {value} was discontinued on 2026-07-24; using {current}, write that instead",
            DeprecationWarning,
            stacklevel=2,
        )
        return current

    @field_validator("api_key")
    @classmethod
    def _blank_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value().strip() if value is not None else ""
        if not all("!" <= letter <= "~" for letter in key):
            raise ValueError("holds a blank or a letter that no key has; copy it again")
        return SecretStr(key) if key else None

    @field_validator("base_url")
    @classmethod
    def _safe_address(cls, value: str) -> str:
        if not _VISIBLE.fullmatch(value.strip()):
            raise ValueError("holds a blank, a hidden or a foreign letter; type it again, such a name in its xn-- form")
        try:
            url = urlsplit(value.strip())
            host, _ = url.hostname, url.port
        except ValueError:
            host = None
        if not host or not _is_host(host, url.netloc) or url.scheme not in ("https", "http"):
            raise ValueError("must be an address like https://api.deepseek.com")
        if url.username is not None or url.password is not None or url.query or url.fragment:
            raise ValueError("must hold no user, password, query or fragment; the key belongs into api_key")
        if url.scheme == "http" and not _is_loopback(host):
            raise ValueError("a key must not travel unencrypted; use https (http only to this machine)")
        return value.strip().rstrip("/")

    @field_validator("prices", mode="before")
    @classmethod
    def _added_to_the_known(cls, value: Any) -> Any:
        return {**_PRICES, **value} if isinstance(value, dict) else value

    @field_validator("peak_hours")
    @classmethod
    def _windows(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for window in value:
            _minutes(window)
        return value

    @model_validator(mode="after")
    def _money_needs_a_price(self) -> "DeepSeek":
        limited = self.usd_per_minute is not None or self.usd_per_day is not None
        if self.api_key is not None and limited and self.model not in self.prices:
            raise ValueError(
                f"usd_per_minute and usd_per_day need a price of {self.model}: add prices.{self.model} with cache_hit, "
                "cache_miss and output in USD per million tokens, or set both limits to null"
            )
        return self


def _minutes(window: str) -> tuple[int, int]:
    found = _WINDOW.fullmatch(window)
    if found is None:
        raise ValueError('must be windows like "01:00-04:00"')
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if not start < end <= 24 * 60:
        raise ValueError(f"{window} must begin before it ends, within one day; split a window at 24:00")
    return start, end


def _is_host(host: str, place: str) -> bool:
    if _PLACE.fullmatch(place) is None:
        return False
    try:
        return ip_address(host).version == (6 if "[" in place else 4)
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2]
        return len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None and not last.isdigit() and "[" not in place


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class AnalysisSettings(_Section):
    """
    How often is looked, from which size on an order counts (base coins), whether orders rest in front of the heaviest
    price or behind it, and a file of fitted probabilities instead of the shipped ones.
    """

    interval_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    min_order_volume_threshold: Annotated[float, Field(ge=0)] = 0.0
    ladder_policy: Literal["front", "behind"] = "front"
    fitted_file: Path | None = None

    @field_validator("interval_seconds")
    @classmethod
    def _divides(cls, value: int) -> int:
        if 3600 % value:
            raise ValueError("must divide an hour, e.g. 10, 30 or 60")
        return value


class Analyzer(_Section):
    """Who looks and decides."""

    deepseek: DeepSeek = DeepSeek()
    analysis: AnalysisSettings = AnalysisSettings()


class Scoring(_Section):
    """
    How advice is scored: when an order can act, what it pays, and how often chance gets a try.

    `publish_delay_ms` stands for the time from tick to publication where a run was not live.
    """

    publish_delay_ms: Annotated[int, Field(ge=0)] = 2000
    latency_ms: Annotated[int, Field(ge=0)] = 250
    maker_fee_bps: float = 0.0
    placebo_draws: Annotated[int, Field(ge=1, le=1000)] = 20
    seed: int = 1


class Settings(_Section):
    """Everything a user can set."""

    app: App = App()
    redis: Redis = Redis(embedded=True)
    binance: Binance = Binance()
    data_collector: DataCollector = DataCollector()
    analyzer: Analyzer = Analyzer()
    scoring: Scoring = Scoring()
    metrics: Metrics = Metrics()

    @property
    def market(self) -> str:
        """The market's name in the log."""
        return f"binance:{self.binance.symbol}"

    def without_secrets(self) -> str:
        """The effective settings as JSON; keys and the server's address are not in it."""
        return self.model_dump_json(exclude={"redis": {"url"}, "analyzer": {"deepseek": {"api_key"}}})


def load(path: Path) -> Settings:
    """
    Read a settings file.

    Raises:
        SettingsError: it cannot be read, or a key is unknown, missing its variable, or out of range.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read settings {path}: {error.strerror}; name one with --config") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text: {error.reason}") from error
    try:
        raw = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise SettingsError(
            f"{path} is not YAML{_place(error)}"
        ) from None  # its own words quote the line: a key, perhaps
    if not isinstance(raw, dict):
        raise SettingsError(f"{path} must hold sections like app: and redis:, not a {type(raw).__name__}")
    environment = {**_dotenv(path), **os.environ}
    return _validated(path, _substituted(raw, environment, ()))


def _place(error: yaml.YAMLError) -> str:
    """Where a YAML fault is and what was expected, without quoting the text."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f": line {mark.line + 1}: {problem}" if mark is not None else f": {problem}"


def _dotenv(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for candidate in (path.parent / ".env", Path(".env")):
        try:
            found |= {k: v for k, v in dotenv_values(candidate).items() if v is not None}
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"{candidate} cannot be read as UTF-8 text; rewrite it or remove it") from None
    return found


def _substituted(value: Any, environment: dict[str, str], path: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {k: _substituted(v, environment, (*path, str(k))) for k, v in value.items()}
    if isinstance(value, list):
        return [_substituted(v, environment, (*path, str(i))) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        if name in environment:
            return environment[name]
        if default is not None:
            return default
        if path == ("analyzer", "deepseek", "api_key"):
            return ""  # no key is a choice: the rules decide
        raise SettingsError(f"{'.'.join(path)}: ${{{name}}} is not set; export {name} or write it into .env")

    return _VARIABLE.sub(replace, value)


def _validated(path: Path, raw: dict[str, Any]) -> Settings:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            settings = Settings.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(p) for p in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(_known_keys(first["loc"]))
            raise SettingsError(f"{path}: {where}: unknown key; known here: {known}") from None
        message = first["msg"].removeprefix("Value error, ")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise SettingsError(f"{path}: {where}: {message[0].lower()}{message[1:]}{more}") from None
    for warning in caught:
        warnings.warn(str(warning.message), warning.category, stacklevel=3)
    return settings


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in location[:-1]:
        model = get_args(model)[-1] if get_origin(model) is dict else model.model_fields[str(part)].annotation
    return list(model.model_fields)
