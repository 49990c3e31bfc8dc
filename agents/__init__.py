"""Analysts, which turn the view of a market into advice, and the recommendation that they all give."""
