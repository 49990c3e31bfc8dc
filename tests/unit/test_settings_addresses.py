"""Addresses in settings: the venue's, the server's, hosts; and what must not be part of one."""

from pathlib import Path

import pytest
import yaml
from redis import ConnectionPool

from tests.settings_builders import forget_environment, loaded, nested, refusal

REST, STREAM = "binance.rest_url", "binance.websocket_url"


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(tmp_path, monkeypatch)


def said_of(folder: Path, key: str, value: object) -> str:
    """What is said of one key's value, behind the key; the value is not quoted."""
    reason = refusal(folder, yaml.safe_dump(nested(key, value)))
    assert "sk-secret" not in reason
    assert reason.startswith(f"{key}: ")
    return reason.removeprefix(f"{key}: ")


@pytest.mark.parametrize(
    ("key", "url"),
    [
        (REST, "https://api.binance.com"),
        (REST, "https://example.com:8443/binance"),
        (REST, "http://127.0.0.1:8790"),
        (REST, "http://localhost:8790"),
        (REST, "http://[::1]:8790"),
        (REST, "http://10.1.2.3"),
        (REST, "http://192.168.0.10:80/x"),
        (REST, "http://172.31.0.1"),
        (REST, "http://[fd00::1]:80"),
        (STREAM, "wss://stream.binance.com:9443"),
        (STREAM, "ws://127.0.0.1:8790"),
        (STREAM, "ws://169.254.1.1"),
    ],
)
def test_a_venue_may_be_anywhere_that_is_safe(key: str, url: str, tmp_path: Path) -> None:
    """Encrypted anywhere, plain on this machine and at private addresses; slashes at the end do not count."""
    name = key.split(".")[1]
    for text in (url, f"{url}/", f" {url}// "):
        assert getattr(loaded(tmp_path, yaml.safe_dump(nested(key, text))).binance, name) == url


@pytest.mark.parametrize(
    "host",
    ["example.com", "8.8.8.8", "binance", "127.0.0.1.evil.example", "172.32.0.1", "[2001:db8::1]", "[::ffff:8.8.8.8]",
     "100.64.0.1", "localhost.evil.example"],
)  # fmt: skip
def test_a_venue_is_not_asked_in_plain_text_over_the_internet(host: str, tmp_path: Path) -> None:
    """Whoever is on the way could change prices."""
    more = "only to this machine or a private IP address"
    assert said_of(tmp_path, REST, f"http://{host}") == f"must be encrypted (https); http {more}"
    assert said_of(tmp_path, STREAM, f"ws://{host}/x") == f"must be encrypted (wss); ws {more}"


@pytest.mark.parametrize(
    "secret", ["user:sk-secret@h", "sk-secret@h", "@h", "h/?key=sk-secret", "h?", "h/#sk-secret", "h#"]
)
def test_a_venues_address_holds_no_secret(secret: str, tmp_path: Path) -> None:
    """It is logged and shown."""
    for key, scheme in ((REST, "https"), (STREAM, "wss")):
        assert said_of(tmp_path, key, f"{scheme}://{secret}") == "must hold no user, password, query or fragment"


@pytest.mark.parametrize(
    "place",
    ["", "-", "a..b", "*.x.com", "h:", "h:0", "h:65536", "h:port", "h:٣", "1.2.3.999", "0.1", "[1.2.3.4]",
     "[fe80::1%25e]", "x][::", "h\\x", "a" * 64 + ".com", "h/" + "x" * 3_000],
)  # fmt: skip
def test_an_address_leads_somewhere(place: str, tmp_path: Path) -> None:
    """With the right scheme, a host that can be looked up and a port that there is."""
    for key, scheme, example in (
        (REST, "https", "https://data-api.binance.vision"),
        (STREAM, "wss", "wss://data-stream.binance.vision"),
    ):
        said = said_of(tmp_path, key, f"{scheme}://{place}")
        assert said == f"must be an address like {example}" or said.startswith("contains a space, or a hidden")


@pytest.mark.parametrize(
    ("key", "url"),
    [
        (REST, ""),
        (REST, "api.binance.com"),
        (REST, "wss://api.binance.com"),
        (REST, "ftp://api.binance.com"),
        (REST, "https:api.binance.com"),
        (REST, "//api.binance.com"),
        (REST, "file:///etc/passwd"),
        (STREAM, ""),
        (STREAM, "https://stream.binance.com"),
        (STREAM, "stream.binance.com:9443"),
    ],
)
def test_an_address_has_its_scheme(key: str, url: str, tmp_path: Path) -> None:
    """One for requests, another for the stream."""
    assert said_of(tmp_path, key, url).startswith("must be an address like ")


@pytest.mark.parametrize("letter", ["\u200b", "\u202e", "\t", "\n", " ", "ü", "\x00", "\x7f", "\u0661"])
def test_an_address_hides_nothing(letter: str, tmp_path: Path) -> None:
    """What was copied along with it is named as what it is."""
    said = said_of(tmp_path, REST, f"https://api.bin{letter}ance.com")
    assert said.startswith("contains a space, or a hidden or non-ASCII character")


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:6379",
        "redis://h:6379/",
        "redis://h:6379/15",
        "rediss://user:p%40ss@redis.example.com:6380/0?ssl_cert_reqs=none",
        "redis://:password@[::1]:6379/0",
        "redis://user:p@ss@h:1",
        "redis://:密码@my_redis",
        "redis://h?db=3&protocol=2",
        "unix:///run/redis.sock",
        "unix://user:password@/run/redis.sock?db=1",
        "unix:///run/redis.sock?db=1&password=p",
    ],
)
def test_a_server_has_an_address(url: str, tmp_path: Path) -> None:
    """As the client library reads it."""
    address = loaded(tmp_path, yaml.safe_dump({"redis": {"url": f" {url} "}})).redis.server_url
    assert address == url
    ConnectionPool.from_url(address).make_connection()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:6379", "must be an address like redis://host:6379/0"),
        ("sk-secret", "must be an address like redis://host:6379/0"),
        ("h", "must be an address like redis://"),
        ("http://h:6379", "must be an address like redis://"),
        ("REDIS://h:6379", "must be an address like redis://"),
        ("redis:h:6379", "must be an address like redis://"),
        ("redis://", "must be an address like redis://"),
        ("redis://:6379/0", "must be an address like redis://"),
        ("redis://:sk-secret@/0", "must be an address like redis://"),
        ("redis://h:0", "must be an address like redis://"),
        ("redis://h:65536", "must be an address like redis://"),
        ("redis://:sk-secret/x@h", "must be an address like redis://"),
        ("redis://[::1", "must be an address like redis://"),
        ("redis://:sk-secret]@h", "must be an address like redis://"),
        ("redis://:sk-secret#x@h", "must be an address like redis://"),
        ("redis://:x@h/0#sk-secret", "contains a #"),
        ("redis://:sk-secret x@h", "contains a space or a hidden character"),
        ("redis://:sk-secret\u200b@h", "contains a space or a hidden character"),
        ("redis://h/sk-secret", "has no database number after the host"),
        ("redis://h/-1", "has no database number after the host"),
        ("redis://h/1/2", "has no database number after the host"),
        ("redis://h/70000", "has no database number after the host"),
        ("redis://h?retry=sk-secret", "has query parameters other than db, protocol"),
        ("redis://h?decode_responses=true", "has query parameters other than db, protocol"),
        ("redis://h?ssl_cert_reqs=none", "has query parameters other than db, protocol"),
        ("redis://h?db=1&db=2", "has query parameters other than db, protocol"),
        ("redis://h?db=sk-secret", "has a query in which db is not a database"),
        ("redis://h?protocol=4", "has a query in which db is not a database number or protocol"),
        ("rediss://h?ssl_cert_reqs=sk-secret", "has a query in which ssl_cert_reqs"),
        ("unix://run/redis.sock", "unix:// is followed by the absolute path of a socket"),
        ("unix://", "unix:// is followed by the absolute path of a socket"),
        ("unix:///a%00b", "unix:// is followed by the absolute path of a socket"),
    ],
)
def test_what_is_no_address_of_a_server(url: str, said: str, tmp_path: Path) -> None:
    """One line, without the password that is in it."""
    assert said_of(tmp_path, "redis.url", url).startswith(said)


def test_blank_addresses_of_a_server_are_none(tmp_path: Path) -> None:
    """A variable that is empty names nothing."""
    text = "redis: {url: '${NONE:-}', host: '${NONE:- }', embedded: true}"
    assert loaded(tmp_path, text).redis.server_url is None
    assert refusal(tmp_path, "redis: {url: '', host: ''}").startswith("redis: no server named")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("h", "redis://h:6379/0"),
        ("my_redis.local.", "redis://my_redis.local.:6379/0"),
        ("10.0.0.5", "redis://10.0.0.5:6379/0"),
        ("::1", "redis://[::1]:6379/0"),
        ("[::1]", "redis://[::1]:6379/0"),
    ],
)
def test_a_server_may_be_a_host_and_a_port(host: str, url: str, tmp_path: Path) -> None:
    """An IPv6 address with brackets or without."""
    assert loaded(tmp_path, yaml.safe_dump({"redis": {"host": host}})).redis.server_url == url


@pytest.mark.parametrize(
    "host",
    ["h:6379", "redis://h", "h/0", "user:sk-secret@h", "a b", "[h]", "1.2.3", "fe80::1%eth0", "a" * 300, "h?x", "-"],
)
def test_a_host_is_a_host_alone(host: str, tmp_path: Path) -> None:
    """No scheme, no port, no password: wherever a host is asked for."""
    said = "must be a host name or an IP address alone, without a scheme or a port"
    assert said_of(tmp_path, "redis.host", host) == said
    assert said_of(tmp_path, "metrics.host", host) == said
    reason = refusal(tmp_path, yaml.safe_dump(nested("metrics.allowed_hosts", ["x", host])))
    assert reason == f"metrics.allowed_hosts.1: {said}"
