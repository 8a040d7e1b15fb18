"""Calls: of every call record the version that counts (SPEC section 3, Duplicates)."""

import polars as pl


def latest_calls(calls: pl.DataFrame) -> pl.DataFrame:
    """One row per (account, call_id): highest sequence, then latest end (absent is earliest), then
    smallest hash. calls: schemas.events.CALLS."""
    return (
        calls.sort(
            "sequence", "end", "hash", descending=[True, True, False], nulls_last=[True, True, True]
        )
        .unique(["account", "call_id"], keep="first", maintain_order=True)
        .sort("account", "call_id")
    )
