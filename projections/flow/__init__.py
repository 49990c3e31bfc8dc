"""Folds over changes of the book."""
