"""Facts that are spilled to disk while the log server is away, and their recovery into the log."""
