"""Measures of trades: profiles, tests of levels, absorption, sweeps."""
