"""The fill engine: resting orders against recorded trades and books, under every queue model at once."""
