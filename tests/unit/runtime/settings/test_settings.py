"""Settings: what a user's file may say, and how each mistake is named."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.settings.settings import DeepSeek, Settings, SettingsError, load
from tests.conftest import ROOT
from tests.settings_builders import forget_environment, loaded, refusal

ORIGINAL = """
app:
  name: "Liquidity Agent"
  environment: "development"
  log_level: "info"
redis:
  host: "localhost"
  port: 6379
  db: 0
  storage_dir: "/var/lib/agent"
binance:
  symbol: "BTCFDUSD"
  timeout: 30
data_collector:
  depth_snapshot:
    limit: 5000
    update_interval_seconds: 60
    window_size: 60
  order_flow:
    window_size_minutes: 2880
    price_precision: 1.0
analyzer:
  deepseek:
    api_key: "${DEEPSEEK_API_KEY}"
    model: "deepseek-flash"
    temperature: 0.1
  analysis:
    interval_seconds: 60
    min_order_volume_threshold: 1.5
"""


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(tmp_path, monkeypatch)


def test_the_file_of_the_original_system_loads_as_it_is(tmp_path: Path) -> None:
    """Every key it has means what it meant."""
    settings = loaded(tmp_path, ORIGINAL)
    assert (settings.app.name, settings.app.environment, settings.app.log_level) == (
        "Liquidity Agent",
        "development",
        "INFO",
    )
    assert settings.redis.server_url == "redis://localhost:6379/0"
    assert settings.redis.storage_dir == Path("/var/lib/agent")
    assert not settings.redis.embedded
    assert (settings.binance.symbol, settings.binance.timeout, settings.market) == ("BTCFDUSD", 30, "binance:BTCFDUSD")
    depth, flow = settings.data_collector.depth_snapshot, settings.data_collector.order_flow
    assert (depth.limit, depth.update_interval_seconds, depth.window_size) == (5000, 60, 60)
    assert (flow.window_size_minutes, flow.price_precision) == (2880, 1.0)
    deepseek, analysis = settings.analyzer.deepseek, settings.analyzer.analysis
    assert (deepseek.api_key, deepseek.model, deepseek.temperature) == (None, "deepseek-flash", 0.1)
    assert (analysis.interval_seconds, analysis.min_order_volume_threshold) == (60, 1.5)


@pytest.mark.parametrize("name", ["development", "production", "demo"])
def test_the_files_that_come_along_load(name: str) -> None:
    """Without a key, an environment or a server."""
    settings = load(ROOT / "config" / f"{name}.yaml")
    assert settings.market == "binance:BTCFDUSD"
    assert settings.redis.embedded == (name != "production")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """A server of its own, sixty-second ticks."""
    settings = loaded(tmp_path, "")
    assert settings.redis.embedded
    assert settings.analyzer.analysis.interval_seconds == 60


def test_orders_rest_in_front_under_the_shipped_probabilities_unless_told(tmp_path: Path) -> None:
    """The policy and the file of fitted probabilities are what the file says, and go into the log with the rest."""
    plain = loaded(tmp_path, "").analyzer.analysis
    assert (plain.ladder_policy, plain.fitted_file) == ("front", None)
    warning = loaded(tmp_path, "analyzer: {analysis: {ladder_policy: behind, fitted_file: fits/day.json}}")
    analysis = warning.analyzer.analysis
    assert (analysis.ladder_policy, analysis.fitted_file) == ("behind", Path("fits/day.json"))
    settings_json = json.loads(warning.without_secrets())["analyzer"]["analysis"]
    assert (settings_json["ladder_policy"], settings_json["fitted_file"]) == ("behind", "fits/day.json")


def test_variables_come_from_the_environment_then_from_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins; `.env` beside the settings is read; a default stands where neither is."""
    (tmp_path / ".env").write_text("DEEPSEEK_API_KEY=from-file\nWHERE=dotenv\n")
    text = 'app: {name: "${WHERE}", environment: "a-${NOT_SET:-b}-${EMPTY:-}"}\n'
    settings = loaded(tmp_path, text + "analyzer: {deepseek: {api_key: '${DEEPSEEK_API_KEY}'}}")
    assert settings.analyzer.deepseek.api_key is not None
    assert settings.analyzer.deepseek.api_key.get_secret_value() == "from-file"
    assert (settings.app.name, settings.app.environment) == ("dotenv", "a-b-")
    monkeypatch.setenv("WHERE", "environment")
    assert loaded(tmp_path, text).app.name == "environment"
    assert "DEEPSEEK_API_KEY" not in os.environ


def test_dotenv_beside_the_settings_is_read_from_anywhere(tmp_path: Path) -> None:
    """The working folder's is read too."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / ".env").write_text("ONE=1\n")
    (tmp_path / ".env").write_text("TWO=2\n")
    (tmp_path / "conf" / "s.yaml").write_text('app: {name: "${ONE}${TWO}"}')
    assert load(tmp_path / "conf" / "s.yaml").app.name == "12"


def test_a_port_may_come_from_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number in text is a number."""
    monkeypatch.setenv("REDIS_PORT", "7000")
    settings = loaded(tmp_path, 'redis: {host: h, port: "${REDIS_PORT}"}')
    assert settings.redis.server_url == "redis://h:7000/0"


@pytest.mark.parametrize("key", ["", "   ", "${DEEPSEEK_API_KEY}"])
def test_no_key_is_a_choice(tmp_path: Path, key: str) -> None:
    """The rules decide then."""
    assert loaded(tmp_path, f"analyzer: {{deepseek: {{api_key: '{key}'}}}}").analyzer.deepseek.api_key is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ap: {name: x}", "ap: unknown key; known here: app, network, redis, binance"),
        ("app: {nam: x}", "app.nam: unknown key; known here: name, environment, log_level"),
        (
            "data_collector: {depth_snapshot: {limits: 5}}",
            "data_collector.depth_snapshot.limits: unknown key; known here: limit, update_interval_seconds",
        ),
        ("binance: {timeout: 0}", "binance.timeout: must be a number from 0.1 to 120"),
        ("binance: {timeout: soon}", "binance.timeout: must be a number from 0.1 to 120"),
        ("binance: {symbol: btcfdusd}", "binance.symbol: must be written in capitals: BTCFDUSD"),
        ("binance: {symbol: ../X}", "binance.symbol: "),
        ("data_collector: {depth_snapshot: {limit: 70}}", "data_collector.depth_snapshot.limit: must be 5,"),
        ("data_collector: {order_flow: {window_size_minutes: 0}}", "data_collector.order_flow.window_size_minutes: "),
        ("data_collector: {order_flow: {price_precision: 0}}", "data_collector.order_flow.price_precision: "),
        ("analyzer: {analysis: {interval_seconds: 7}}", "analyzer.analysis.interval_seconds: must divide an hour"),
        ("analyzer: {analysis: {interval_seconds: 0}}", "analyzer.analysis.interval_seconds: "),
        ("analyzer: {analysis: {min_order_volume_threshold: -1}}", "analyzer.analysis.min_order_volume_threshold: "),
        (
            "analyzer: {analysis: {ladder_policy: between}}",
            "analysis.ladder_policy: must be 'front' or",
        ),
        ("analyzer: {analysis: {fitted_file: 5}}", "analyzer.analysis.fitted_file: must be a path"),
        ("analyzer: {deepseek: {temperature: 3}}", "analyzer.deepseek.temperature: "),
        ("app: {log_level: LOUD}", "app.log_level: "),
        ("redis: {host: h, port: 70000}", "redis.port: "),
        ("redis: {host: h, embedded: true}", "redis: embedded: true and a url or host exclude each other"),
        ("redis: {port: 6379}", "redis: no server named; set url, or host and port, or embedded: true"),
        ('app: {name: "${NOWHERE}"}', "app.name: ${NOWHERE} is not set; export NOWHERE or write it into .env"),
        ("app: {name: 1, nam: 2, na: 3}", "(and 2 more)"),
        ("app: 5", "app: "),
        ("app:", "app: "),
        ("- a\n- b", "must hold sections like app: and redis:, not a list"),
        ("app: {", "is not YAML"),
        ("1: x", "1"),
    ],
)
def test_a_mistake_is_named_by_its_path(tmp_path: Path, text: str, message: str) -> None:
    """One line: the file, the key, the mend."""
    assert message in refusal(tmp_path, text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, or no text."""
    with pytest.raises(SettingsError, match=r"cannot read settings .*none.yaml: No such file.*--config"):
        load(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="Is a directory"):
        load(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"app: \xff")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(tmp_path / "x.yaml")


@pytest.mark.parametrize("data", [b"KEY=\xff\xfe\n", b"\x00"])
def test_a_dotenv_that_is_no_text_is_one_line(tmp_path: Path, data: bytes) -> None:
    """Named as the settings file would be, or read as far as it can be; never a traceback."""
    (tmp_path / ".env").write_bytes(data)
    message = ".env"
    try:
        loaded(tmp_path, "")
    except SettingsError as error:
        message = str(error)
    assert ".env" in message


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner"])
def test_a_discontinued_model_is_replaced_and_said(tmp_path: Path, model: str) -> None:
    """The old name still works, with a word on what to write instead."""
    with pytest.warns(DeprecationWarning, match=f"{model} was discontinued .* using deepseek-flash, write"):
        settings = loaded(tmp_path, f"analyzer: {{deepseek: {{model: {model}}}}}")
    assert settings.analyzer.deepseek.model == "deepseek-flash"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loaded(tmp_path, "analyzer: {deepseek: {model: other}}").analyzer.deepseek.model == "other"


def test_secrets_are_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in what is logged, nor in repr, str, a dump or an error."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret-1")
    text = "redis: {url: 'redis://user:secret-2@h:1/0'}\nanalyzer: {deepseek: {api_key: '${DEEPSEEK_API_KEY}'}}\n"
    settings = loaded(tmp_path, text)
    output = [
        settings.without_secrets(),
        repr(settings),
        str(settings),
        str(settings.model_dump()),
        f"{settings.redis}",
    ]
    assert not any("secret-" in line for line in output)
    assert "sk-" not in "".join(output)
    assert settings.redis.server_url == "redis://user:secret-2@h:1/0"
    assert "api_key" not in settings.without_secrets()
    wrong = refusal(tmp_path, "analyzer: {deepseek: {api_key: {a: sk-secret-3}, temperature: 9}}")
    assert "secret-3" not in wrong
    yaml_text = refusal(tmp_path, 'analyzer:\n  deepseek:\n    api_key: "sk-secret-4\n    model: x\n')
    assert "secret-4" not in yaml_text


def test_settings_without_secrets_are_settings_again(tmp_path: Path) -> None:
    """`verify` reads the settings of a log back."""
    settings = loaded(tmp_path, "app: {name: x}\nanalyzer: {analysis: {interval_seconds: 10}}")
    assert Settings.model_validate(yaml.safe_load(settings.without_secrets())) == settings


def test_settings_do_not_change(tmp_path: Path) -> None:
    """What a session logged at its start holds to its end."""
    settings = loaded(tmp_path, "")
    with pytest.raises(ValueError, match="frozen"):
        settings.app.name = "other"


def deepseek(tmp_path: Path, **keys: Any) -> DeepSeek:
    """The model's section of a file that holds these keys."""
    return loaded(tmp_path, yaml.safe_dump({"analyzer": {"deepseek": keys}})).analyzer.deepseek


def deepseek_refusal(tmp_path: Path, **keys: Any) -> str:
    """What is said of such a file, from the key's path on."""
    return refusal(tmp_path, yaml.safe_dump({"analyzer": {"deepseek": keys}}))


def test_the_model_is_asked_in_three_steps_without_thinking_in_chinese_unless_told(tmp_path: Path) -> None:
    """The defaults, with the provider's own prices."""
    model = deepseek(tmp_path)
    assert (model.base_url, model.endpoint_url) == ("https://api.deepseek.com", "https://api.deepseek.com")
    assert (model.mode, model.thinking, model.strict, model.language) == ("staged", False, False, "zh")
    assert (model.prompts, model.attempts, model.max_tokens) == ("default", 3, 8192)
    flash, pro = model.prices["deepseek-flash"], model.prices["deepseek-v4-pro"]
    assert (flash.cache_hit, flash.cache_miss, flash.output, flash.peak_multiplier) == (0.003, 0.15, 0.60, 2)
    assert (pro.cache_hit, pro.cache_miss, pro.output, pro.peak_multiplier) == (0.022, 0.66, 1.98, 2)
    assert model.peak_minutes == ((60, 240), (360, 600))


def test_a_day_of_ordinary_requests_fits_into_the_limits_that_come_along(tmp_path: Path) -> None:
    """Five requests of 12,000 tokens and 500 out a minute, none cached, seven peak hours: by hand 19.53 dollars."""
    model = deepseek(tmp_path)
    flash = model.prices["deepseek-flash"]
    minute = 5 * (12_000 * flash.cache_miss + 500 * flash.output) / 1e6
    assert minute == pytest.approx(0.0105)
    assert model.usd_per_minute is not None
    assert model.usd_per_day is not None
    assert model.tokens_per_minute is not None
    assert model.tokens_per_day is not None
    assert minute * 2 < model.usd_per_minute
    assert minute * (17 * 60 + 7 * 60 * 2) == pytest.approx(19.53)
    assert model.usd_per_day > 19.53
    assert model.tokens_per_minute > 5 * 12_500 * 2
    assert model.tokens_per_day > 5 * 12_500 * 1440


@pytest.mark.parametrize(
    ("base_url", "strict", "endpoint"),
    [
        ("https://api.deepseek.com/", True, "https://api.deepseek.com/beta"),
        ("https://api.deepseek.com/beta", True, "https://api.deepseek.com/beta"),
        ("https://other.example/v1/", True, "https://other.example/v1"),
        ("http://127.0.0.1:8000", True, "http://127.0.0.1:8000/beta"),
        ("http://localhost:8000/v1", False, "http://localhost:8000/v1"),
        ("http://[::1]:8000", False, "http://[::1]:8000"),
    ],
)
def test_where_requests_go(tmp_path: Path, base_url: str, strict: bool, endpoint: str) -> None:
    """Strict tools are DeepSeek's beta; an address with a path of its own is taken as it is."""
    assert deepseek(tmp_path, base_url=base_url, strict=strict).endpoint_url == endpoint


@pytest.mark.parametrize(
    "base_url", ["http://api.deepseek.com", "http://10.0.0.5:8000", "http://127.0.0.1.evil.example"]
)
def test_a_key_does_not_travel_unencrypted(tmp_path: Path, base_url: str) -> None:
    """Plain http is for this machine alone."""
    assert deepseek_refusal(tmp_path, base_url=base_url) == (
        "analyzer.deepseek.base_url: a key must not travel unencrypted; use https (http only to this machine)"
    )


@pytest.mark.parametrize("base_url", ["", "api.deepseek.com", "ftp://x", "https://", "https://x:port", "https://[x"])
def test_an_address_is_an_address(tmp_path: Path, base_url: str) -> None:
    """With a scheme and a host."""
    assert deepseek_refusal(tmp_path, base_url=base_url) == (
        "analyzer.deepseek.base_url: must be an address like https://api.deepseek.com"
    )


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api..deepseek.com",
        "https://-",
        f"https://{'a' * 64}.com",
        "https://*.deepseek.com",
        "https://a%00b.com",
        "https://1.2.3.999",
        "https://[v1.x]",
        "https://[1.2.3.4]",
        "https://[fe80::1%25eth0]:1",
        "https://x][::",
    ],
)
def test_a_host_is_a_name_or_an_address(tmp_path: Path, base_url: str) -> None:
    """What no resolver could look up is refused before anyone asks it."""
    assert deepseek_refusal(tmp_path, base_url=base_url) == (
        "analyzer.deepseek.base_url: must be an address like https://api.deepseek.com"
    )


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.deepseek.com\u200b",
        "https://exa\tmple.com",
        "https://api.deep seek.com",
        "https://ü☃.invalid",
        "https://\u0661.example",
        "https://api.deepseek.com/\u202ebeta",
    ],
)
def test_an_address_hides_nothing(tmp_path: Path, base_url: str) -> None:
    """What is copied along with it unseen is told in one line."""
    assert deepseek_refusal(tmp_path, base_url=base_url) == (
        "analyzer.deepseek.base_url: contains a space, or a hidden or non-ASCII character; retype it, such a name in "
        "its xn-- form"
    )


@pytest.mark.parametrize("base_url", ["https://user:sk-secret@h", "https://h/?key=sk-secret", "https://h/#sk-secret"])
def test_an_address_holds_no_key(tmp_path: Path, base_url: str) -> None:
    """It is logged; what it held is not quoted."""
    message = deepseek_refusal(tmp_path, base_url=base_url)
    assert "must hold no user, password, query or fragment" in message
    assert "sk-secret" not in message


def test_prices_of_a_file_add_to_those_that_are_known(tmp_path: Path) -> None:
    """And replace one of the same name."""
    mine = {"cache_hit": 1, "cache_miss": 2, "output": 3}
    model = deepseek(tmp_path, prices={"mine": mine, "deepseek-flash": {**mine, "peak_multiplier": 1.5}})
    assert set(model.prices) == {"mine", "deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"}
    assert model.prices["mine"].peak_multiplier == 1
    assert (model.prices["deepseek-flash"].output, model.prices["deepseek-flash"].peak_multiplier) == (3, 1.5)


def test_a_limit_on_money_needs_the_models_price(tmp_path: Path) -> None:
    """One line that names the key to add; a price or no limit on money mends it, and so does having no key."""
    assert deepseek_refusal(tmp_path, api_key="sk-secret", model="mine") == (
        "analyzer.deepseek: usd_per_minute and usd_per_day need a price of mine: add prices.mine with cache_hit, "
        "cache_miss and output in USD per million tokens, or set both limits to null"
    )
    price = {"mine": {"cache_hit": 0, "cache_miss": 0, "output": 0}}
    assert deepseek(tmp_path, api_key="sk-secret", model="mine", prices=price).model == "mine"
    no_limits = deepseek(tmp_path, api_key="sk-secret", model="mine", usd_per_minute=None, usd_per_day=None)
    assert (no_limits.usd_per_minute, no_limits.usd_per_day) == (None, None)
    assert deepseek(tmp_path, model="mine").api_key is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mode": "both"}, "analyzer.deepseek.mode: must be 'staged' or 'compact'"),
        ({"language": "de"}, "analyzer.deepseek.language: must be 'zh' or 'en'"),
        ({"reasoning_effort": "medium"}, "analyzer.deepseek.reasoning_effort: must be 'low', 'high' or 'max'"),
        ({"attempts": 0}, "analyzer.deepseek.attempts: must be a whole number from 1 to 10"),
        ({"max_tokens": 393_217}, "analyzer.deepseek.max_tokens: must be a whole number from 1 to 393,216"),
        ({"usd_per_day": float("nan")}, "analyzer.deepseek.usd_per_day: must be a number from 0 to 1,000,000, or null"),
        ({"usd_per_day": -1}, "analyzer.deepseek.usd_per_day: must be a number from 0 to 1,000,000, or null"),
        ({"peak_hours": ["1-4"]}, 'analyzer.deepseek.peak_hours.0: must be windows like "01:00-04:00"'),
        ({"peak_hours": ["22:00-02:00"]}, "analyzer.deepseek.peak_hours.0: 22:00-02:00 must begin before it ends, "
         "within one day; split a window at 24:00"),
        ({"holidays": ["October"]}, "analyzer.deepseek.holidays.0: must be a date like 2026-10-01"),
        (
            {"api_key": "sk one"},
            "analyzer.deepseek.api_key: contains a space or a character that no key has; copy it again",
        ),
        ({"prices": []}, "analyzer.deepseek.prices: must hold keys and values"),
        ({"prices": {"m": {"cache_hit": 1, "input": 2}}}, "analyzer.deepseek.prices.m.cache_miss: must be given"),
        ({"prices": {"m": {"cache_hit": 1, "cache_miss": 1, "output": 1, "in": 2}}}, "analyzer.deepseek.prices.m.in: "
         "unknown key; known here: cache_hit, cache_miss, output, peak_multiplier"),
    ],
)  # fmt: skip
def test_a_mistake_about_the_model_is_named_by_its_path(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    """One line each; a key that is wrong is not quoted."""
    assert deepseek_refusal(tmp_path, **keys).startswith(message)


def test_the_models_settings_are_settings_again_without_the_key(tmp_path: Path) -> None:
    """What a log holds of them can be read back, the key's price check included."""
    keys = {
        "model": "mine",
        "prices": {"mine": {"cache_hit": 0.1, "cache_miss": 0.2, "output": 0.3}},
        "holidays": ["2026-10-01"],
        "peak_hours": ["00:00-24:00"],
    }
    settings = loaded(tmp_path, yaml.safe_dump({"analyzer": {"deepseek": {**keys, "api_key": "  sk-secret-5\n"}}}))
    key = settings.analyzer.deepseek.api_key
    assert key is not None
    assert key.get_secret_value() == "sk-secret-5"
    assert "secret-5" not in f"{settings!r}{settings.model_dump_json()}{settings.without_secrets()}"
    again = Settings.model_validate_json(settings.without_secrets())
    assert again == settings.model_copy(
        update={
            "analyzer": settings.analyzer.model_copy(
                update={"deepseek": settings.analyzer.deepseek.model_copy(update={"api_key": None})}
            )
        }
    )


def test_metrics_have_no_port_until_one_is_named(tmp_path: Path) -> None:
    """Off by default, on this machine alone; a port out of range is refused by its path."""
    path = tmp_path / "s.yaml"
    path.write_text("{}")
    assert (load(path).metrics.port, load(path).metrics.host) == (None, "127.0.0.1")
    path.write_text("metrics: {port: 9108}")
    assert load(path).metrics.port == 9108
    path.write_text("metrics: {port: 70000}")
    with pytest.raises(SettingsError, match=r"metrics\.port: "):
        load(path)


def test_a_queue_has_limits(tmp_path: Path) -> None:
    """Facts and megabytes in memory, megabytes on disk; a queue too short to be one is refused."""
    path = tmp_path / "s.yaml"
    path.write_text("data_collector: {backpressure: {queue_facts: 1000}}")
    limit = load(path).data_collector.backpressure
    assert (limit.queue_facts, limit.queue_megabytes, limit.spill_megabytes) == (1000, 64, 8192)
    path.write_text("data_collector: {backpressure: {queue_facts: 10}}")
    with pytest.raises(SettingsError, match=r"data_collector\.backpressure\.queue_facts: "):
        load(path)


def test_one_symbol_is_recorded_unless_several_are_named(tmp_path: Path) -> None:
    """The one that is looked at is among them, and none is named twice."""
    assert loaded(tmp_path, "binance: {symbol: BTCUSDT}").binance.recorded_symbols == ("BTCUSDT",)
    several = loaded(tmp_path, "binance: {symbol: ETHUSDT, symbols: [BTCUSDT, ETHUSDT]}")
    assert several.binance.recorded_symbols == ("BTCUSDT", "ETHUSDT")
    assert several.market == "binance:ETHUSDT"
    for none in ("[]", "null", "\n    # - BTCUSDT"):
        assert loaded(tmp_path, f"binance:\n  symbol: BTCUSDT\n  symbols: {none}").binance.recorded_symbols == (
            "BTCUSDT",
        )
    with pytest.raises(SettingsError, match="binance: symbols does not include symbol, BTCFDUSD"):
        loaded(tmp_path, "binance: {symbols: [BTCUSDT]}")
    with pytest.raises(SettingsError, match="binance: symbols names a market twice"):
        loaded(tmp_path, "binance: {symbols: [BTCFDUSD, BTCFDUSD]}")
    with pytest.raises(SettingsError, match=r"binance\.symbols\.1: "):
        loaded(tmp_path, "binance: {symbols: [BTCFDUSD, btc]}")
