"""The two tools' JSON."""
