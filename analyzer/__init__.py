"""The live analyzer: follows a log, decides at every tick, and publishes."""
