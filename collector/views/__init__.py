"""What others read in Redis of a recording."""
