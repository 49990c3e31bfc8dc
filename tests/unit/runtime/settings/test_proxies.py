"""Which proxy a request goes through: settings, environment, and what needs none."""

import copy
import pickle
from pathlib import Path

import pytest
import yaml
from websockets.proxy import parse_proxy
from yarl import URL

from runtime.settings.proxies import Proxies
from runtime.settings.settings import Settings, SettingsError, load
from tests.settings_builders import forget_environment, loaded, refusal

VENUE, STREAM, MODEL = "https://api.example.com/api", "wss://stream.example.com:9443", "http://plain.example.com"
HERE = ["http://127.0.0.1:8790/x", "ws://127.9.9.9", "https://localhost:1", "http://LOCALHOST./", "wss://[::1]:8"]


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(tmp_path, monkeypatch)


def with_proxy(folder: Path, value: object) -> Settings:
    """Settings whose file names a proxy."""
    return loaded(folder, yaml.safe_dump({"network": {"proxy": value}}))


def ways(settings: Settings) -> list[str | None]:
    """The proxies to the venue, its stream and a host without encryption."""
    return [settings.proxy_for(url) for url in (VENUE, STREAM, MODEL)]


def test_without_a_word_there_is_no_proxy(tmp_path: Path) -> None:
    """Neither setting nor environment."""
    assert ways(loaded(tmp_path, "")) == [None, None, None]


def test_the_environment_is_asked_by_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY for https and wss, HTTP_PROXY for http and ws, ALL_PROXY where neither is set."""
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    assert ways(loaded(tmp_path, "")) == ["http://all:1"] * 3
    monkeypatch.setenv("HTTPS_PROXY", "http://user:p%40ss@secure:2/")
    assert ways(loaded(tmp_path, "")) == ["http://user:p%40ss@secure:2"] * 2 + ["http://all:1"]
    monkeypatch.setenv("HTTP_PROXY", "https://plain:3")
    settings = loaded(tmp_path, "")
    assert settings.proxy_for("ws://stream.example.com") == settings.proxy_for(MODEL) == "https://plain:3"
    assert [settings.proxy_for(url) for url in HERE] == [None] * len(HERE)
    assert settings.proxy_for("redis://h:6379") is None


def test_small_letters_count_first_and_an_empty_variable_is_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in curl."""
    monkeypatch.setenv("HTTPS_PROXY", "http://large:1")
    monkeypatch.setenv("https_proxy", "http://small:2")
    assert loaded(tmp_path, "").proxy_for(VENUE) == "http://small:2"
    monkeypatch.setenv("https_proxy", "")
    monkeypatch.setenv("ALL_PROXY", "http://all:3")
    assert loaded(tmp_path, "").proxy_for(VENUE) is None
    assert loaded(tmp_path, "").proxy_for(MODEL) == "http://all:3"


def test_a_proxy_without_a_scheme_is_an_http_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments are often written so; a settings file says what it means."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.com:3128")
    assert loaded(tmp_path, "").proxy_for(VENUE) == "http://proxy.example.com:3128"
    assert refusal(tmp_path, "network: {proxy: 'proxy.example.com:3128'}").startswith(
        "network.proxy: must be an address"
    )


def test_variables_may_lie_in_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like every other; the environment wins."""
    (tmp_path / ".env").write_text("HTTPS_PROXY=http://file:1\nHTTP_PROXY=http://file:2\n")
    monkeypatch.setenv("HTTP_PROXY", "http://environment:3")
    assert ways(loaded(tmp_path, "")) == ["http://file:1", "http://file:1", "http://environment:3"]


def test_a_setting_stands_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for all hosts but this machine; or none; null leaves it to the environment."""
    monkeypatch.setenv("HTTPS_PROXY", "http://environment:1")
    monkeypatch.setenv("NO_PROXY", "*")
    settings = with_proxy(tmp_path, " http://user:password@chosen:2/ ")
    assert ways(settings) == ["http://user:password@chosen:2"] * 3
    assert [settings.proxy_for(url) for url in HERE] == [None] * len(HERE)
    for word in ("none", "None", " NONE ", "", "  "):
        assert ways(with_proxy(tmp_path, word)) == [None, None, None]
    monkeypatch.delenv("NO_PROXY")
    assert with_proxy(tmp_path, None).proxy_for(VENUE) == "http://environment:1"
    monkeypatch.setenv("HTTPS_PROXY", "no address at all")
    assert ways(with_proxy(tmp_path, "none")) == [None, None, None]


@pytest.mark.parametrize(
    ("exempt", "url", "direct"),
    [
        ("*", "https://api.example.com", True),
        ("example.com", "https://api.example.com", True),
        ("example.com", "https://example.com", True),
        (".example.com", "https://api.example.com", True),
        (".example.com", "https://example.com", True),
        ("*.example.com", "https://api.example.com", True),
        ("EXAMPLE.com.", "https://API.example.COM.", True),
        ("ample.com", "https://example.com", False),
        ("api.example.com", "https://example.com", False),
        ("other.org,example.com", "wss://a.b.example.com:9443", True),
        ("other.org  example.com", "https://example.com", True),
        ("example.com:443", "https://example.com", True),
        ("example.com:443", "wss://example.com:443", True),
        ("example.com:8443", "https://example.com", False),
        ("10.0.0.5", "http://10.0.0.5:80", True),
        ("10.0.0.0/8", "http://10.200.0.5", True),
        ("10.0.0.0/8", "http://11.0.0.1", False),
        ("10.0.0.5:80", "http://10.0.0.5", True),
        ("10.0.0.5:81", "http://10.0.0.5", False),
        ("fd00::/8", "http://[fd00::1]", True),
        ("fd00::1", "http://[fd00::1]:80", True),
        ("[fd00::1]:80", "http://[fd00::1]", True),
        ("[fd00::1]:81", "http://[fd00::1]", False),
        ("0.0.5", "http://10.0.0.5", False),
        ("", "https://example.com", False),
        (",, ,.,", "https://example.com", False),
        ("com", "https://example.com", True),
        ("[", "https://example.com", False),
        ("a:b:c/d,1/2/3", "http://10.0.0.5", False),
    ],
)
def test_hosts_that_need_no_proxy(exempt: str, url: str, direct: bool) -> None:
    """NO_PROXY names domains, addresses, networks, each with a port or not."""
    for name in ("no_proxy", "NO_PROXY"):
        proxies = Proxies.of_environment({"all_proxy": "http://proxy:1", name: exempt})
        assert proxies.proxy_for(url) == (None if direct else "http://proxy:1")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("socks5://h:1080", "SOCKS proxies are not supported"),
        ("socks5h://user:sk-secret@h:1080", "SOCKS proxies are not supported"),
        ("ftp://h:21", "must be an address like http://host:3128"),
        ("sk-secret", "must be an address like http://host:3128"),
        ("http://", "must be an address like http://host:3128"),
        ("http://h:0", "must be an address like http://host:3128"),
        ("http://h:65536", "must be an address like http://host:3128"),
        ("http://h:x", "must be an address like http://host:3128"),
        ("http://user@h:1", "must be an address like http://host:3128"),
        ("http://:@h:1", "must be an address like http://host:3128"),
        ("http://user:sk-secret/x@h:1", "must be an address like http://host:3128"),
        ("http://user:sk-secret#x@h:1", "must be an address like http://host:3128"),
        ("http://user:%FFsk-secret@h:1", "must be an address like http://host:3128"),
        ("http://h:1/path", "must be an address like http://host:3128"),
        ("http://h:1?sk-secret", "must be an address like http://host:3128"),
        ("http://user:sk-secret x@h:1", "contains a space, or a hidden or non-ASCII character"),
        ("http://user:sk-sécret@h:1", "contains a space, or a hidden or non-ASCII character"),
        ("http://[::1:1", "must be an address like http://host:3128"),
    ],
)
def test_what_is_no_proxy_is_one_line(
    value: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the key or the variable, never the password."""
    reason = refusal(tmp_path, yaml.safe_dump({"network": {"proxy": value}}))
    assert reason.startswith(f"network.proxy: {message}")
    path = tmp_path / "empty.yaml"
    path.write_text("")
    for name in ("HTTPS_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError) as caught:
            load(path)
        monkeypatch.delenv(name)
        assert str(caught.value).startswith(f"{name} in the environment: {message}")
        assert str(caught.value).endswith("; or set network.proxy, `none` for no proxy")
        assert str(caught.value).isprintable()
        assert "cret" not in f"{caught.value}{reason}"


def test_a_variable_that_is_not_used_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many machines name a SOCKS proxy for all the rest."""
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:7890")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:7890")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:7890")
    assert ways(loaded(tmp_path, "")) == ["http://127.0.0.1:7890"] * 3


@pytest.mark.parametrize(
    "value",
    ["http://h:1", "https://h:1/", "http://user:p%40ss%C3%A9@h:1", "http://[::1]:3128", "http://h", "http://u:@h:1"],
)
def test_what_is_a_proxy_is_one_for_those_who_use_it(value: str, tmp_path: Path) -> None:
    """The libraries that make requests read it without a complaint."""
    address = with_proxy(tmp_path, value).proxy_for(VENUE)
    assert address == value.rstrip("/")
    assert parse_proxy(address).host == URL(address).host


@pytest.mark.parametrize("value", [False, 5, ["http://h:1"], {"http": "http://h:1"}])
def test_a_proxy_is_text(value: object, tmp_path: Path) -> None:
    """`no` is a truth value of YAML."""
    reason = refusal(tmp_path, yaml.safe_dump({"network": {"proxy": value}}))
    assert reason.startswith("network.proxy: must be text")


def test_settings_made_without_a_file_know_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `load` reads it."""
    monkeypatch.setenv("HTTPS_PROXY", "http://environment:1")
    assert ways(Settings()) == [None, None, None]
    assert ways(Settings.model_validate({"network": {"proxy": "http://chosen:2"}})) == ["http://chosen:2"] * 3


def test_the_environment_stays_with_settings_and_out_of_sight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies keep it; nothing shows or compares it."""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:sk-secret@environment:1")
    monkeypatch.setenv("NO_PROXY", "sk-secret.example")
    settings = loaded(tmp_path, "")
    copies = [
        settings.model_copy(update={"scoring": settings.scoring.model_copy(update={"seed": 2})}),
        copy.deepcopy(settings),
        pickle.loads(pickle.dumps(settings)),
    ]
    for each in (settings, *copies):
        assert each.proxy_for(VENUE) == "http://user:sk-secret@environment:1"
        output = f"{each!r}{each}{each.model_dump()}{each.model_dump_json()}{each.without_secrets()}{vars(each)}"
        assert "secret" not in output
    assert settings == Settings()
