"""The measures: findings of a book and its order flow at a tick, each with the figures behind it. Pure."""
