"""A model behind a proxy: reached through a tunnel in which the proxy reads nothing, or told why not."""

import shutil
import ssl
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import structlog

from agents.llm.client.client import ModelClient
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.errors import BadProxy, NoReply
from agents.llm.client.transport import tunnel_of
from agents.llm.wire.api import Attempt, Usage
from eventlog.clock import WallClock
from tests.fakes.chat_endpoint import KEY, completion, says, serving
from tests.fakes.connect_proxy import ConnectProxy, tunnelling
from tests.unit.agents.llm.client.test_client import REQUEST, a_budget

CREDENTIALS = ("us@er", "p:w/ü")
IN_A_URL = "us%40er:p%3Aw%2F%C3%BC"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own making for 127.0.0.1, and its key beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "certificate.pem"


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, trusted by clients of this process."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


async def ask(base_url: str, proxy: str | None, times: int = 1) -> tuple[list[Attempt], NoReply | None]:
    """Ask the same some times through a proxy; what came of each attempt, and why there was no reply in the end."""
    clock, attempts = WallClock(), list[Attempt]()
    client = ModelClient(Endpoint(base_url, KEY, 1, 0.2, proxy), a_budget(), clock)
    try:
        for _ in range(times):
            await client.complete(REQUEST, clock.now_ns() + 5 * 10**9, attempts.append)
    except NoReply as fault:
        return attempts, fault
    finally:
        await client.close()
    return attempts, None


async def test_the_proxy_opens_a_tunnel_and_reads_nothing(tls: ssl.SSLContext) -> None:
    """One tunnel for two requests; no key, no question and no answer in what the proxy saw."""
    async with serving(says(completion("the answer")), tls=tls) as endpoint, tunnelling() as proxy:
        attempts, _ = await ask(endpoint.base_url, proxy.url, times=2)
        host = endpoint.base_url.removeprefix("https://")
    assert [a.verdict for a in attempts] == ["ok", "ok"]
    assert [seen.headers["Authorization"] for seen in endpoint.seen] == [f"Bearer {KEY}"] * 2
    (head,) = proxy.asked
    assert head.splitlines()[0] == f"CONNECT {host} HTTP/1.1"
    assert "authorization" not in head.lower()
    seen = head.encode() + bytes(proxy.passed)
    assert len(proxy.passed) > 2_000
    assert not [word for word in (KEY, "zones", "the answer", "completions", "Bearer") if word.encode() in seen]


async def test_user_and_password_go_to_the_proxy_alone(tls: ssl.SSLContext) -> None:
    """As the address has them, escapes undone; the endpoint sees none of it."""
    async with serving(says(completion()), tls=tls) as endpoint, tunnelling() as proxy:
        attempts, _ = await ask(endpoint.base_url, proxy.url.replace("://", f"://{IN_A_URL}@"))
    assert [a.verdict for a in attempts] == ["ok"]
    word = b64encode(":".join(CREDENTIALS).encode()).decode()
    assert f"Proxy-Authorization: Basic {word}" in proxy.asked[0]
    assert not {"proxy-authorization"} & {name.lower() for name in endpoint.seen[0].headers}


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "(HTTP 407: it wants another user and password)"),
        (b"HTTP/1.1 403 \x1b[31mForbidden secret-word\r\nContent-Length: 0\r\n\r\n", "(HTTP 403)"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!", "(HTTP 502)"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n", "(HTTP 302)"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_named(tls: ssl.SSLContext, answer: bytes, detail: str) -> None:
    """By the number of its answer, in our words; nothing reached the endpoint, and nothing is charged."""
    async with serving(says(completion()), tls=tls) as endpoint, tunnelling(answer) as proxy:
        with structlog.testing.capture_logs() as lines:
            (attempt,), fault = await ask(endpoint.base_url, proxy.url.replace("://", f"://{IN_A_URL}@"))
    assert endpoint.seen == []
    assert str(fault) == f"unreachable: the proxy opened no way to the endpoint {detail}"
    assert (attempt.verdict, attempt.charge) == ("unreachable", Usage())
    assert not [word for word in (*CREDENTIALS, "secret", KEY) if word in f"{attempt} {fault!r} {lines}"]


async def test_a_proxy_that_is_not_there_is_unreachable() -> None:
    """And never gone around."""
    attempts, fault = await ask("https://127.0.0.1:9", "http://user:word@127.0.0.1:9")
    assert str(fault) == "unreachable: APIConnectionError: Connection refused, over the proxy"
    assert attempts[0].charge == Usage()


async def test_a_server_of_another_name_is_not_believed(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is checked through the tunnel as without; no request is sent."""
    monkeypatch.delenv("SSL_CERT_FILE")
    async with serving(says(completion()), tls=tls) as endpoint, tunnelling() as proxy:
        attempts, fault = await ask(endpoint.base_url, proxy.url)
    assert "TLS: certificate verify failed" in str(fault)
    assert (attempts[0].charge, endpoint.seen) == (Usage(), [])


async def test_this_machine_is_asked_straight() -> None:
    """An endpoint on plain http of this machine: the proxy is left out, since it would see the key."""
    async with serving(says(completion())) as endpoint, tunnelling() as proxy:
        attempts, _ = await ask(endpoint.base_url, proxy.url)
    assert ([a.verdict for a in attempts], proxy.asked) == (["ok"], [])


def a_client(base_url: str, proxy: str) -> ModelClient:
    """One that is never used."""
    return ModelClient(Endpoint(base_url, KEY, proxy=proxy), a_budget(), WallClock())


@pytest.mark.parametrize(
    "proxy",
    ["", "proxy.example:8080", "socks5://proxy.example", "http://", "http://proxy.example:99999", "http://[",
     "http://proxy.example:0", "http://proxy.example/path", "http://proxy.example?a=b", "http://secret-word@",
     "http://proxy.example/#secret-word", "ftp://u:secret-word@proxy.example", "http://secret-word\n@proxy.example",
     "file:///etc/passwd"],
)  # fmt: skip
def test_what_is_no_proxy_is_refused(proxy: str) -> None:
    """In one line that says how to write one, and that does not repeat what may hold a password."""
    with pytest.raises(BadProxy, match=r"write it like http://proxy\.example:8080") as caught:
        a_client("https://api.example.com", proxy)
    assert "secret-word" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_never_goes_unencrypted_through_a_proxy() -> None:
    """Plain http elsewhere and a proxy: refused before anything is sent."""
    with pytest.raises(BadProxy, match="a proxy would see the key"):
        a_client("http://api.example.com", "http://user:secret-word@proxy.example:8080")


def test_user_and_password_show_nowhere() -> None:
    """Neither in the endpoint's own text nor in the library's."""
    endpoint: Any = Endpoint("https://api.example.com", KEY, proxy="http://user:secret-word@proxy.example:8080")
    assert "secret-word" not in f"{endpoint} {endpoint!r}"
    assert "secret-word" not in f"{tunnel_of(endpoint.base_url, endpoint.proxy)!r}"


def test_a_proxy_may_speak_tls_itself() -> None:
    """Its own certificate is checked too."""
    ports = tunnel_of("https://api.example.com", "https://proxy.example:8443")
    assert ports is not None
    assert ports.ssl_context is not None
    assert ports.ssl_context.verify_mode == ssl.CERT_REQUIRED


def test_no_proxy_is_the_straight_way() -> None:
    """Whatever the environment names."""
    assert tunnel_of("https://api.example.com", None) is None
    assert ConnectProxy().asked == []
