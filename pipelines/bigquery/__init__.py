"""BigQuery as an output: tables and checks, the backfill's sink, the stream's appends."""
