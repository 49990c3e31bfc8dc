"""A log's two parts, hot in Redis and cold in Parquet, its writer and its reader."""
