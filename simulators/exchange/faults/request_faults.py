"""
A REST reply gone wrong: the faults of requests, on the way out.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from simulators.exchange.faults import corruption
from simulators.exchange.faults.script import Struck

_PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
_REFUSAL = b'{"code":-1003,"msg":"Too much request weight used; please use WebSocket Streams."}'
_FAILURE = b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'

Faults = Mapping[str, Struck]


async def send(request: web.Request, response: web.Response, faults: Faults) -> web.StreamResponse:
    """Send a reply, or what faults (by name) leave of it."""
    if wait := faults.get("timeout"):
        await asyncio.sleep(wait.number("seconds"))
        return _reset(request)
    if "reset" in faults:
        return _reset(request)
    if late := faults.get("slow_answer"):
        await asyncio.sleep(late.number("seconds"))
    response = _replaced(response, faults)
    body = response.body
    if (truncated := faults.get("truncated_body")) and isinstance(body, bytes):
        return await _truncated(request, response, body, truncated.number("part"))
    return response


def _replaced(response: web.Response, faults: Faults) -> web.Response:
    headers = {name: value for name, value in response.headers.items() if name.startswith("X-MBX")}
    for name, status in (("http_429", 429), ("http_418", 418)):
        if struck := faults.get(name):
            headers["Retry-After"] = f"{struck.number('retry_after_s'):g}"
            return _json(status, _REFUSAL, headers)
    if struck := faults.get("http_5xx"):
        return _json(int(struck.number("status")), _FAILURE, headers)
    if "html_body" in faults:
        return web.Response(body=_PAGE, content_type="text/html", headers=headers)
    if "empty_body" in faults:
        return _json(200, b"", headers)
    if "empty_page" in faults:
        return _json(200, b"[]", headers)
    if (struck := faults.get("cut_json")) and isinstance(response.body, bytes):
        return _json(response.status, corruption.cut(response.body, struck.number("part")), headers)
    return response


def _json(status: int, body: bytes, headers: Mapping[str, str]) -> web.Response:
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")


async def _truncated(request: web.Request, whole: web.Response, body: bytes, part: float) -> web.StreamResponse:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    cut = web.StreamResponse(status=whole.status, headers=headers)
    await cut.prepare(request)
    await cut.write(corruption.cut(body, part))
    if request.transport is not None:
        request.transport.close()
    return cut


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        line: socket.socket = request.transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()
