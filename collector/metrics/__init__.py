"""Latencies, rates and queue depths of recordings: in a file, in the program's log and for Prometheus."""
