"""
The transport to a model: the `openai` client over a connection that bounds replies and sends as few headers as needed.

Imported late, by the client alone: a run without a model never loads the library.
"""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import httpx2
from openai import AsyncOpenAI

from agents.llm.client.dns import Lookups
from agents.llm.client.errors import BadProxy
from agents.llm.client.proxies import NO_PROXY, proxy_for_endpoint
from agents.llm.client.secret import Secret
from agents.llm.wire.api import Verdict

_NAME = "liquidity-agent"
_SENT_HEADERS = frozenset({"host", "connection", "content-length", "content-type", "accept"})
_CONNECT_S = 10.0  # bounds the connection alone; the caller bounds the rest
_CONNECTED = "connection.connect_tcp.complete"
_SENDING = "http11.send_request_headers.started"
_MAX_ADDRESS = 2_000  # bounds what of a redirect's address reaches a message


@dataclass(slots=True)
class Answer:
    """
    What came back for one request, as far as it came.

    Attributes:
        was_sent: whether a connection was made and the server may have read the request. is_complete: of the body.
        location: the address that a redirect names, made absolute.
        verdict: set where the body was refused. fault: why it broke off; library messages may quote headers.
    """

    was_sent: bool = False
    status: int | None = None
    retry_after: str | None = None
    location: str | None = None
    body: bytearray = field(default_factory=bytearray)
    is_complete: bool = False
    verdict: Verdict | None = None
    fault: str = ""


_answer: ContextVar[Answer] = ContextVar("answer")


class Transport:
    """
    Posts requests to one endpoint; one request, one answer, no retries.

    Args:
        base_url, key: the endpoint's address and API key.
        max_bytes: of a reply's body; a longer one is cut off and marked `too_large`.
        inner: another carrier of bytes, for tests; None for HTTP.
        proxy: the http(s) address of a proxy, with user and password where it needs them: it tunnels to an https
            endpoint and sees no key; requests to an http endpoint of this machine go direct. None for no proxy.

    Raises:
        BadProxy: it is not a proxy address, or the endpoint is on http elsewhere: the proxy would see the key.
    """

    def __init__(
        self,
        base_url: str,
        key: Secret,
        max_bytes: int,
        inner: httpx2.AsyncBaseTransport | None = None,
        proxy: str | None = None,
    ) -> None:
        for noisy in ("openai", "httpx2", "httpcore2"):
            logging.getLogger(noisy).setLevel(logging.WARNING)  # below it they print headers
        limits = httpx2.Limits(max_connections=64, max_keepalive_connections=8, keepalive_expiry=15.0)
        # certificates may be named by the environment, proxies and netrc may not: they would see the key
        tunnel = tunnel_of(base_url, proxy)
        self._suffix = "" if tunnel is None else ", over the proxy"
        carrier = inner or httpx2.AsyncHTTPTransport(
            verify=httpx2.create_ssl_context(), limits=limits, trust_env=False, retries=0, proxy=tunnel
        )
        timeout = httpx2.Timeout(None, connect=_CONNECT_S)
        http = httpx2.AsyncClient(
            transport=_Bounded(carrier, key, max_bytes), trust_env=False, follow_redirects=False, timeout=timeout
        )
        self._client = AsyncOpenAI(
            api_key=key.reveal(),
            base_url=base_url,
            organization="",
            project="",
            webhook_secret="",
            max_retries=0,
            timeout=timeout,
            http_client=http,
        )
        self._lookups = Lookups()

    async def post(self, body: bytes, answer: Answer) -> None:
        """
        Send a request's bytes and fill `answer` with what comes back, also where it breaks off; raises only when
        cancelled.
        """
        _answer.set(answer)
        asyncio.get_running_loop().set_default_executor(self._lookups)
        try:
            await self._client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                content=body,
                options={"headers": {"Content-Type": "application/json"}, "follow_redirects": False},
            )
        except Exception as error:  # whatever a library raises is a failed attempt; its text is not passed on
            if not answer.is_complete and not answer.fault:
                reason = _describe_error(error)
                answer.fault = reason if reason.startswith("the proxy") else reason + self._suffix

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class _Bounded(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport, key: Secret, max_bytes: int) -> None:
        self._inner = inner
        self._key = key
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = _answer.get()
        headers = [(name, value) for name, value in request.headers.items() if name.lower() in _SENT_HEADERS]
        headers += [
            ("Authorization", f"Bearer {self._key.reveal()}"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", _NAME),
        ]
        request.headers = httpx2.Headers(headers)
        response = await self._forward(request, answer)
        answer.was_sent = True
        answer.status = response.status_code
        retry_after = response.headers.get("retry-after")
        answer.retry_after = self._key.scrub(retry_after.encode()).decode() if retry_after is not None else None
        answer.location = self._address(request, response)
        encoding = response.headers.get("content-encoding", "identity").lower()
        if encoding not in ("", "identity"):
            await response.aclose()
            answer.verdict, answer.fault = "not_json", "the body is compressed although that was not asked for"
            raise httpx2.DecodingError(answer.fault, request=request)
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        response_headers = [("Content-Type", "application/json")]
        return httpx2.Response(
            response.status_code, headers=response_headers, stream=_Capped(stream, answer, self._max_bytes)
        )

    def _address(self, request: httpx2.Request, response: httpx2.Response) -> str | None:
        location = response.headers.get("location")
        if location is None:
            return None
        address = self._key.scrub(location[:_MAX_ADDRESS].encode()).decode()
        try:
            return urljoin(str(request.url), address)
        except ValueError:
            return address

    async def _forward(self, request: httpx2.Request, answer: Answer) -> httpx2.Response:
        streams: list[Any] = []

        async def trace(event: str, info: dict[str, Any]) -> None:
            answer.was_sent |= event == _SENDING and info["request"].method != b"CONNECT"
            if event == _CONNECTED:
                streams.append(info["return_value"])

        request.extensions = {**request.extensions, "trace": trace}
        try:
            return await self._inner.handle_async_request(request)
        except asyncio.CancelledError:
            for stream in () if answer.was_sent else streams:
                await stream.aclose()  # the library leaves open what still shakes hands
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Capped(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, answer: Answer, max_bytes: int) -> None:
        self._inner = inner
        self._answer = answer
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        answer, chunks = self._answer, aiter(self._inner)
        try:
            async for chunk in chunks:
                answer.body += chunk[: self._max_bytes - len(answer.body) + 1]
                if len(answer.body) > self._max_bytes:
                    answer.verdict = "too_large"
                    answer.fault = f"the body is longer than {self._max_bytes} bytes"
                    raise httpx2.ReadError(answer.fault)
                yield chunk
            answer.is_complete = True
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()  # the garbage collector would make a task of it, maybe in a loop that ends

    async def aclose(self) -> None:
        await self._inner.aclose()


def tunnel_of(base_url: str, proxy: str | None) -> httpx2.Proxy | None:
    """
    The proxy through which an endpoint is reached, None for a direct connection.

    Args:
        base_url: the endpoint's address. proxy: the proxy's http(s) address, or None.

    Raises:
        BadProxy: see `Transport`.
    """
    address = proxy_for_endpoint(base_url, proxy)
    if address is None:
        return None
    try:
        return httpx2.Proxy(address, ssl_context=httpx2.create_ssl_context() if address.startswith("https") else None)
    except (ValueError, httpx2.InvalidURL):
        raise BadProxy(NO_PROXY) from None


def _describe_error(error: BaseException) -> str:
    root: BaseException = error
    while (cause := root.__cause__ or root.__context__) is not None:
        root = cause
        if isinstance(root, httpx2.ProxyError):
            return _describe_proxy_error(str(root))
        if isinstance(root, ssl.SSLError):  # its errno is not the system's
            return f"{type(error).__name__}: TLS: {(root.reason or 'failed').lower().replace('_', ' ')}"
        if isinstance(root, socket.gaierror):  # its errno is not the system's either
            return f"{type(error).__name__}: the name of the host is not known"
        if isinstance(root, OSError) and root.errno is not None and root.errno in errno.errorcode:
            return f"{type(error).__name__}: {os.strerror(root.errno)}"
    return type(error).__name__ if root is error else f"{type(error).__name__} ({type(root).__name__})"


def _describe_proxy_error(message: str) -> str:
    status = message[:3]
    if not (status.isascii() and status.isdigit()):
        return "the proxy broke off"
    hint = ": it wants another user and password" if status == "407" else ""
    return f"the proxy opened no way to the endpoint (HTTP {status}{hint})"
