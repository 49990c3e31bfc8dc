"""Raw messages of Binance that other programs recorded."""
