"""Folds over books: snapshots, the order book, and its audit against a reference."""
