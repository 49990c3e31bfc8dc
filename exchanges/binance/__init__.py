"""Binance spot: its bytes as facts, its REST and WebSocket, its archive files."""
