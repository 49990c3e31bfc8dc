"""A log's two halves, hot in Redis and cold in Parquet, its writer and its reader."""
