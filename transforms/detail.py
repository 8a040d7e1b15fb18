"""Rows of `pageviews` and `engagements`: what the tracker sent, protected (SPEC 10, 11)."""

import polars as pl

from schemas.tables import ENGAGEMENTS, PAGEVIEWS
from transforms.referrers import identify_referrers
from transforms.rows import utc, utc_day
from transforms.sessions import Visits
from transforms.urls import clean_url
from transforms.visits import ENGAGEMENT, PAGEVIEW


def pageview_rows(visits: Visits, sessions: pl.DataFrame, emitted_at: int) -> pl.DataFrame:
    """Rows of `pageviews`, each with the id of its session. emitted_at: us."""
    rows = _with_session(visits.visits, sessions, PAGEVIEW, visits.pageviews)
    return (
        rows.with_columns(
            clean_url(rows["url"]).alias("url"),
            identify_referrers(rows["referrer"])["referrer"].alias("referrer"),
            pl.col("tracking_numbers", "consent", "variants", "third_party_ids").fill_null([]),
            utc_day("time").alias("pageview_date"),
            pl.lit(emitted_at, pl.Int64).alias("emitted_at"),
        )
        .with_columns(utc("time", "emitted_at"))
        .select(PAGEVIEWS.names)
    )


def engagement_rows(visits: Visits, sessions: pl.DataFrame, emitted_at: int) -> pl.DataFrame:
    """Rows of `engagements`, each with the id of its session. emitted_at: us."""
    rows = _with_session(visits.visits, sessions, ENGAGEMENT, visits.engagements)
    return (
        rows.with_columns(
            pl.col("consent").fill_null([]),
            utc_day("time").alias("engagement_date"),
            pl.lit(emitted_at, pl.Int64).alias("emitted_at"),
        )
        .with_columns(utc("time", "emitted_at"))
        .select(ENGAGEMENTS.names)
    )


def _with_session(
    visits: pl.DataFrame, sessions: pl.DataFrame, rank: int, events: pl.DataFrame
) -> pl.DataFrame:
    """The events that count, in their visits' order, with their session's id."""
    kept = visits.filter(pl.col("rank") == rank).select("session", "row")
    named = kept.join(sessions.select("session", "session_id"), on="session", maintain_order="left")
    return events[kept["row"]].with_columns(named["session_id"])
