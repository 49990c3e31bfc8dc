"""Binance's WebSocket feed: connections, what they bring, and whether they still do."""
