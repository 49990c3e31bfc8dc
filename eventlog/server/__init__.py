"""The log's server: the embedded one, and connections to any."""
