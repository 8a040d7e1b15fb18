"""Limits of the BigQuery service as numbers (its page Quotas and limits), checked before a write.

A project may have been given more; these are the ones every project has.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one project may do."""

    partitions_per_job: int = 4_000
    loads_per_table_per_day: int = 1_500
    row_bytes: int = 50 << 20
    append_request_bytes: int = 10 << 20


LIMITS = Limits()
