"""The simulated exchange's REST, Binance's part of it and the tests' own."""
