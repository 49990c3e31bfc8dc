"""
A client of the streams as faults see it: what it hears, what is held back for it, and how a message reaches it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from aiohttp import WSMsgType

from simulators.exchange.clock import Clock
from simulators.exchange.faults import corruption
from simulators.exchange.faults.faults import Stream
from simulators.exchange.faults.script import Struck
from simulators.exchange.streams.connection import SHUTDOWN_STREAM, Connection, Frame
from simulators.exchange.streams.diff_ledger import MadeDiff
from simulators.exchange.venue import wire

_MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """
    A stream's message: whose it is, the ids it covers (an agg id twice, or U and u), and its JSON.

    Attributes:
        made: its entry in the ledger, where it has one that counts clients.
    """

    stream: str
    kind: Stream
    first: int
    last: int
    payload: bytes
    made: MadeDiff | None = None


class Listener:
    """
    A connection, and what faults have made of it.

    Args:
        number: which client this is, the first that connected being 1.
        clock: dates the events that faults put in.

    Attributes:
        gone: set when the client is served no more.
    """

    def __init__(self, connection: Connection, number: int, clock: Clock) -> None:
        self.connection = connection
        self.number = number
        self.gone = asyncio.Event()
        self._clock = clock
        self._silent_until: dict[str, float] = {}
        self._held: list[tuple[str, int, Frame]] = []

    def hears(self, stream: str) -> bool:
        """Whether the client is subscribed to a stream."""
        return stream in self.connection.streams

    def deliver(self, message: Message, struck: Sequence[Struck]) -> None:
        """Send a message, or what faults leave of it."""
        mine = [each for each in struck if each.connection in (None, self.number)]
        for each in mine:
            if end := _ENDS.get(each.fault.name):
                end(self.connection, each)
                return
            self._before(message, each)
        if self._is_silent(message.kind) or self.connection.dead:
            return
        due = self._due(message.stream)
        self._send(message, {each.fault.name: each for each in mine})
        for frame in due:
            self.connection.put(frame)

    def _before(self, message: Message, struck: Struck) -> None:
        match struck.fault.name:
            case "stall":
                self._silence(struck.text("streams"), struck.number("seconds"))
            case "server_shutdown":
                self.connection.tell(SHUTDOWN_STREAM, wire.shutdown_notice(self._now_ms()))
                loop = asyncio.get_running_loop()
                loop.call_later(struck.number("seconds"), self.connection.close, 1001, b"server shutdown")
            case "unknown_event":
                event, symbol = struck.text("event"), message.stream.partition("@")[0]
                payload = f'{{"e":"{event}","E":{self._now_ms()},"s":"{symbol.upper()}"}}'.encode()
                self.connection.tell(f"{symbol}@{event}", payload)
            case "other_symbol":
                symbol = struck.text("symbol")
                stream = symbol.lower() + "@" + message.stream.partition("@")[2]
                self.connection.tell(stream, corruption.about(message.payload, symbol))
            case "binary_noise":
                noise = corruption.noise(int(struck.number("bytes")), message.last)
                self.connection.put(Frame(noise, WSMsgType.BINARY))

    def _send(self, message: Message, faults: Mapping[str, Struck]) -> None:
        if "missing" in faults:
            return
        payload = message.payload
        if "json_numbers" in faults:
            payload = corruption.with_json_numbers(payload)
        if giant := faults.get("giant_message"):
            payload = corruption.with_blanks(payload, int(giant.number("bytes")))
        frame = self.connection.frame(message.stream, payload)
        for name, struck in faults.items():
            frame = _SPOILS[name](frame, struck) if name in _SPOILS else frame
        if not faults.keys() & _UNREADABLE:
            frame = replace(frame, made=message.made)
        if late := faults.get("reordered"):
            self._held.append((message.stream, int(late.number("messages")), frame))
        elif late := faults.get("delayed"):
            asyncio.get_running_loop().call_later(late.number("seconds"), self.connection.put, frame)
        else:
            copies = faults.get("duplicate")
            self.connection.put(frame)
            for _ in range(int(copies.number("copies")) - 1 if copies else 0):
                self.connection.put(replace(frame, made=None))

    def _due(self, stream: str) -> list[Frame]:
        # What is held back for this stream comes one message nearer.
        held = [(name, left - (name == stream), frame) for name, left, frame in self._held]
        self._held = [each for each in held if each[1] > 0]
        return [frame for _, left, frame in held if left <= 0]

    def _silence(self, streams: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds if seconds else inf
        self._silent_until[streams] = until

    def _is_silent(self, kind: Stream) -> bool:
        now = asyncio.get_running_loop().time()
        return any(self._silent_until.get(name, 0) > now for name in ("all", kind))

    def _now_ms(self) -> int:
        return self._clock.now_ns() // _MILLISECOND_NS


def _end_clean(connection: Connection, struck: Struck) -> None:
    connection.close(int(struck.number("code")), struck.text("reason").encode())


_ENDS: Mapping[str, Callable[[Connection, Struck], None]] = {
    "disconnect_clean": _end_clean,
    "disconnect_abrupt": lambda connection, _: connection.reset(),
    "half_open": lambda connection, _: connection.fall_dead(),
}
_SPOILS: Mapping[str, Callable[[Frame, Struck], Frame]] = {
    "malformed_json": lambda frame, _: replace(frame, data=corruption.malformed(frame.data)),
    "truncated_json": lambda frame, struck: replace(frame, data=corruption.cut(frame.data, struck.number("part"))),
    "invalid_utf8": lambda frame, _: Frame(corruption.with_invalid_utf8(frame.data), WSMsgType.BINARY),
    "binary_frame": lambda frame, _: replace(frame, kind=WSMsgType.BINARY),
}
_UNREADABLE = {"json_numbers", "giant_message", "malformed_json", "truncated_json", "invalid_utf8"}
