"""Folds over trades: minutes, price levels, recent trades."""
