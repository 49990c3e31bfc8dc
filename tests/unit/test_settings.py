"""Settings: what a user's file may say, and how each mistake is named."""

import json
import os
import warnings
from pathlib import Path

import pytest
import yaml

from settings import Settings, SettingsError, load
from tests.conftest import ROOT

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
    """No settings of the machine the tests run on."""
    monkeypatch.chdir(tmp_path)
    for name in ("DEEPSEEK_API_KEY", "REDIS_HOST", "STORAGE_DIR", "DEMO_DIR"):
        monkeypatch.delenv(name, raising=False)


def loaded(tmp_path: Path, text: str) -> Settings:
    """Settings from a file with this text."""
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return load(path)


def refusal(tmp_path: Path, text: str) -> str:
    """What is said of a file, on one line."""
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
    told = loaded(tmp_path, "analyzer: {analysis: {ladder_policy: behind, fitted_file: fits/day.json}}")
    analysis = told.analyzer.analysis
    assert (analysis.ladder_policy, analysis.fitted_file) == ("behind", Path("fits/day.json"))
    logged = json.loads(told.without_secrets())["analyzer"]["analysis"]
    assert (logged["ladder_policy"], logged["fitted_file"]) == ("behind", "fits/day.json")


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
    ("text", "said"),
    [
        ("ap: {name: x}", "ap: unknown key; known here: app, redis, binance"),
        ("app: {nam: x}", "app.nam: unknown key; known here: name, environment, log_level"),
        (
            "data_collector: {depth_snapshot: {limits: 5}}",
            "data_collector.depth_snapshot.limits: unknown key; known here: limit, update_interval_seconds",
        ),
        ("binance: {timeout: 0}", "binance.timeout: input should be greater than 0"),
        ("binance: {timeout: soon}", "binance.timeout: input should be a valid number"),
        ("binance: {symbol: btcfdusd}", "binance.symbol: string should match"),
        ("binance: {symbol: ../X}", "binance.symbol: "),
        ("data_collector: {depth_snapshot: {limit: 70}}", "data_collector.depth_snapshot.limit: input should be 5,"),
        ("data_collector: {order_flow: {window_size_minutes: 0}}", "data_collector.order_flow.window_size_minutes: "),
        ("data_collector: {order_flow: {price_precision: 0}}", "data_collector.order_flow.price_precision: "),
        ("analyzer: {analysis: {interval_seconds: 7}}", "analyzer.analysis.interval_seconds: must divide an hour"),
        ("analyzer: {analysis: {interval_seconds: 0}}", "analyzer.analysis.interval_seconds: "),
        ("analyzer: {analysis: {min_order_volume_threshold: -1}}", "analyzer.analysis.min_order_volume_threshold: "),
        (
            "analyzer: {analysis: {ladder_policy: between}}",
            "analysis.ladder_policy: input should be 'front' or",
        ),
        ("analyzer: {analysis: {fitted_file: 5}}", "analyzer.analysis.fitted_file: input is not a valid path"),
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
def test_a_mistake_is_named_by_its_path(tmp_path: Path, text: str, said: str) -> None:
    """One line: the file, the key, the mend."""
    assert said in refusal(tmp_path, text)


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
    said = ".env"
    try:
        loaded(tmp_path, "")
    except SettingsError as error:
        said = str(error)
    assert ".env" in said


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
    shown = [settings.without_secrets(), repr(settings), str(settings), str(settings.model_dump()), f"{settings.redis}"]
    assert not any("secret-" in line for line in shown)
    assert "sk-" not in "".join(shown)
    assert settings.redis.server_url == "redis://user:secret-2@h:1/0"
    assert "api_key" not in settings.without_secrets()
    wrong = refusal(tmp_path, "analyzer: {deepseek: {api_key: {a: sk-secret-3}, temperature: 9}}")
    assert "secret-3" not in wrong
    broken = refusal(tmp_path, 'analyzer:\n  deepseek:\n    api_key: "sk-secret-4\n    model: x\n')
    assert "secret-4" not in broken


def test_settings_without_secrets_are_settings_again(tmp_path: Path) -> None:
    """`verify` reads the settings of a log back."""
    settings = loaded(tmp_path, "app: {name: x}\nanalyzer: {analysis: {interval_seconds: 10}}")
    assert Settings.model_validate(yaml.safe_load(settings.without_secrets())) == settings


def test_settings_do_not_change(tmp_path: Path) -> None:
    """What a session logged at its start holds to its end."""
    settings = loaded(tmp_path, "")
    with pytest.raises(ValueError, match="frozen"):
        settings.app.name = "other"
