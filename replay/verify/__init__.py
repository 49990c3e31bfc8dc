"""Live against replay, byte for byte."""
