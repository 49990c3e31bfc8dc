"""Measures of the book: walls, bands, voids, and shuffled books as their control."""
