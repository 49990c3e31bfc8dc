"""Measures of changes of the book: OFI, micro-price, toxicity."""
