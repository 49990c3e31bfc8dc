"""
One WebSocket connection of a feed: what it brought, why it ended, and whether the other side still answers.
"""

import asyncio

from websockets.asyncio.client import ClientConnection


class Connection:
    """
    One connection, from the attempt to its end.

    Args:
        number: of the connection, from 1.
        takeover_reason: why it takes over from another, empty where it does not.

    Attributes:
        end_reason: why we ended it, empty where we did not.
        open_event: set once it has been opened. open: whether it is open now.
        opened_s, last_s: when it was opened and when its last message came, of the event loop's clock.
        streams_seen: streams of which it brought a message.
    """

    def __init__(self, number: int, takeover_reason: str) -> None:
        self.number = number
        self.takeover_reason = takeover_reason
        self.end_reason = ""
        self.open_event = asyncio.Event()
        self.opened_s = 0.0
        self.last_s = 0.0
        self.open = False
        self.streams_seen: set[bytes] = set()
        self.task: asyncio.Task[None]

    async def probe(self, socket: ClientConnection, silent_s: float, has_room: asyncio.Event) -> None:
        """
        Abort the connection when it brings nothing and answers no ping; one that is only quiet stays open.

        Args:
            socket: of this connection.
            silent_s: seconds without a message until a ping is sent, and seconds that its pong may take.
            has_room: not set while we do not read; the silence is then due to us.
        """
        loop, alive_s = asyncio.get_running_loop(), 0.0
        while True:
            alive_s = max(alive_s, self.last_s)
            if (remaining_s := alive_s + silent_s - loop.time()) > 0 or not has_room.is_set():
                await asyncio.sleep(max(remaining_s, silent_s / 10))
                continue
            ping_s = loop.time()
            pong = asyncio.ensure_future(await socket.ping())
            await asyncio.wait([pong], timeout=silent_s)
            alive_s = loop.time()
            if not pong.done() and self.last_s < ping_s and has_room.is_set():
                self.end_reason = self.end_reason or f"silent: connection {alive_s - self.last_s:.0f} s, no pong"
                socket.transport.abort()
                return
