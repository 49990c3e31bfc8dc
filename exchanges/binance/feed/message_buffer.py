"""
Messages that a feed has brought and its reader has not taken yet.
"""

import asyncio
from collections.abc import Iterable
from typing import Literal

import msgspec

MessageKind = Literal["message", "connected", "disconnected"]


class RawMessage(msgspec.Struct, frozen=True, gc=False):
    """
    One message as it came, or the opening or end of a connection.

    Attributes:
        what: message, connected or disconnected.
        recv_ns: when it came.
        data: the message's bytes; of a connection why it was opened or ended, as text.
        connection: number of the connection that it came on, from 1.
        overlapping: whether another connection brings everything while this one opens or ends.
    """

    what: MessageKind
    recv_ns: int
    data: bytes
    connection: int = 0
    overlapping: bool = False


class MessageBuffer:
    """
    The messages of a feed for one of its readers.

    Args:
        streams: whose messages are for this reader.

    Attributes:
        pending: messages not taken yet, in order of arrival.
        ready: set when there are any, or when the feed has ended.
    """

    def __init__(self, streams: Iterable[str]) -> None:
        self.streams = frozenset(name.encode() for name in streams)
        self.pending: list[RawMessage] = []
        self.ready = asyncio.Event()

    def put(self, message: RawMessage) -> None:
        """Append a message and wake the reader."""
        self.pending.append(message)
        self.ready.set()

    def take(self) -> list[RawMessage]:
        """Remove and return all pending messages, oldest first."""
        messages, self.pending = self.pending, []
        self.ready.clear()
        return messages
