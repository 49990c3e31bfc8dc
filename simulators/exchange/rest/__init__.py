"""The REST endpoints of the simulated exchange: Binance's, and some for tests."""
