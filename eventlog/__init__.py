"""The log: numbered facts of one market, hot in a Redis stream, cold in Parquet, one writer, no gaps."""
