"""The order flow of the simulated market: who trades, which way, and how the quotes answer; compiled."""
