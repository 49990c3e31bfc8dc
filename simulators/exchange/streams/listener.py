"""
A client of the streams, with the faults of its messages: what is silenced, delayed, reordered or corrupted.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from aiohttp import WSMsgType

from market.timestamps import MILLISECOND_NS
from simulators.exchange.clock import Clock
from simulators.exchange.faults import corruption
from simulators.exchange.faults.faults import Stream
from simulators.exchange.faults.script import TriggeredFault
from simulators.exchange.streams.connection import SHUTDOWN_STREAM, Connection, Frame
from simulators.exchange.streams.diff_ledger import DiffRecord
from simulators.exchange.venue import wire


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message of a stream.

    Attributes:
        stream: the stream's name. kind: the stream's kind.
        first, last: the ids it covers: an agg id twice, or U and u; 0 for other messages.
        payload: its JSON.
        diff: its record in the ledger of diffs, None for messages that are not in it.
    """

    stream: str
    kind: Stream
    first: int
    last: int
    payload: bytes
    diff: DiffRecord | None = None


class Listener:
    """
    A connection with the faults of its messages.

    Args:
        connection: the connection.
        number: of the client in order of connecting, from 1.
        clock: dates the events that faults insert.

    Attributes:
        closed: set when the connection has ended.
    """

    def __init__(self, connection: Connection, number: int, clock: Clock) -> None:
        self.connection = connection
        self.number = number
        self.closed = asyncio.Event()
        self._clock = clock
        self._silent_until: dict[str, float] = {}
        self._pending: list[tuple[str, int, Frame]] = []

    def is_subscribed(self, stream: str) -> bool:
        """Whether the client is subscribed to a stream."""
        return stream in self.connection.streams

    def deliver(self, message: Message, faults: Sequence[TriggeredFault]) -> None:
        """Send a message with the faults that it triggered; those of other connections are ignored."""
        own = [fault for fault in faults if fault.connection in (None, self.number)]
        for fault in own:
            if end := _ENDS.get(fault.name):
                end(self.connection, fault)
                return
            self._apply_before(message, fault)
        if self._is_silent(message.kind) or self.connection.half_open:
            return
        ready = self._pop_ready(message.stream)
        self._send(message, {fault.name: fault for fault in own})
        for frame in ready:
            self.connection.put(frame)

    def _apply_before(self, message: Message, fault: TriggeredFault) -> None:
        match fault.name:
            case "stall":
                self._silence(fault.text("streams"), fault.number("seconds"))
            case "server_shutdown":
                self.connection.send(SHUTDOWN_STREAM, wire.shutdown_notice(self._now_ms()))
                loop = asyncio.get_running_loop()
                loop.call_later(fault.number("seconds"), self.connection.close, 1001, b"server shutdown")
            case "unknown_event":
                event, symbol = fault.text("event"), message.stream.partition("@")[0]
                payload = f'{{"e":"{event}","E":{self._now_ms()},"s":"{symbol.upper()}"}}'.encode()
                self.connection.send(f"{symbol}@{event}", payload)
            case "other_symbol":
                symbol = fault.text("symbol")
                stream = symbol.lower() + "@" + message.stream.partition("@")[2]
                self.connection.send(stream, corruption.replace_symbol(message.payload, symbol))
            case "binary_noise":
                noise = corruption.make_noise(int(fault.number("bytes")), message.last)
                self.connection.put(Frame(noise, WSMsgType.BINARY))

    def _send(self, message: Message, faults: Mapping[str, TriggeredFault]) -> None:
        if "missing" in faults:
            return
        payload = message.payload
        if "json_numbers" in faults:
            payload = corruption.unquote_numbers(payload)
        if giant := faults.get("giant_message"):
            payload = corruption.pad(payload, int(giant.number("bytes")))
        frame = self.connection.frame(message.stream, payload)
        for name, fault in faults.items():
            frame = _CORRUPTIONS[name](frame, fault) if name in _CORRUPTIONS else frame
        if not faults.keys() & _UNREADABLE:
            frame = replace(frame, diff=message.diff)
        if delay := faults.get("reordered"):
            self._pending.append((message.stream, int(delay.number("messages")), frame))
        elif delay := faults.get("delayed"):
            asyncio.get_running_loop().call_later(delay.number("seconds"), self.connection.put, frame)
        else:
            copies = faults.get("duplicate")
            self.connection.put(frame)
            for _ in range(int(copies.number("copies")) - 1 if copies else 0):
                self.connection.put(replace(frame, diff=None))

    def _pop_ready(self, stream: str) -> list[Frame]:
        # Counts a message of the stream for the frames that wait for some more of them.
        pending = [(name, messages - (name == stream), frame) for name, messages, frame in self._pending]
        self._pending = [item for item in pending if item[1] > 0]
        return [frame for _, messages, frame in pending if messages <= 0]

    def _silence(self, streams: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds if seconds else inf
        self._silent_until[streams] = until

    def _is_silent(self, kind: Stream) -> bool:
        time_s = asyncio.get_running_loop().time()
        return any(self._silent_until.get(name, 0) > time_s for name in ("all", kind))

    def _now_ms(self) -> int:
        return self._clock.now_ns() // MILLISECOND_NS


def _end_clean(connection: Connection, fault: TriggeredFault) -> None:
    connection.close(int(fault.number("code")), fault.text("reason").encode())


_ENDS: Mapping[str, Callable[[Connection, TriggeredFault], None]] = {
    "disconnect_clean": _end_clean,
    "disconnect_abrupt": lambda connection, _: connection.reset(),
    "half_open": lambda connection, _: connection.make_half_open(),
}
_CORRUPTIONS: Mapping[str, Callable[[Frame, TriggeredFault], Frame]] = {
    "malformed_json": lambda frame, _: replace(frame, data=corruption.break_json(frame.data)),
    "truncated_json": lambda frame, fault: replace(frame, data=corruption.truncate(frame.data, fault.number("part"))),
    "invalid_utf8": lambda frame, _: Frame(corruption.insert_invalid_utf8(frame.data), WSMsgType.BINARY),
    "binary_frame": lambda frame, _: replace(frame, kind=WSMsgType.BINARY),
}
_UNREADABLE = {"json_numbers", "giant_message", "malformed_json", "truncated_json", "invalid_utf8"}
