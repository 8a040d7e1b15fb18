"""Sessions: what a visitor did without a pause, and where the visit came from (SPEC section 5)."""

from typing import NamedTuple

import polars as pl

from schemas.config import Config
from schemas.rules import rule_set
from schemas.tables import SESSION_COLUMNS
from transforms.settings import lookback, with_settings
from transforms.sources import SourceSettings, classify_sources
from transforms.user_agents import resolve_user_agents
from transforms.visits import ENGAGEMENT, PAGEVIEW

MAX_TOUCHPOINTS = 20
SESSION_FIELDS = tuple(column.name for column in SESSION_COLUMNS)
ENTRY_FIELDS = (
    "account",
    "url",
    "referrer",
    "title",
    "page_name",
    "user_agent",
    "ip_prefix",
    "consent",
    "variants",
    "third_party_ids",
)
TOUCHPOINT_FIELDS = ("session_id", "session_start", "source", "medium", "campaign", "channel")


class Visits(NamedTuple):
    """Ordered, unique visits with their session's number, and the tables they came from.

    visits: as transforms.visits.number_sessions gives them; `row` points into pageviews (rank
    PAGEVIEW) or engagements (rank ENGAGEMENT).
    """

    visits: pl.DataFrame
    pageviews: pl.DataFrame
    engagements: pl.DataFrame


def sessionize(visits: Visits, config: Config) -> pl.DataFrame:
    """One row per session, in the order of its number.

    Columns: session, visitor, account, session_id, visitor_id, session_start, session_end (us),
    pageviews, engagements, actions, clicks, SESSION_FIELDS, contact_keys, rule_set.
    """
    spans = _spans(visits.visits)
    entries = _entries(visits, config)
    contacts = _contacts(visits)
    return (
        spans.join(entries, on="session", how="left", maintain_order="left")
        .join(contacts, on="session", how="left", maintain_order="left")
        .with_columns(
            pl.col("is_bot").fill_null(False),
            pl.col("actions", "clicks").fill_null(0),
            pl.col("contact_keys").fill_null([]),
            rule_set=pl.lit(rule_set()),
        )
    )


def _spans(visits: pl.DataFrame) -> pl.DataFrame:
    """Start, end, id and counts of every session."""
    spans = visits.group_by("session", maintain_order=True).agg(
        pl.col("visitor", "account", "visitor_id", "session_id").first(),
        pl.col("time").first().alias("session_start"),
        pl.col("time").last().alias("session_end"),
        (pl.col("rank") == PAGEVIEW).sum().cast(pl.Int64).alias("pageviews"),
        (pl.col("rank") == ENGAGEMENT).sum().cast(pl.Int64).alias("engagements"),
    )
    derived = pl.format("{}-{}", "visitor_id", pl.col("session_start") // 1000)
    return spans.with_columns(pl.coalesce("session_id", derived).alias("session_id"))


def _entries(visits: Visits, config: Config) -> pl.DataFrame:
    """The session columns, from the earliest pageview of every session that has one."""
    pages = visits.visits.filter(pl.col("rank") == PAGEVIEW).select("session", "row")
    first = pages.filter(pl.col("session").ne_missing(pl.col("session").shift()))
    entry = visits.pageviews.select(pl.col(ENTRY_FIELDS).gather(first["row"]))
    sources = classify_sources(
        entry.select("account", "url", "referrer"), source_settings(entry["account"], config)
    )
    agents = resolve_user_agents(entry["user_agent"])
    return (
        pl.concat(
            [
                first.select("session"),
                entry.drop("referrer", "account", "url", "user_agent"),
                sources,
                agents.drop("user_agent", strict=False),
            ],
            how="horizontal",
        )
        .with_columns(pl.coalesce("page_name", "title").alias("entry_page"))
        .with_columns(pl.col("consent", "variants", "third_party_ids").fill_null([]))
        .select("session", *SESSION_FIELDS)
    )


def source_settings(accounts: pl.Series, config: Config) -> dict[str, SourceSettings]:
    """What classifying sources needs to know of each account."""
    settings = {}
    for name in accounts.unique().to_list():
        account = config.account(name)
        settings[name] = SourceSettings(account.own_domains, account.ignored_referrers)
    return settings


def _contacts(visits: Visits) -> pl.DataFrame:
    """Per session with engagements: counts by kind and the keys entered in its forms."""
    rows = visits.visits.filter(pl.col("rank") == ENGAGEMENT)
    detail = visits.engagements[rows["row"]].select("kind", "phone_key", "email_key")
    keys = pl.concat_list("phone_key", "email_key").explode()
    return (
        pl.concat([rows.select("session"), detail], how="horizontal")
        .group_by("session")
        .agg(
            (pl.col("kind") == "action").sum().cast(pl.Int64).alias("actions"),
            (pl.col("kind") == "click").sum().cast(pl.Int64).alias("clicks"),
            keys.drop_nulls().unique().sort().alias("contact_keys"),
        )
    )


def touchpoints(sessions: pl.DataFrame, wanted: pl.Series, config: Config) -> pl.DataFrame:
    """The touchpoints of the wanted sessions (numbers): the visitor's own earlier sessions.

    Columns: session, touchpoints (list of TOUCHPOINT_FIELDS), ordered by start, then session_id,
    the session itself last among equals, the last 20. A robot's session is never one, not even
    its own.
    """
    sessions = sessions.select("session", "visitor", "account", "is_bot", *TOUCHPOINT_FIELDS)
    asked = sessions.filter(pl.col("session").is_in(wanted.implode()))
    asked = with_settings(asked, config, lookback=lookback).select(
        "session", "visitor", "lookback", pl.col("session_start").alias("until")
    )
    visitors = asked["visitor"].unique().implode()
    touches = sessions.filter(~pl.col("is_bot") & pl.col("visitor").is_in(visitors))
    touches = touches.sort("visitor", "session_start", "session_id").with_row_index("place")
    places = (
        touches.with_columns(pl.col("place").min().over("visitor").alias("first_place"))
        .group_by("visitor", pl.col("session_start").alias("until"))
        .agg(pl.col("first_place").first(), pl.col("place").max().alias("last_place"))
        .with_columns(pl.col("first_place", "last_place").cast(pl.Int64))
    )
    windows = asked.sort("until").join_asof(
        places.sort("until"),
        on="until",
        by="visitor",
        strategy="backward",
        coalesce=True,
        check_sortedness=False,
    )
    # As many places as may be shown, and one more: the session itself may be among them.
    first = pl.max_horizontal("first_place", pl.col("last_place") - MAX_TOUCHPOINTS)
    reach = (
        windows.drop_nulls("last_place")
        .with_columns(pl.int_ranges(first, pl.col("last_place") + 1).alias("place"))
        .explode("place")
        .with_columns(pl.col("place").cast(pl.UInt32))
        .join(
            touches.select("place", pl.col("session").alias("touch"), *TOUCHPOINT_FIELDS),
            on="place",
        )
        .filter(pl.col("session_start") >= pl.col("until") - pl.col("lookback"))
    )
    others = (
        reach.filter(pl.col("touch") != pl.col("session"))
        .sort("session", "session_start", "session_id")
        .select("session", *TOUCHPOINT_FIELDS)
    )
    itself = sessions.filter(~pl.col("is_bot")).join(asked, on="session", how="semi")
    lists = (
        pl.concat([others, itself.select(others.columns)])
        .group_by("session", maintain_order=True)
        .agg(pl.struct(TOUCHPOINT_FIELDS).tail(MAX_TOUCHPOINTS).alias("touchpoints"))
    )
    return asked.select("session").join(lists, on="session", how="left")
