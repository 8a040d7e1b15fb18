"""What a caller had done before: earlier calls, forms, the origin of a kept number (SPEC 8, 9)."""

import polars as pl

from transforms.candidates import CALL

CALLER = ["account", "caller_key"]


def count_earlier(calls: pl.DataFrame) -> pl.DataFrame:
    """Adds earlier_calls: the caller's inbound calls to the account before each call, by start then
    call_id, within `lookback` (us); null for an unknown caller."""
    known = calls.filter(pl.col("caller_key").is_not_null()).select(
        *CALLER, "call_id", "start", "lookback", (pl.col("direction") == "inbound").alias("counts")
    )
    ordered = known.sort(*CALLER, "start", "call_id").with_columns(
        pl.col("counts").cast(pl.Int64).cum_sum().over(CALLER).alias("upto"),
    )
    totals = ordered.group_by(*CALLER, "start").agg(pl.col("upto").max().alias("too_old"))
    dated = ordered.with_columns((pl.col("start") - pl.col("lookback")).alias("from"))
    counted = dated.sort("from").join_asof(
        totals.sort("start").rename({"start": "until"}),
        left_on="from",
        right_on="until",
        by=CALLER,
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    before = pl.col("upto") - pl.col("counts").cast(pl.Int64) - pl.col("too_old").fill_null(0)
    return calls.join(
        counted.select(*CALL, before.alias("earlier_calls")),
        on=CALL,
        how="left",
        maintain_order="left",
    )


def knows_number(calls: pl.DataFrame) -> pl.DataFrame:
    """Adds knows_number: the caller called this same number before, within `lookback` (us)."""
    inbound = calls.filter(
        (pl.col("direction") == "inbound") & pl.col("caller_key").is_not_null()
    ).sort(*CALLER, "tracking_number", "start", "call_id")
    before = pl.col("start").shift().over(*CALLER, "tracking_number")
    knows = inbound.select(
        *CALL, (pl.col("start") - before <= pl.col("lookback")).alias("knows_number")
    )
    return calls.join(knows, on=CALL, how="left", maintain_order="left").with_columns(
        pl.col("knows_number").fill_null(False)
    )


def find_forms(calls: pl.DataFrame, entries: pl.DataFrame) -> pl.DataFrame:
    """The latest form entry of each call's caller within `form_window` (us) before the call.

    entries: account, caller_key, time (us), event_id, hash, fact, visitor_id.
    Result: account, call_id, fact, visitor_id. Of entries at one time the greatest event_id counts,
    absent first, then the smallest hash.
    """
    latest = entries.sort(
        "time",
        "event_id",
        "hash",
        descending=[False, True, False],
        nulls_last=[False, False, False],
    ).unique([*CALLER, "time"], keep="first", maintain_order=True)
    return (
        calls.filter(pl.col("caller_key").is_not_null())
        .select(*CALL, "caller_key", "start", "form_window")
        .sort("start")
        .join_asof(
            latest.select(*CALLER, "time", "fact", "visitor_id").sort("time"),
            left_on="start",
            right_on="time",
            by=CALLER,
            strategy="backward",
            check_sortedness=False,
        )
        .filter(pl.col("start") - pl.col("time") <= pl.col("form_window"))
        .select(*CALL, "fact", "visitor_id")
    )


def find_origins(calls: pl.DataFrame, own_sessions: pl.DataFrame) -> pl.DataFrame:
    """The session a kept number came from, for calls that know their number.

    own_sessions: account, call_id, fact, visitor_id of inbound calls that have an own session.
    Result: account, call_id, fact, visitor_id: those of the earliest earlier call to the same
    number within `lookback` (us) that has one.
    """
    by = [*CALLER, "tracking_number"]
    earliest = (
        calls.select(*CALL, "caller_key", "tracking_number", "start")
        .join(own_sessions, on=CALL)
        .sort("start", "call_id")
        .unique([*by, "start"], keep="first", maintain_order=True)
        .rename({"start": "earlier_start", "call_id": "earlier_call_id"})
    )
    asked = calls.filter("knows_number").select(
        *by, "call_id", "start", (pl.col("start") - pl.col("lookback")).alias("from")
    )
    found = asked.sort("from").join_asof(
        earliest.sort("earlier_start"),
        left_on="from",
        right_on="earlier_start",
        by=by,
        strategy="forward",
        check_sortedness=False,
    )
    earlier = (pl.col("earlier_start") < pl.col("start")) | (
        (pl.col("earlier_start") == pl.col("start"))
        & (pl.col("earlier_call_id") < pl.col("call_id"))
    )
    return found.filter(earlier).select(*CALL, "fact", "visitor_id")
