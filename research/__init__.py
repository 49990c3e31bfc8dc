"""SQL over everything that was recorded and decided. Nothing in the product imports this."""
