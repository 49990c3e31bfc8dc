"""How late, how fast and how full everything is, in a file, in the log and for Prometheus."""
