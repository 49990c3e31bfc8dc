"""What goes wrong with the simulated exchange, when it is asked to."""
