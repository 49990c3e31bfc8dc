"""Files that are written whole: private, sealed, and Parquet."""
