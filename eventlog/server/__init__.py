"""The log's server: the one that is embedded, and connections to any."""
