"""Candidates: which sessions showed the number before the call (SPEC section 8)."""

from typing import Literal

import polars as pl

from schemas.config import Config
from transforms.settings import MINUTE, declared_window, with_settings

MAX_CANDIDATES = 1_000
CALL = ("account", "call_id")
NUMBER = ["account", "tracking_number"]
SESSION = ("visitor_id", "session_id", "session_start")


def find_candidates(showings: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """The sessions that may have made each inbound call.

    showings: one row per session and number (transforms.displays.find_showings, with session
    columns). calls: account, call_id, start (us), tracking_number, direction,
    match_window_minutes. Result: account, call_id, last_contact (us, the l_i of the formula),
    first_display, last_display (us), displays, and the showing's other columns. One row per call
    and visitor, at most MAX_CANDIDATES a call.
    """
    inbound = calls.filter(pl.col("direction") == "inbound")
    window = (pl.col("match_window_minutes") * MINUTE).round().cast(pl.Int64)
    human = showings.with_row_index("showing").filter(~pl.col("is_bot"))
    contacts = (
        human.select(
            "account",
            "tracking_number",
            "showing",
            pl.concat_list("display_times", "engaged_times").alias("time"),
        )
        .explode("time")
        .sort("account", "tracking_number", "time")
        .with_row_index("place")
    )
    pairs = _in_window(contacts, inbound, window)
    latest = pairs.group_by(*CALL, "showing").agg(pl.col("last_contact").max())
    names = showings.select(*SESSION).with_row_index("showing")
    chosen = (
        latest.join(names, on="showing")
        .sort(
            *CALL,
            "last_contact",
            "session_start",
            "session_id",
            descending=[False, False, True, True, False],
        )
        .unique([*CALL, "visitor_id"], keep="first", maintain_order=True)
        .sort(
            *CALL,
            "last_contact",
            "session_id",
            "visitor_id",
            descending=[False, False, True, False, False],
        )
        .filter(pl.int_range(pl.len()).over(*CALL) < MAX_CANDIDATES)
        .select(*CALL, "showing", "last_contact")
    )
    starts = calls.select(*CALL, "start")
    return _with_showing(chosen.join(starts, on=CALL, maintain_order="left"), showings)


def _in_window(contacts: pl.DataFrame, calls: pl.DataFrame, window: pl.Expr) -> pl.DataFrame:
    """(account, call_id, showing, last_contact) for every contact in [start - window, start]."""
    places = contacts.select(*NUMBER, "time", "place")
    asked = calls.select(
        *CALL, "tracking_number", "start", (pl.col("start") - window).alias("from")
    )
    first = _with_place(asked, places, "from", "forward").rename({"place": "first"})
    both = _with_place(first, places, "start", "backward").rename({"place": "last"})
    both = both.filter(pl.col("first") <= pl.col("last"))
    place = pl.int_ranges("first", pl.col("last") + 1, dtype=pl.UInt32)
    hits = both.select(*CALL, place.alias("place")).explode("place")
    times = contacts.select("place", "showing", pl.col("time").alias("last_contact"))
    return hits.join(times, on="place").drop("place")


def _with_place(
    asked: pl.DataFrame, places: pl.DataFrame, moment: str, strategy: Literal["forward", "backward"]
) -> pl.DataFrame:
    """Adds `place`, that of the number's first contact from a moment on, or the last up to it."""
    nearest: Literal["first", "last"] = "first" if strategy == "forward" else "last"
    return (
        asked.sort(moment)
        .join_asof(
            places.unique([*NUMBER, "time"], keep=nearest).sort("time"),
            left_on=moment,
            right_on="time",
            by=NUMBER,
            strategy=strategy,
            check_sortedness=False,
        )
        .drop("time")
    )


def find_declared(showings: pl.DataFrame, calls: pl.DataFrame, config: Config) -> pl.DataFrame:
    """The session that a call names, where it showed the number before (SPEC section 9).

    Same result columns as find_candidates; calls without a known declared session have no row.
    """
    by = ["account", "tracking_number", "session_id"]
    declared = calls.filter(pl.col("session_id").is_not_null()).select(*CALL, *by[1:], "start")
    declared = with_settings(declared, config, window=declared_window)
    shown = showings.with_row_index("showing").select(
        *by, "showing", "visitor_id", pl.col("display_times").alias("time")
    )
    latest = (
        declared.join(shown, on=by)
        .explode("time")
        .filter(pl.col("time") <= pl.col("start"))
        .filter(pl.col("start") - pl.col("time") <= pl.col("window"))
        .sort(*CALL, "time", "visitor_id", descending=[False, False, True, False])
        .unique(CALL, keep="first", maintain_order=True)
    )
    rows = latest.select(*CALL, "showing", pl.col("time").alias("last_contact"), "start")
    return _with_showing(rows, showings)


def _with_showing(rows: pl.DataFrame, showings: pl.DataFrame) -> pl.DataFrame:
    """Adds the showing's columns, and what the session had displayed by `start`."""
    shown = showings.drop("first_display", "last_display", "account")[rows["showing"]]
    spans = (
        pl.concat([rows.select("start"), shown.select("display_times")], how="horizontal")
        .with_row_index("row")
        .explode("display_times")
        .filter(pl.col("display_times") <= pl.col("start"))
        .group_by("row", maintain_order=True)
        .agg(
            pl.col("display_times").first().alias("first_display"),
            pl.col("display_times").last().alias("last_display"),
            pl.len().cast(pl.Int64).alias("displays"),
        )
    )
    return pl.concat(
        [
            rows.select(*CALL, "last_contact"),
            spans.drop("row"),
            shown.drop("display_times", "engaged_times", "last_contact", "tracking_number"),
        ],
        how="horizontal",
    )
