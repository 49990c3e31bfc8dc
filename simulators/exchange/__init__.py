"""A local exchange with Binance spot's REST and WebSocket API, seeded, with a ledger of its trades."""
