"""The settings: YAML and environment, checked and frozen."""
