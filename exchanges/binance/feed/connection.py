"""
One WebSocket connection of a feed: what it brought, why it ends, and whether anybody is still there.
"""

import asyncio

from websockets.asyncio.client import ClientConnection


class Connection:
    """
    One connection, from the attempt to its end.

    Args:
        number: the first being 1. why: why it takes over from another, empty where it does not.

    Attributes:
        ending: why it is ended by us. opened: set once it is open, `open` while it is. opened_s, last_s: when it was
            opened, and when its last message came, of the event loop's clock. heard: which streams it brought.
    """

    def __init__(self, number: int, why: str) -> None:
        self.number = number
        self.why = why
        self.ending = ""
        self.opened = asyncio.Event()
        self.opened_s = 0.0
        self.last_s = 0.0
        self.open = False
        self.heard: set[bytes] = set()
        self.task: asyncio.Task[None]

    async def probe(self, socket: ClientConnection, silent_s: float, room: asyncio.Event) -> None:
        """
        Cut the connection when it brings nothing and answers no ping; while it is only quiet it stays.

        Args:
            silent_s: how long nothing may come until a ping asks, and how long its pong may take.
            room: not set while we do not read: then the silence is ours.
        """
        loop, alive_s = asyncio.get_running_loop(), 0.0
        while True:
            alive_s = max(alive_s, self.last_s)
            if (left_s := alive_s + silent_s - loop.time()) > 0 or not room.is_set():
                await asyncio.sleep(max(left_s, silent_s / 10))
                continue
            asked = loop.time()
            pong = asyncio.ensure_future(await socket.ping())
            await asyncio.wait([pong], timeout=silent_s)
            alive_s = loop.time()
            if not pong.done() and self.last_s < asked and room.is_set():
                self.ending = self.ending or f"silent: connection {alive_s - self.last_s:.0f} s, no pong"
                socket.transport.abort()
                return
