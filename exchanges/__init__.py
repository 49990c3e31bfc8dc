"""Where facts come from: one package per exchange, each reading that exchange's own wire format."""
