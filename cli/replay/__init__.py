"""Commands that replay a log."""
