"""
Connects many times and never finishes a request: `python half_open_clients.py PORT COUNT`, until its input ends.

Half say nothing, a quarter send a part of a head, a quarter send it a byte at a time. It prints how many connected.
"""

import resource
import select
import socket
import sys
from contextlib import suppress

_PART = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Part: "


def _connected(port: int) -> socket.socket | None:
    client = socket.socket()
    client.settimeout(5)
    try:
        client.connect(("127.0.0.1", port))
    except OSError:
        client.close()
        return None
    client.setblocking(False)
    return client


def _main(port: int, count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients: list[socket.socket] = []
    for _ in range(min(count, hard - 50)):
        if (client := _connected(port)) is not None:
            if len(clients) % 4 == 1:
                with suppress(OSError):  # it was turned away
                    client.send(_PART)
            clients.append(client)
    sys.stdout.write(f"connected {len(clients)}\n")
    sys.stdout.flush()
    at = 0
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        for client in clients[3::4]:
            with suppress(OSError):
                client.send(_PART[at % len(_PART) :][:1])
        at += 1


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
