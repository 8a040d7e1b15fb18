"""Dead letters for rows that cannot be written where they belong. Pure."""

import hashlib
from collections.abc import Collection

import polars as pl

from schemas.tables import DEAD_LETTERS

# What makes a row of a table one row; a row that is refused is named by it.
ROW_IDS = {
    "conversions": ("conversion_id", "revision"),
    "sessions": ("visitor_id", "session_id", "session_start", "revision"),
    "displays": ("tracking_number", "visitor_id", "session_id", "session_start", "revision"),
    "pageviews": ("visitor_id", "event_id", "time"),
    "engagements": ("visitor_id", "event_id", "time"),
    "dead_letters": ("dead_letter_id",),
}


def refused_rows(table_name: str, rows: pl.DataFrame, refused: Collection[int]) -> pl.DataFrame:
    """Dead letters for rows that the service refused; message_id is the row's id."""
    bad = rows[sorted(refused)]
    moment = pl.col("emitted_at")
    identity = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("") for name in ROW_IDS[table_name]], separator="/"
    )
    known = bad.select(
        "account",
        received_date=moment.dt.date(),
        received_at=moment,
        code=pl.lit("row_refused"),
        event_type=pl.lit(table_name),
        origin=pl.lit(f"rows of {table_name}"),
        message_id=identity,
    )
    ids = [
        hashlib.sha256(
            "\0".join((table_name, row["account"], row["message_id"])).encode()
        ).hexdigest()[:32]
        for row in known.iter_rows(named=True)
    ]
    empty = pl.DataFrame(DEAD_LETTERS.arrow_schema().empty_table())
    letters = known.with_columns(pl.Series("dead_letter_id", ids, pl.String))
    return pl.concat([empty, letters], how="diagonal_relaxed").select(DEAD_LETTERS.names)
