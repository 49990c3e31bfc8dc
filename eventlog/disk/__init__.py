"""Files that are replaced atomically: private files, sealed JSON and Parquet."""
