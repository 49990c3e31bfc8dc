"""Measures of the book: walls, bands, voids, and shuffled books beside them."""
