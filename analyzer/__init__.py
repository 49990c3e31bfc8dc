"""The live analyzer: it follows a log, decides at every tick, and publishes."""
