"""Binance's archive files of trades."""
