"""What the simulated model answers, sound or unsound."""
