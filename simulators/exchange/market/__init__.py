"""The market that the simulated exchange makes: an order book and its orders, compiled, seeded."""
