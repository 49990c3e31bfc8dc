"""Folds over books: snapshots, the order book, and what holds it against a reference."""
