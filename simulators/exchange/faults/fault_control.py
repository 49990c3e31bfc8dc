"""
The endpoint that controls the faults, for this machine only.

    GET | POST | DELETE /simulated/script    counts and triggers of the rules; replace them; remove them
"""

from dataclasses import asdict
from ipaddress import ip_address

from aiohttp import web

from simulators.exchange.errors import ScriptError
from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.script import Script, parse


class FaultControl:
    """
    Shows and replaces the script of an exchange.

    Args:
        conditions: the state that holds the script.
        seed: of the scripts that are posted; it decides which occasions rules with a chance allow.
    """

    def __init__(self, conditions: Conditions, seed: int) -> None:
        self._conditions = conditions
        self._seed = seed

    def add_routes(self, app: web.Application) -> None:
        """Add the endpoint to an application."""
        app.router.add_get("/simulated/script", self._get)
        app.router.add_post("/simulated/script", self._post)
        app.router.add_delete("/simulated/script", self._delete)

    async def _get(self, request: web.Request) -> web.Response:
        _require_loopback(request)
        script = self._conditions.script
        return web.json_response(
            {"rules": script.counts(), "strikes": [asdict(trigger) for trigger in script.triggers]}
        )

    async def _post(self, request: web.Request) -> web.Response:
        _require_loopback(request)
        try:
            self._conditions.script = parse(await request.read(), self._seed)
        except ScriptError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"rules": len(self._conditions.script.rules)})

    async def _delete(self, request: web.Request) -> web.Response:
        _require_loopback(request)
        self._conditions.script = Script()
        return web.json_response({"rules": 0})


def _require_loopback(request: web.Request) -> None:
    try:
        local = ip_address(request.remote or "").is_loopback
    except ValueError:
        local = False
    if not local:
        raise web.HTTPForbidden(text="the script is for this machine only")
