"""The measures: what a book and its order flow say at a tick, each with the figures behind it. Pure."""
