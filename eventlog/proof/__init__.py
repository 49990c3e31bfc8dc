"""Proofs about a log: that it is complete and intact, and which time ranges are unproven."""
