"""Values of settings: numbers that are numbers and within limits, paths, symbols, keys that are meant."""

import math
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.llm.client.prices import usd_e12
from replay.scoring.rules import rules_of
from runtime.analysis_config import analysis_config
from runtime.model_config import prices_of
from runtime.settings.reference import NAME, Entry, entries
from runtime.settings.settings import Settings
from tests.settings_builders import forget_environment, loaded, nested, refusal

ENTRIES = list(entries(Settings))
NUMBERS = [pytest.param(entry, id=".".join(entry.path)) for entry in ENTRIES if entry.is_number]
PATHS = ["app.logs_dir", "app.runs_dir", "redis.storage_dir", "analyzer.analysis.fitted_file"]


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(tmp_path, monkeypatch)


def text_of(entry: Entry, value: Any) -> str:
    """A file that gives one key a value; of a price all other keys are given as well."""
    if NAME not in entry.path:
        return yaml.safe_dump(nested(".".join(entry.path), value))
    price = {"cache_hit": 1, "cache_miss": 1, "output": 1, entry.path[-1]: value}
    return yaml.safe_dump(nested("analyzer.deepseek.prices", {"m": price}))


def value_of(settings: Settings, entry: Entry) -> Any:
    """What loaded settings have for a key."""
    value: Any = settings
    for key in entry.path:
        value = value["m"] if key == NAME else getattr(value, key)
    return value


def limits_of(entry: Entry) -> tuple[float, float]:
    """The least and the largest number that an entry says it may be."""
    words = entry.limits.replace(",", "").split()
    assert (words[0], words[2]) == ("from", "to"), entry.path
    return float(words[1]), float(words[3])


@pytest.mark.parametrize("entry", NUMBERS)
def test_every_number_has_limits_and_is_a_number(entry: Entry, tmp_path: Path) -> None:
    """No infinity, nothing that is no number, no truth value, nothing beyond the limits that the line names."""
    low, high = limits_of(entry)
    key = ".".join(entry.path).replace(NAME, "m")
    beyond = [low - 1, high + 1, -1e300, 1e300, 10**400, -(10**400), "1e400", str(10**40)]
    for value in (math.inf, -math.inf, math.nan, "inf", "nan", "-Infinity", True, False, "many", [], {}, "", *beyond):
        assert refusal(tmp_path, text_of(entry, value)) == f"{key}: {entry.demand}", value
    if "null" not in entry.kind:
        assert refusal(tmp_path, text_of(entry, None)) == f"{key}: {entry.demand}"
    else:
        assert value_of(loaded(tmp_path, text_of(entry, None)), entry) is None


@pytest.mark.parametrize("entry", NUMBERS)
def test_limits_themselves_are_taken(entry: Entry, tmp_path: Path) -> None:
    """As numbers and as text, the way variables give them."""
    for limit in limits_of(entry):
        value = limit if "whole" not in entry.kind else int(limit)
        if entry.path[-1] == "seed":
            value = min(int(value), 2**63 - 1)
        assert value_of(loaded(tmp_path, text_of(entry, value)), entry) == value
        assert value_of(loaded(tmp_path, text_of(entry, str(value))), entry) == value


def test_there_are_numbers() -> None:
    """A test over none would pass."""
    assert len(NUMBERS) > 35


@pytest.mark.parametrize(
    ("precision", "threshold"), [(1e-8, 1e-8), (1.0, 0.0), (1_000_000.0, 10**10), (0.3, 0.07), (0.29, 1.1)]
)
def test_what_becomes_a_whole_number_keeps_its_value(precision: float, threshold: float) -> None:
    """At both limits: counts of 1e-8 are exact, at least 1 where they divide, and far from the end of int64."""
    settings = Settings.model_validate(
        {
            "data_collector": {"order_flow": {"price_precision": precision}},
            "analyzer": {"analysis": {"min_order_volume_threshold": threshold}},
        }
    )
    sight = analysis_config(settings, "BTCFDUSD")
    assert 1 <= sight.windows.level_e8 < 2**62
    assert 0 <= sight.parameters.min_wall_e8 < 2**62
    assert sight.windows.level_e8 / 1e8 == pytest.approx(precision, rel=1e-12)
    assert sight.parameters.min_wall_e8 / 1e8 == pytest.approx(threshold, rel=1e-12)
    assert sight.windows.level_e8 + 2**62 < 2**63  # a level's end lies above the highest price


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data_collector.order_flow.price_precision", 1.5e-8),
        ("data_collector.order_flow.price_precision", 0.123456789),
        ("data_collector.order_flow.price_precision", "0.000000011"),
        ("analyzer.analysis.min_order_volume_threshold", 1e-9),
        ("analyzer.analysis.min_order_volume_threshold", 5e-324),
    ],
)
def test_what_would_be_rounded_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    """A width or a threshold that is not a count of 1e-8 would become another one, or none."""
    assert refusal(tmp_path, yaml.safe_dump(nested(key, value))) == f"{key}: must have at most 8 decimals"


def test_money_is_some_or_none(tmp_path: Path) -> None:
    """What would be counted as nothing is refused; nothing is a limit; the largest prices stay exact."""
    said = "analyzer.deepseek.usd_per_day: must be 0 or at least 0.000001"
    assert refusal(tmp_path, "analyzer: {deepseek: {usd_per_day: 1e-13}}") == said
    chosen = loaded(tmp_path, "analyzer: {deepseek: {usd_per_day: 0, usd_per_minute: 1e-6}}").analyzer.deepseek
    assert (chosen.usd_per_day, usd_e12(chosen.usd_per_minute or 0)) == (0, 1_000_000)
    price = {"cache_hit": 1e-9, "cache_miss": 1000, "output": 1000, "peak_multiplier": 100}
    dear = loaded(tmp_path, yaml.safe_dump(nested("analyzer.deepseek.prices", {"m": price}))).analyzer.deepseek
    assert prices_of(dear).has_price("m")


def test_zero_has_no_sign(tmp_path: Path) -> None:
    """Nothing is sent or logged as -0.0."""
    text = "analyzer: {deepseek: {temperature: -0.0}}\nscoring: {maker_fee_bps: -0.0}"
    settings = loaded(tmp_path, text)
    values = (settings.analyzer.deepseek.temperature, settings.scoring.maker_fee_bps)
    assert [math.copysign(1, value) for value in values] == [1, 1]
    assert "-0.0" not in settings.without_secrets()


def test_the_widest_scoring_rules_fit_into_nanoseconds() -> None:
    """Times are int64 counts of nanoseconds."""
    settings = Settings.model_validate(
        {"scoring": {"latency_ms": 3_600_000, "publish_delay_ms": 3_600_000, "seed": 2**63 - 1}}
    )
    rules = rules_of(settings.scoring, analysis_config(settings, "BTCFDUSD").parameters)
    assert (rules.latency_ms + rules.publish_delay_ms) * 1_000_000 < 2**62


@pytest.mark.parametrize("key", PATHS)
def test_a_path_may_begin_at_home(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is HOME, `~user` that user's folder; elsewhere in a path it is a letter."""
    monkeypatch.setenv("HOME", "/home/of-a-test")
    user = pwd.getpwuid(os.getuid())
    for text, path in (
        ("~/x", Path("/home/of-a-test/x")),
        ("~", Path("/home/of-a-test")),
        (f"~{user.pw_name}/x", Path(user.pw_dir) / "x"),
        ("a~/~x", Path("a~/~x")),
        ("${HOME}/y", Path("/home/of-a-test/y")),
        ("a/name=value/b", Path("a/name=value/b")),
    ):
        found = loaded(tmp_path, yaml.safe_dump(nested(key, text))).model_dump()
        for part in key.split("."):
            found = found[part]
        assert found == path


@pytest.mark.parametrize("key", PATHS)
@pytest.mark.parametrize(
    "value", ["", "   ", "a\0b", "a\nb", "\x1b[31m", "x" * 5_000, "~nobody-of-this-name/x", 5, ["a"]]
)
def test_a_path_is_a_path(key: str, value: Any, tmp_path: Path) -> None:
    """Nothing empty, nothing hidden, no user whom nobody knows: one line that names the key."""
    assert refusal(tmp_path, yaml.safe_dump(nested(key, value))).startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        ("btcusdt", "must be written in capitals: BTCUSDT"),
        ("BtcUsdt", "must be written in capitals: BTCUSDT"),
        ("1000sats", "must be written in capitals: 1000SATS"),
        ("币安人生USDT", "must be 2 to 30 of A-Z and 0-9"),
        ("币安人生usdt", "must be 2 to 30 of A-Z and 0-9"),
        ("BTC/USDT", "must be 2 to 30 of A-Z and 0-9"),
        ("BTC-USDT", "must be 2 to 30 of A-Z and 0-9"),
        ("BTCUSDT\n", "must be 2 to 30 of A-Z and 0-9"),
        ("ＢＴＣ", "must be 2 to 30 of A-Z and 0-9"),
        ("straße", "must be 2 to 30 of A-Z and 0-9"),
        ("ıstanbul", "must be 2 to 30 of A-Z and 0-9"),
        ("../X", "must be 2 to 30 of A-Z and 0-9"),
        ("X", "must be 2 to 30 of A-Z and 0-9"),
        ("X" * 31, "must be 2 to 30 of A-Z and 0-9"),
        ("", "must be 2 to 30 of A-Z and 0-9"),
        (1000, "must be text"),
    ],
)
def test_a_symbol_is_one_that_is_supported(symbol: Any, said: str, tmp_path: Path) -> None:
    """Small letters are told to be capitals; letters beyond A-Z are said not to be supported; in both places."""
    assert refusal(tmp_path, yaml.safe_dump(nested("binance.symbol", symbol))).startswith(f"binance.symbol: {said}")
    both = yaml.safe_dump(nested("binance.symbols", ["BTCFDUSD", symbol]))
    assert refusal(tmp_path, both).startswith(f"binance.symbols.1: {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("app: {nmae: x}", "app.nmae: unknown key; known here: name, environment, "),
        ("app: {nmae: x}", "; did you mean name?"),
        ("app: {log-level: x}", "; did you mean log_level?"),
        ("app: {LOG_LEVEL: x}", "; did you mean log_level?"),
        ("bianance: {}", "bianance: unknown key; known here: app, network, redis, binance, "),
        ("app: {symbol: BTCUSDT}", "; did you mean binance.symbol?"),
        ("interval_seconds: 60", "; did you mean analyzer.analysis.interval_seconds?"),
        ("analyzer: {deepseek: {prices: {m: {output: 1, cache_mis: 1, cache_hit: 1}}}}", "(and 1 more)"),
        ("app: {aa: 1, bb: 2, cc: 3}", "app.aa: unknown key; known here: name, "),
        ("app: {aa: 1, bb: 2, cc: 3}", " (and 2 more)"),
        ("scoring: {seed: -1, latency_ms: -1}\napp: {log_level: x}", "app.log_level: must be 'DEBUG', "),
        ("scoring: {seed: -1, latency_ms: -1}\napp: {log_level: x}", " (and 2 more)"),
        ("analyzer: {deepseek: {sk-0123456789: }}", "deepseek.(a key not shown): unknown key; known here: api_key"),
        ("analyzer: {deepseek: {0123456789abcdef0123456789abcdef: }}", "deepseek.(a key not shown): unknown key"),
        ("analyzer: {deepseek: {prices: {sk-0123456789: 1}}}", "deepseek.prices.(a key not shown): must hold keys"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_told_what_is_known(text: str, said: str, tmp_path: Path) -> None:
    """The known ones, the nearest, how much else is wrong; a key that may be a password is not shown."""
    reason = refusal(tmp_path, text)
    assert said in reason
    assert "0123456789" not in reason


def test_values_of_yaml_that_surprise_are_told_to_be_quoted(tmp_path: Path) -> None:
    """`on` is a truth value, a date is no text, a number is none."""
    for value in ("on", "2026-10-01", "5", "1:30", "null", "[a]"):
        assert refusal(tmp_path, f"app: {{name: {value}}}").startswith("app.name: must be text; put quotes around")
    assert loaded(tmp_path, "app: {name: 'on'}").app.name == "on"


def test_a_holiday_is_a_date(tmp_path: Path) -> None:
    """A number would be seconds since 1970."""
    for value in ("0", "20261001", "'1790812800'", "true", "October", "2026-10-01 10:00:00", "'2026-13-01'"):
        said = refusal(tmp_path, f"analyzer: {{deepseek: {{holidays: [{value}]}}}}")
        assert said == "analyzer.deepseek.holidays.0: must be a date like 2026-10-01"
    days = loaded(tmp_path, "analyzer: {deepseek: {holidays: [2026-10-01, '2026-10-02']}}").analyzer.deepseek.holidays
    assert [str(day) for day in days] == ["2026-10-01", "2026-10-02"]


def test_what_the_user_can_set_of_ladders_logs_and_files(tmp_path: Path) -> None:
    """Defaults are what was fixed before; all can be set."""
    plain = loaded(tmp_path, "")
    analysis = plain.analyzer.analysis
    assert (analysis.ladder_rungs, analysis.ladder_spread_percent) == (3, 0.05)
    assert (analysis.min_order_volume_threshold, plain.analyzer.deepseek.temperature) == (0.01, 0.1)
    assert (plain.app.logs_keep_days, plain.redis.trade_files, plain.metrics.allowed_hosts) == (14, False, ())
    text = """
app: {logs_keep_days: 7}
redis: {embedded: true, trade_files: true}
metrics: {allowed_hosts: [Prometheus.Example., 10.0.0.5, "[::1]"]}
analyzer: {analysis: {ladder_rungs: 20, ladder_spread_percent: 0.2}}
"""
    other = loaded(tmp_path, text)
    assert (other.app.logs_keep_days, other.redis.trade_files) == (7, True)
    assert other.metrics.allowed_hosts == ("prometheus.example", "10.0.0.5", "::1")
    assert (other.analyzer.analysis.ladder_rungs, other.analyzer.analysis.ladder_spread_percent) == (20, 0.2)
    assert Settings.model_validate_json(other.without_secrets()) == other
