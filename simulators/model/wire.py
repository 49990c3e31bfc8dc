"""
Sends an answer over a real connection, with the faults of the stages `delay` and `wire`.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress

from aiohttp import web

from simulators.model.model import Answer
from simulators.model.script import TriggeredFault

_HTML = b"<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad gateway</h1></body></html>"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST
_READ_DELAY_S = 0.05  # time for the client to read the headers before the reset
_BREAKS = {"truncated_body", "reset_after_headers"}


async def send(request: web.Request, answer: Answer, faults: Sequence[TriggeredFault]) -> web.StreamResponse:
    """
    Send an answer; a client that has disconnected is no error.

    Args:
        request: the request that it answers.
        answer: status, body and headers.
        faults: all faults of the request; those of the stages `delay` and `wire` are applied.
    """
    with suppress(ConnectionError):
        return await _send(request, answer, {fault.name: fault for fault in faults})
    return web.Response()


async def _send(request: web.Request, answer: Answer, faults: Mapping[str, TriggeredFault]) -> web.StreamResponse:
    if delay := faults.get("slow_first_byte"):
        await asyncio.sleep(delay.number("seconds"))
    if "reset_before_headers" in faults:
        return _reset(request)
    kind, body = _corrupt(answer.body, faults)
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
    request: web.Request, response: web.StreamResponse, body: bytes, faults: Mapping[str, TriggeredFault]
) -> web.StreamResponse:
    if "reset_after_headers" in faults:
        await response.write(body[:1] or b"\n")
        await asyncio.sleep(_READ_DELAY_S)  # a reset discards what the client has not read yet
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


async def _blank_lines(response: web.StreamResponse, wait: TriggeredFault) -> None:
    loop, every_s = asyncio.get_running_loop(), max(0.01, wait.number("every_s"))
    end = loop.time() + wait.number("seconds")
    while (remaining := end - loop.time()) > 0:
        await response.write(b"\n")
        await asyncio.sleep(min(every_s, remaining))


def _corrupt(body: bytes, faults: Mapping[str, TriggeredFault]) -> tuple[str, bytes]:
    """The media type and the bytes to send."""
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
        connection: socket.socket | None = request.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    return web.Response()
