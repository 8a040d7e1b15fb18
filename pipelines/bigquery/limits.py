"""Limits of the BigQuery service as numbers (its page Quotas and limits), checked before a write.

A project may have been given more; these are the ones every project has.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one project may do."""

    partitions_per_job: int = 4_000
    partitions_per_table: int = 10_000
    tables_per_transaction: int = 100
    loads_per_table_per_day: int = 1_500
    load_bytes: int = 15 << 40
    row_bytes: int = 100 << 20
    query_characters: int = 1 << 20
    append_request_bytes: int = 10 << 20
    append_connections: int = 1_000


LIMITS = Limits()
