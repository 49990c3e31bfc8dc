"""Raw messages of Binance that others recorded."""
