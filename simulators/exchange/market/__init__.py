"""The simulated market: an order book and its orders, compiled and seeded."""
