"""Measures of changes of the book: OFI, CVD, micro-price, toxicity."""
