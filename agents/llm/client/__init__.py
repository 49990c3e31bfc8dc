"""The client of a model's API: transport, budget, prices, secrets."""
