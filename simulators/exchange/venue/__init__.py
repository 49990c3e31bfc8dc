"""The simulated venue: its history, its REST answers, and their JSON in Binance's format."""
