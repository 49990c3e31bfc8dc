"""
An application on a port of this machine.
"""

from aiohttp import web

from exchanges.simulated.errors import PortError


class OpenPort:
    """Serves an application while it is open."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._address = ("", 0)

    @property
    def url(self) -> str:
        """Where REST is, without a path."""
        return f"http://{self._host_and_port}"

    @property
    def websocket_url(self) -> str:
        """Where the streams are, without a path."""
        return f"ws://{self._host_and_port}"

    async def open(self, app: web.Application, host: str, port: int) -> None:
        """
        Serve.

        Args:
            host: the address to bind to.
            port: 0 for any free one.

        Raises:
            PortError: where the address cannot be bound.
        """
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = (error.strerror or str(error)).rpartition(": ")[2]
            raise PortError(f"cannot serve on {host}:{port}: {reason}; choose another port") from error
        self._address = (host, int(self._runner.addresses[0][1]))

    async def close(self) -> None:
        """Stop serving, if it ever began."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def _host_and_port(self) -> str:
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
