"""Faults on request: the scripts that tell a simulated server when to go wrong and how."""
