"""The JSON of the two tools."""
