"""A simulated model whose replies leave in the shape of another endpoint; it takes back only what its own API takes."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from simulators.model.model import IncomingRequest, SimulatedModel

Change = Callable[[dict[str, Any]], Any]
"""Makes another body, JSON or bytes, of a good reply's JSON."""


@dataclass
class OddEndpoint:
    """
    Where it listens and what it was asked.

    Attributes:
        refused: what it said against requests that its API does not take: none where every echo is in shape.
    """

    base_url: str = ""
    requests: int = 0
    refused: list[str] = field(default_factory=list)


@contextmanager
def odd_endpoint(change: Change, status: int = 200, **headers: str) -> Iterator[OddEndpoint]:
    """An endpoint in a thread of its own; every good reply is changed, and sent under a status."""
    endpoint, model = OddEndpoint(), SimulatedModel(3)

    async def complete(request: web.Request) -> web.Response:
        endpoint.requests += 1
        asked = IncomingRequest(
            request.path, request.headers.get("Authorization"), None, endpoint.requests, await request.read()
        )
        answer, _ = model.answer(asked)
        if answer.status != 200:
            endpoint.refused.append(bytes(answer.body).decode())
            return web.Response(status=answer.status, body=answer.body)
        body = change(msgspec.json.decode(answer.body))
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return web.Response(status=status, body=data, headers=headers)

    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/chat/completions", complete)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    endpoint.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield endpoint
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
