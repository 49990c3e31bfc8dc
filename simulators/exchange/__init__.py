"""A local exchange that speaks Binance spot's own REST and WebSocket, seeded, with a ledger of what it traded."""
