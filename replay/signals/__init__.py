"""Signals, each with its control, and what is fitted on them."""
