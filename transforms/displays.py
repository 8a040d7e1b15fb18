"""Displays: which session was shown which tracking number, and when (SPEC sections 1, 8, 10)."""

import polars as pl

from transforms.sessions import Visits
from transforms.settings import DAY, HOUR
from transforms.visits import ENGAGEMENT, PAGEVIEW


def find_displays(visits: Visits) -> pl.DataFrame:
    """One row per display: session, tracking_number, time (us); by session and time.

    tracking_number is an Enum of the numbers that occur: they are few and come often.
    """
    lists = visits.pageviews["tracking_numbers"]
    numbers = pl.Enum(lists.explode().drop_nulls().unique().sort())
    pages = visits.visits.filter(pl.col("rank") == PAGEVIEW).select("session", "time", "row")
    shown = pages.with_columns(
        lists.list.first().cast(numbers).gather(pages["row"]).alias("tracking_number")
    )
    several = lists.list.len().gather(pages["row"]) > 1
    if several.any():
        rows = pages.filter(several)
        rest = lists.gather(rows["row"]).list.slice(1).alias("tracking_number")
        others = rows.with_columns(rest).explode("tracking_number")
        shown = pl.concat([shown, others.with_columns(pl.col("tracking_number").cast(numbers))])
        shown = shown.sort("session", "time", maintain_order=True)
    return shown.filter(pl.col("tracking_number").is_not_null()).drop("row")


def find_engaged(visits: pl.DataFrame, displays: pl.DataFrame) -> pl.DataFrame:
    """Engagements while a number was on the page: session, tracking_number, time (us).

    visits: as transforms.visits.number_sessions gives them, session by session. The page is the
    session's latest pageview at or before the engagement; of several at one time each counts.
    """
    is_page = pl.col("rank") == PAGEVIEW
    # Sessions stand one after the other, so that what is filled in from another one shows.
    page = visits.select(
        "session",
        "time",
        "rank",
        pl.when(is_page).then("time").forward_fill().alias("page_time"),
        pl.when(is_page).then("session").forward_fill().alias("page_session"),
    )
    return (
        page.filter((pl.col("rank") == ENGAGEMENT) & (pl.col("page_session") == pl.col("session")))
        .join(displays.rename({"time": "page_time"}), on=["session", "page_time"])
        .select("session", "tracking_number", "time")
    )


def find_showings(displays: pl.DataFrame, engaged: pl.DataFrame) -> pl.DataFrame:
    """One row per session and number.

    Columns: session, tracking_number, display_times, engaged_times (sorted lists of us),
    first_display, last_display, last_contact (us).
    """
    shown = displays.group_by("session", "tracking_number", maintain_order=True).agg(
        pl.col("time").alias("display_times"),
        pl.col("time").first().alias("first_display"),
        pl.col("time").last().alias("last_display"),
    )
    touched = engaged.group_by("session", "tracking_number").agg(
        pl.col("time").sort().alias("engaged_times"), pl.col("time").max().alias("last_engaged")
    )
    return (
        shown.join(touched, on=["session", "tracking_number"], how="left", maintain_order="left")
        .with_columns(
            pl.col("engaged_times").fill_null([]),
            pl.max_horizontal("last_display", "last_engaged").alias("last_contact"),
            pl.col("tracking_number").cast(pl.String),
        )
        .drop("last_engaged")
    )


def daily_displays(showings: pl.DataFrame) -> pl.DataFrame:
    """One row per session, number and UTC day: session, tracking_number, first_display,
    last_display (us), displays, day (days since 1970)."""
    one_day = pl.col("first_display") // DAY == pl.col("last_display") // DAY
    columns = ("session", "tracking_number", "first_display", "last_display", "displays", "day")
    whole = showings.filter(one_day).with_columns(
        pl.col("display_times").list.len().cast(pl.Int64).alias("displays"),
        (pl.col("first_display") // DAY).alias("day"),
    )
    parts = (
        showings.filter(~one_day)
        .select("session", "tracking_number", "display_times")
        .explode("display_times")
        .group_by("session", "tracking_number", (pl.col("display_times") // DAY).alias("day"))
        .agg(
            pl.col("display_times").min().alias("first_display"),
            pl.col("display_times").max().alias("last_display"),
            pl.len().cast(pl.Int64).alias("displays"),
        )
    )
    return pl.concat([whole.select(columns), parts.select(columns)])


def within_reach(showings: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """The showings that some call may have come from, once for every slice of time with such calls.

    showings: with account, session_id, horizon and declared_horizon (us from the last contact or
    display to the latest call it can explain). calls: account, tracking_number, start (us),
    session_id. Adds `slice` (see slice_of). Exact decisions are left to transforms.candidates.
    """
    by = ["account", "tracking_number"]
    ahead = calls.select(*by, pl.col("start").alias("first_display")).drop_nulls()
    ahead = ahead.unique().sort("first_display").with_columns(next_call="first_display")
    reached = (
        showings.sort("first_display")
        .join_asof(ahead, on="first_display", by=by, strategy="forward", check_sortedness=False)
        .with_columns((pl.col("last_contact") + pl.col("horizon")).alias("until"))
        .filter(pl.col("next_call") <= pl.col("until"))
        .drop("next_call")
    )
    declared = calls.filter(pl.col("session_id").is_not_null()).select(*by, "session_id").unique()
    named = showings.join(declared, on=[*by, "session_id"], how="semi").with_columns(
        (pl.col("last_display") + pl.col("declared_horizon")).alias("until")
    )
    slices = calls.select(*by, slice_of("start")).unique()
    return (
        pl.concat([reached, named])
        .with_columns(
            pl.int_ranges(slice_of("first_display"), slice_of("until") + 1).alias("slice")
        )
        .explode("slice")
        .join(slices, on=[*by, "slice"], how="semi")
        .unique([*by, "session", "slice"])
        .drop("until")
    )


def slice_of(moment: str) -> pl.Expr:
    """The hour of a moment, as `slice`: a number that every page shows is cut into hours of calls,
    so that not even one day of it has to be in memory at once."""
    return (pl.col(moment) // HOUR).alias("slice")
