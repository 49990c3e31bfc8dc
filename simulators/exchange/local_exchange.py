"""
An exchange on a port of this machine: REST, streams, and the control of its faults on one address.
"""

import asyncio
from contextlib import suppress

from aiohttp import web

from simulators.exchange.errors import PortError
from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.fault_control import FaultControl
from simulators.exchange.rest.rest import RestApi
from simulators.exchange.streams.streams import StreamHub


class LocalExchange:
    """
    Base of the exchanges that are served locally.

    Args:
        conditions: the script of faults, and the state that they change.
        hub: the connections, and the ledger of diffs.
        seed: of scripts that are posted later.

    Attributes:
        conditions: as passed in.
        hub: as passed in.
    """

    def __init__(self, conditions: Conditions, hub: StreamHub, seed: int) -> None:
        self.conditions = conditions
        self.hub = hub
        self._fault_control = FaultControl(conditions, seed)
        self._runner: web.AppRunner | None = None
        self._address = ("", 0)
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The URL of REST, without a path."""
        return f"http://{self._host_and_port}"

    @property
    def websocket_url(self) -> str:
        """The URL of the streams, without a path."""
        return f"ws://{self._host_and_port}"

    async def wait(self) -> None:
        """Return when the market is stopped or the recording has ended; raise the exception that ended it, if any."""
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Stop trading or playing, drop the clients, close the port; raise the exception that had ended it, if any."""
        if self._task is not None:
            self._task.cancel()
        await self.hub.drop_all()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.wait()

    def _app(self, api: RestApi) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v3/{name}", api.serve)
        app.router.add_get("/ws", self.hub.serve_raw)
        app.router.add_get("/ws/{streams:.*}", self.hub.serve_raw)
        app.router.add_get("/stream", self.hub.serve_combined)
        self._fault_control.add_routes(app)
        return app

    async def _open(self, app: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = (error.strerror or str(error)).rpartition(": ")[2]
            raise PortError(f"cannot serve on {host}:{port}: {reason}; choose another port") from error
        self._address = (host, int(self._runner.addresses[0][1]))

    @property
    def _host_and_port(self) -> str:
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
