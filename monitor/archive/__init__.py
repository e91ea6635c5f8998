"""The archive: every enriched lookup, once, in partitioned Parquet, for as long as the law lets it be kept."""
