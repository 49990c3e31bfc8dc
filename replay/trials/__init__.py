"""Experiments with models on recorded days: asking again, comparing in pairs, testing robustness."""
