"""SQL over all recordings, decisions and runs. Only the commands import this."""
