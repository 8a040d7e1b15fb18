"""Visits: pageviews and engagements in order, each once, in their sessions (SPEC sections 3, 5)."""

import polars as pl

from schemas.config import Config
from transforms.settings import session_gap, session_max_gap, with_settings

PAGEVIEW, ENGAGEMENT = 0, 1
WHO = ("account", "visitor_id")
WHEN = ("visitor", "time", "rank")
TIE_BREAK = ("event_id", "hash")


def order_visits(pageviews: pl.DataFrame, engagements: pl.DataFrame) -> pl.DataFrame:
    """All events of the visitors by visitor and time, pageviews first at equal times.

    Columns: account, visitor_id, session_id, time (us), event_id, hash; rank (PAGEVIEW or
    ENGAGEMENT), row (its row in the table given), visitor (a number for account and visitor_id).
    """
    columns = (*WHO, "session_id", "time", *TIE_BREAK)
    visits = pl.concat(
        table.select(*columns, pl.lit(rank, pl.Int8).alias("rank")).with_row_index("row")
        for rank, table in ((PAGEVIEW, pageviews), (ENGAGEMENT, engagements))
    )
    ordered = _sort(visits.with_columns(pl.struct(WHO).hash().alias("visitor")))
    return ordered if _tells_visitors_apart(ordered) else _sort(_count_visitors(visits))


def _sort(visits: pl.DataFrame) -> pl.DataFrame:
    """Sorts by WHEN and TIE_BREAK; the costly keys only where the cheap ones tie."""
    order = visits.select(pl.arg_sort_by(*WHEN)).to_series()
    tied = _repeats(WHEN, visits.select(pl.col(WHEN).gather(order)))
    tied = tied | tied.shift(-1, fill_value=False)
    places = tied.arg_true()
    if len(places):
        rows = order.gather(places)
        ties = visits[rows].with_columns(rows.alias("place"))
        ties = ties.sort(*WHEN, *TIE_BREAK, nulls_last=True)
        order = order.scatter(places, ties["place"])
    return visits.select(pl.all().gather(order))


def _repeats(columns: tuple[str, ...], rows: pl.DataFrame) -> pl.Series:
    """Whether each row has the values of the row before it; null equals null."""
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in columns)
    return rows.select(same & (pl.int_range(pl.len()) > 0)).to_series()


def _tells_visitors_apart(ordered: pl.DataFrame) -> bool:
    """False where two visitors have one hash, which only chance can bring about."""
    one_hash = _repeats(("visitor",), ordered)
    return bool((_repeats(WHO, ordered) | ~one_hash).all())


def _count_visitors(visits: pl.DataFrame) -> pl.DataFrame:
    visitors = visits.select(WHO).unique().with_row_index("visitor")
    return visits.join(visitors, on=WHO)


def drop_duplicates(visits: pl.DataFrame) -> pl.DataFrame:
    """Of events with one (account, visitor, event_id, time) and kind the smallest hash stays.

    visits: in the order of order_visits. Without an event_id the hash is the identity (SPEC
    section 3, Duplicates).
    """
    repeats = _repeats((*WHEN, "event_id"), visits)
    is_same_event = visits["event_id"].is_not_null() | _repeats(("hash",), visits)
    return visits.filter(~(repeats & is_same_event))


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
