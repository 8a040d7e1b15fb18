"""Visits: pageviews and engagements in order, each once, each in its session (SPEC sections 3, 5)."""

import polars as pl

from schemas.config import Config
from transforms.settings import session_gap, session_max_gap, with_settings

PAGEVIEW, ENGAGEMENT = 0, 1
ORDER = ("visitor", "time", "rank", "event_id", "hash")


def order_visits(pageviews: pl.DataFrame, engagements: pl.DataFrame) -> pl.DataFrame:
    """All events of the visitors by visitor and time, pageviews first at equal times.

    Columns: account, visitor_id, session_id, time (us), event_id, hash; rank (PAGEVIEW or
    ENGAGEMENT), row (its row in the table given), visitor (a number for account and visitor_id).
    """
    columns = ("account", "visitor_id", "session_id", "time", "event_id", "hash")
    visits = pl.concat(
        table.select(*columns, pl.lit(rank, pl.Int8).alias("rank")).with_row_index("row")
        for rank, table in ((PAGEVIEW, pageviews), (ENGAGEMENT, engagements))
    )
    visitors = visits.select("account", "visitor_id").unique().with_row_index("visitor")
    return _sort(visits.join(visitors, on=["account", "visitor_id"]))


def _sort(visits: pl.DataFrame) -> pl.DataFrame:
    """Sorts by ORDER; the costly keys (event_id, hash) only where the cheap ones tie."""
    visits = visits.sort("visitor", "time", "rank")
    repeats = pl.all_horizontal(pl.col(key).eq(pl.col(key).shift()) for key in ORDER[:3])
    tied = visits.select(
        (repeats.fill_null(False) | repeats.shift(-1, fill_value=False)).alias("tied")
    )["tied"]
    if not tied.any():
        return visits
    ties = visits.filter(tied).sort(*ORDER, nulls_last=True)
    position = pl.concat([(~tied).arg_true(), tied.arg_true()])
    return pl.concat([visits.filter(~tied), ties])[position.arg_sort()]


def drop_duplicates(visits: pl.DataFrame) -> pl.DataFrame:
    """Of events with one (account, visitor, event_id, time) and kind the smallest hash stays.

    Without an event_id the hash is the identity (SPEC section 3, Duplicates).
    """
    same = pl.all_horizontal(
        *(pl.col(key).eq(pl.col(key).shift()) for key in ORDER[:3]),
        pl.col("event_id").eq_missing(pl.col("event_id").shift()),
        pl.col("event_id").is_not_null() | pl.col("hash").eq(pl.col("hash").shift()),
    )
    return visits.filter(~same.fill_null(False))


def number_sessions(visits: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Adds `session`, the number of each visit's session; rows come session by session, in order.

    A pageview without session id more than the gap after the visitor's previous event without one
    starts a session, as does any event more than the maximal gap after its session's last one.
    """
    if visits["session_id"].null_count() < visits.height:
        visits = visits.sort("visitor", "session_id", maintain_order=True)
    visits = with_settings(visits, config, gap=session_gap, max_gap=session_max_gap)
    silence = pl.col("time") - pl.col("time").shift()
    starts = (
        pl.col("visitor").ne(pl.col("visitor").shift())
        | pl.col("session_id").ne_missing(pl.col("session_id").shift())
        | (silence > pl.col("max_gap"))
        | (
            pl.col("session_id").is_null()
            & (pl.col("rank") == PAGEVIEW)
            & (silence > pl.col("gap"))
        )
    )
    session = starts.fill_null(True).cum_sum().cast(pl.UInt32) - 1
    return visits.with_columns(session.alias("session")).drop("gap", "max_gap")
