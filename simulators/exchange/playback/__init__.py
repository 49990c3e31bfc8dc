"""Recordings played by the simulated exchange, and markets written straight into a log."""
