"""Comparison of live and replay, byte for byte."""
