"""
Sending an answer over a real connection, with the faults that are made there: delays, broken bytes, broken sockets.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress

from aiohttp import web

from simulators.model.model import Answer
from simulators.model.script import Struck

_HTML = b"<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad gateway</h1></body></html>"
_RESET = struct.pack("ii", 1, 0)
_UNTIL_SEEN_S = 0.05
_BREAKS = {"truncated_body", "reset_after_headers"}


async def send(request: web.Request, answer: Answer, struck: Sequence[Struck]) -> web.StreamResponse:
    """Send an answer with the faults of the stages `delay` and `wire`; a client that has gone is no error."""
    with suppress(ConnectionError):
        return await _send(request, answer, {each.fault.name: each for each in struck})
    return web.Response()


async def _send(request: web.Request, answer: Answer, faults: Mapping[str, Struck]) -> web.StreamResponse:
    if slow := faults.get("slow_first_byte"):
        await asyncio.sleep(slow.number("seconds"))
    if "reset_before_headers" in faults:
        return _reset(request)
    kind, body = _spoilt(answer.body, faults)
    headers = {**answer.headers, "Content-Type": kind}
    waits = [faults[name] for name in ("keep_alive", "keep_alive_forever") if name in faults]
    if not waits and not _BREAKS & set(faults):
        return web.Response(status=answer.status, body=body, headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    if not waits:
        response.content_length = len(body)
    await response.prepare(request)
    for wait in waits:
        await _blank_lines(response, wait)
    return await _finish(request, response, body, faults)


async def _finish(
    request: web.Request, response: web.StreamResponse, body: bytes, faults: Mapping[str, Struck]
) -> web.StreamResponse:
    if "reset_after_headers" in faults:
        await response.write(body[:1] or b"\n")
        await asyncio.sleep(_UNTIL_SEEN_S)  # a reset overtakes what the client has not read yet
        return _reset(request)
    if "truncated_body" in faults or "keep_alive_forever" in faults:
        if "truncated_body" in faults:
            await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    await response.write(body)
    await response.write_eof()
    return response


async def _blank_lines(response: web.StreamResponse, wait: Struck) -> None:
    loop, every_s = asyncio.get_running_loop(), max(0.01, wait.number("every_s"))
    end = loop.time() + wait.number("seconds")
    while (left := end - loop.time()) > 0:
        await response.write(b"\n")
        await asyncio.sleep(min(every_s, left))


def _spoilt(body: bytes, faults: Mapping[str, Struck]) -> tuple[str, bytes]:
    """The media type and the bytes that are sent."""
    if "html_body" in faults:
        return "text/html; charset=utf-8", _HTML
    kind = "application/json"
    if huge := faults.get("huge_body"):
        body = b'{"padding":"' + b"x" * int(huge.number("bytes")) + b'",' + body[1:]
    if "invalid_utf8" in faults:
        body = body[:1] + b'"\xff\xfe\xc3(":0,' + body[1:]
    return kind, b"" if "empty_body" in faults else body


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        opened: socket.socket | None = request.transport.get_extra_info("socket")
        if opened is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    return web.Response()
