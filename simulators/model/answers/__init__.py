"""The answers of the simulated model, valid or with faults."""
