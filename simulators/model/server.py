"""
The HTTP server of the simulated model: one loopback port with DeepSeek's API and endpoints for tests.

    POST /chat/completions, /v1/chat/completions, /beta/chat/completions
    GET | POST | DELETE /_script    the rules of faults: their counts, replace them, remove them
    GET | DELETE /_ledger           the requests and answers: list them, drop them
"""

import asyncio
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from eventlog.clock import Clock, WallClock
from simulators.model.errors import BadScript, PortError
from simulators.model.model import IncomingRequest, SimulatedModel
from simulators.model.script import Script, parse
from simulators.model.wire import send

MAX_REQUEST_BYTES = 8_000_000  # about twice the longest context

_SHUTDOWN_TIMEOUT_S = 0.1  # tests end at once; nobody waits for an answer


class ModelServer:
    """
    A local DeepSeek; `async with ModelServer() as server` starts and stops it.

    Args:
        model: gives the answers; None for one with seed 1 and no faults.
        latency_ms: delay of every answer.
        clock: dates replies and ledger.
        host: a loopback address; any other is refused at the start.
        port: 0 for any free one.
    """

    def __init__(
        self,
        model: SimulatedModel | None = None,
        latency_ms: float = 0,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.model = model or SimulatedModel()
        self._latency_s = latency_ms / 1e3
        self._clock = clock or WallClock()
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """Its URL without a path, as a client's `base_url` needs it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """
        Open the port.

        Raises:
            PortError: the address is not a loopback address or cannot be bound.
        """
        if not _is_loopback(self._host):
            raise PortError(f"cannot serve on {self._host}: the simulated model is for this machine; use 127.0.0.1")
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = (error.strerror or str(error)).rpartition(": ")[2]
            raise PortError(f"cannot serve on {self._host}:{self._port}: {reason}; choose another port") from error
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port and the connections of clients."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        await self.stop()

    def set_rules(self, rules: list[dict[str, object]]) -> None:
        """Replace the rules of faults; see `script.parse`."""
        self.model.script = parse(msgspec.json.encode(rules))

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        for prefix in ("", "/v1", "/beta"):
            app.router.add_post(f"{prefix}/chat/completions", self._complete)
        app.router.add_get("/_script", self._get_script)
        app.router.add_post("/_script", self._post_script)
        app.router.add_delete("/_script", self._delete_script)
        app.router.add_get("/_ledger", self._get_ledger)
        app.router.add_delete("/_ledger", self._delete_ledger)
        return app

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        incoming = IncomingRequest(
            path=request.path,
            authorization=request.headers.get("Authorization"),
            retry=request.headers.get("x-stainless-retry-count"),
            at_ns=self._clock.now_ns(),
            raw=await request.read(),
        )
        answer, faults = self.model.answer(incoming)
        await asyncio.sleep(self._latency_s)
        return await send(request, answer, faults)

    async def _get_script(self, _: web.Request) -> web.Response:
        return _json({"rules": self.model.script.counts()})

    async def _post_script(self, request: web.Request) -> web.Response:
        try:
            self.model.script = parse(await request.read())
        except BadScript as error:
            return _json({"error": {"message": str(error)}}, status=400)
        return _json({"rules": len(self.model.script.rules)})

    async def _delete_script(self, _: web.Request) -> web.Response:
        self.model.script = Script()
        return _json({"rules": 0})

    async def _get_ledger(self, _: web.Request) -> web.Response:
        return _json(self.model.ledger.render())

    async def _delete_ledger(self, _: web.Request) -> web.Response:
        self.model.ledger.clear()
        return _json({"total": 0})


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
