"""Commands on a log."""
