"""Where facts come from: one package a venue, each speaking the venue's own wire format."""
