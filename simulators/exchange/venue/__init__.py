"""The simulated venue: its history, what it answers and how Binance words it."""
