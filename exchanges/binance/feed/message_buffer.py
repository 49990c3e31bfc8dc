"""
What a feed has brought and its reader has not taken yet.
"""

import asyncio
from collections.abc import Iterable
from typing import Literal

import msgspec

News = Literal["message", "connected", "disconnected"]


class RawMessage(msgspec.Struct, frozen=True, gc=False):
    """
    One message as it came, or what became of a connection.

    Attributes:
        line: which connection it came on, the first being 1.
        overlapping: of a connection that comes or goes while another one brings everything.
    """

    what: News
    recv_ns: int
    data: bytes
    line: int = 0
    overlapping: bool = False


class MessageBuffer:
    """
    One reader's part of a feed.

    Args:
        streams: whose messages are for this reader.

    Attributes:
        waiting: in order of arrival. filled: set when something came.
    """

    def __init__(self, streams: Iterable[str]) -> None:
        self.streams = frozenset(name.encode() for name in streams)
        self.waiting: list[RawMessage] = []
        self.filled = asyncio.Event()

    def put(self, received: RawMessage) -> None:
        """One more."""
        self.waiting.append(received)
        self.filled.set()

    def take(self) -> list[RawMessage]:
        """Everything that waits."""
        taken, self.waiting = self.waiting, []
        self.filled.clear()
        return taken
