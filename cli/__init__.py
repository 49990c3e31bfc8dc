"""The commands: one console script, `liquidity`, and what it is made of."""
