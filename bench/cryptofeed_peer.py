"""
cryptofeed as its users run it: trades and books of one symbol into Redis streams. Run by `bench.collector_cpu`, by a
Python that need not be ours: `python cryptofeed_peer.py <rest url> <websocket url> <redis port> <base-quote>`.
"""

import asyncio
import importlib
import sys
from typing import Any


def main(rest_url: str, websocket_url: str, redis_port: int, symbol: str) -> None:
    """
    Follow the feed until interrupted.

    Args:
        rest_url, websocket_url: of the exchange.
        redis_port: of the server on this machine.
        symbol: base and quote, as cryptofeed writes them: BTC-USDT.
    """
    names = ("feedhandler", "exchanges", "connection", "defines", "backends.redis")
    handlers, exchanges, connections, defines, redis = (importlib.import_module(f"cryptofeed.{name}") for name in names)
    venue = exchanges.Binance
    (routes,) = (endpoint.routes for endpoint in venue.rest_endpoints)
    venue.rest_endpoints = [connections.RestEndpoint(rest_url, routes=routes)]
    venue.websocket_endpoints = [connections.WebsocketEndpoint(websocket_url.replace("ws://", "wss://"))]
    handler = handlers.FeedHandler()
    asyncio.set_event_loop(asyncio.new_event_loop())  # it expects one; its uvloop has long ceased to make it
    server = {"host": "127.0.0.1", "port": redis_port}
    feed = venue(
        symbols=[symbol],
        channels=[defines.TRADES, defines.L2_BOOK],
        callbacks={defines.TRADES: redis.TradeStream(**server), defines.L2_BOOK: redis.BookStream(**server)},
    )
    connect = feed.connect

    def connect_plain() -> Any:
        connections = connect()
        for connection, *_ in connections:
            connection.address = connection.address.replace(
                "wss://", "ws://"
            )  # it takes no other, the feed here no TLS
        return connections

    feed.connect = connect_plain
    handler.add_feed(feed)
    handler.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
