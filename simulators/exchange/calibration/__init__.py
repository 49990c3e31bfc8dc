"""The calibration page of the simulated market: its statistics beside those of real trades, and their bands."""
