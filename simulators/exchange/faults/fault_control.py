"""
The door to the faults, for this machine only.

    GET | POST | DELETE /simulated/script    how often each rule struck and what, new rules in place of the old, none
"""

from dataclasses import asdict
from ipaddress import ip_address

from aiohttp import web

from simulators.exchange.errors import ScriptError
from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.script import Script, parse


class ScriptDoor:
    """
    Shows and replaces the script of an exchange.

    Args:
        seed: of the scripts that come in; it decides what rules with a chance strike.
    """

    def __init__(self, conditions: Conditions, seed: int) -> None:
        self._conditions = conditions
        self._seed = seed

    def add_to(self, app: web.Application) -> None:
        """Put the door on an application."""
        app.router.add_get("/simulated/script", self._tell)
        app.router.add_post("/simulated/script", self._take)
        app.router.add_delete("/simulated/script", self._drop)

    async def _tell(self, request: web.Request) -> web.Response:
        _only_from_here(request)
        script = self._conditions.script
        return web.json_response({"rules": script.counts(), "strikes": [asdict(strike) for strike in script.strikes]})

    async def _take(self, request: web.Request) -> web.Response:
        _only_from_here(request)
        try:
            self._conditions.script = parse(await request.read(), self._seed)
        except ScriptError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"rules": len(self._conditions.script.rules)})

    async def _drop(self, request: web.Request) -> web.Response:
        _only_from_here(request)
        self._conditions.script = Script()
        return web.json_response({"rules": 0})


def _only_from_here(request: web.Request) -> None:
    try:
        here = ip_address(request.remote or "").is_loopback
    except ValueError:
        here = False
    if not here:
        raise web.HTTPForbidden(text="the script is for this machine only")
