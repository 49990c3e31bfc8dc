"""Facts on disk while the log server is away, and how they come into the log."""
