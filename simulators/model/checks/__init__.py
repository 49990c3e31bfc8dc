"""The checks of requests: which the simulated model accepts, and which it refuses."""
