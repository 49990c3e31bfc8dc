"""The faults of the simulated exchange, and the scripts that trigger them."""
