"""
Sends a REST reply with the faults of its request.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from simulators.exchange.faults import corruption
from simulators.exchange.faults.script import TriggeredFault

_PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
_REFUSAL = b'{"code":-1003,"msg":"Too much request weight used; please use WebSocket Streams."}'
_FAILURE = b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'

Faults = Mapping[str, TriggeredFault]


async def send(request: web.Request, response: web.Response, faults: Faults) -> web.StreamResponse:
    """
    Send a reply, changed or replaced by faults.

    Args:
        request: the request that it answers.
        response: the reply without faults.
        faults: the faults that the request triggered, by name; empty for none.
    """
    if wait := faults.get("timeout"):
        await asyncio.sleep(wait.number("seconds"))
        return _reset(request)
    if "reset" in faults:
        return _reset(request)
    if delay := faults.get("slow_answer"):
        await asyncio.sleep(delay.number("seconds"))
    response = _replace(response, faults)
    body = response.body
    if (truncation := faults.get("truncated_body")) and isinstance(body, bytes):
        return await _send_truncated(request, response, body, truncation.number("part"))
    return response


def _replace(response: web.Response, faults: Faults) -> web.Response:
    headers = {name: value for name, value in response.headers.items() if name.startswith("X-MBX")}
    for name, status in (("http_429", 429), ("http_418", 418)):
        if fault := faults.get(name):
            headers["Retry-After"] = f"{fault.number('retry_after_s'):g}"
            return _json(status, _REFUSAL, headers)
    if fault := faults.get("http_5xx"):
        return _json(int(fault.number("status")), _FAILURE, headers)
    if "html_body" in faults:
        return web.Response(body=_PAGE, content_type="text/html", headers=headers)
    if "empty_body" in faults:
        return _json(200, b"", headers)
    if "empty_page" in faults:
        return _json(200, b"[]", headers)
    if (fault := faults.get("cut_json")) and isinstance(response.body, bytes):
        return _json(response.status, corruption.truncate(response.body, fault.number("part")), headers)
    return response


def _json(status: int, body: bytes, headers: Mapping[str, str]) -> web.Response:
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")


async def _send_truncated(request: web.Request, original: web.Response, body: bytes, part: float) -> web.StreamResponse:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    response = web.StreamResponse(status=original.status, headers=headers)
    await response.prepare(request)
    await response.write(corruption.truncate(body, part))
    if request.transport is not None:
        request.transport.close()
    return response


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()
