"""The commands of the console script `liquidity`."""
