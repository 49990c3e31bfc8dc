"""A chat completion endpoint on loopback that answers each request as the next entry of a script says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEY = "sk-0123456789abcdef/secret+key"


@dataclass
class Seen:
    """One request as it arrived."""

    at: float
    headers: dict[str, str]
    body: bytes


@dataclass
class ChatEndpoint:
    """Where it listens and what it was asked."""

    base_url: str = ""
    seen: list[Seen] = field(default_factory=list)


@asynccontextmanager
async def serving(*script: Step, tls: ssl.SSLContext | None = None) -> AsyncIterator[ChatEndpoint]:
    """An endpoint that follows a script and repeats its last entry; over TLS where a context is given."""
    endpoint = ChatEndpoint()

    async def handler(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        endpoint.seen.append(Seen(asyncio.get_running_loop().time(), dict(request.headers), body))
        return await script[min(len(endpoint.seen), len(script)) - 1](request)

    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/chat/completions", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    endpoint.base_url = f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield endpoint
    finally:
        await runner.cleanup()


def completion(content: str | None = "hello", **changes: Any) -> dict[str, Any]:
    """The body of a good reply, or of one that differs in its message, finish_reason or usage."""
    return {
        "id": "1",
        "model": "deepseek-flash",
        "system_fingerprint": "fp_1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **changes.get("message", {})},
                "finish_reason": changes.get("finish_reason", "stop"),
            }
        ],
        "usage": changes.get(
            "usage",
            {
                "prompt_tokens": 100,
                "prompt_cache_hit_tokens": 64,
                "prompt_cache_miss_tokens": 36,
                "completion_tokens": 10,
                "total_tokens": 110,
            },
        ),
    }


def says(body: Any, status: int = 200, **headers: str) -> Step:
    """Answers with JSON, text or bytes."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else msgspec.json.encode(body)

    async def step(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=data, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return step


def after(seconds: float, step: Step) -> Step:
    """The same, later."""

    async def waiting(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await step(request)

    return waiting


def blank_lines(seconds: float, every: float, body: Any = None) -> Step:
    """Keeps the line open with blank lines, as DeepSeek does, then replies or hangs up."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        until = asyncio.get_running_loop().time() + seconds
        with suppress(ConnectionError):  # the client may have gone
            while asyncio.get_running_loop().time() < until:
                await response.write(b"\n")
                await asyncio.sleep(every)
            if body is not None:
                await response.write(msgspec.json.encode(body))
        return response

    return step


def breaks_off(before_headers: bool) -> Step:
    """Cuts the connection before the headers, or in the midst of the body."""

    async def step(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if before_headers:
            request.transport.abort()
            return web.Response()
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices":[')
        request.transport.abort()
        return response

    return step
