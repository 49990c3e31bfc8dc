"""Stand-ins that behave like the real thing, and misbehave when told to."""
