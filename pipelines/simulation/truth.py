"""The truth as the events can tell it: the sessions that arrived, and each call's session."""

import numpy as np
import polars as pl

from pipelines.simulation.draws import MINUTE, Flags, Ints
from pipelines.simulation.pages import Traffic

SESSION_GAP_MS = 30 * MINUTE
NOT_TRACKED = "not_tracked"
# Calls that follow from looking at a page. Of others the reason stands also where the visit never
# arrived: who tries again or kept the number did so, whatever is known of them.
OF_VISITS = ("browsing", "after_visit", "later", "form")


def find_sessions(traffic: Traffic, seen: Flags, engagements: pl.DataFrame) -> pl.DataFrame:
    """The sessions of events that count: a row an event, with `visit`, `page` (row of Pages, null
    for engagements), `visitor`, `time_ms` and `session_start` (ms).

    Without ids of a tracker: a page view more than half an hour after the visitor's previous event
    starts a session, and so does the visitor's first event (SPEC section 5, by itself here).
    """
    rows = np.flatnonzero(seen)
    pages = pl.DataFrame(
        {
            "visit": traffic.pages.visit[rows],
            "page": rows,
            "time_ms": traffic.pages.time_ms[rows],
        }
    )
    engaged = engagements.select("visit", pl.lit(None, pl.Int64).alias("page"), "time_ms")
    events = pl.concat([pages, engaged])
    visitor = traffic.visits.visitor[events["visit"].to_numpy()]
    events = events.with_columns(pl.Series("visitor", visitor)).sort(
        "visitor", "time_ms", "page", nulls_last=True
    )
    pause = pl.col("time_ms").diff().over("visitor")
    starts = pause.is_null() | ((pause > SESSION_GAP_MS) & pl.col("page").is_not_null())
    start = pl.when(starts).then("time_ms").forward_fill().over("visitor")
    return events.with_columns(start.alias("session_start"))


def named_sessions(traffic: Traffic, seen: Flags, engagements: pl.DataFrame) -> pl.DataFrame:
    """The same where the tracker names sessions: each visit is one."""
    events = find_sessions(traffic, seen, engagements)
    return events.with_columns(pl.col("time_ms").min().over("visit").alias("session_start"))


def true_sessions(traffic: Traffic, calls: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Calls with `seen_visit`, `visitor` and `session_start` of the session that made them.

    That of the page looked at, or, where it was lost, of the visit's latest page before it, else of
    its first. Nothing of the visit having arrived by the time of the call, they are null, and a
    reason of OF_VISITS becomes NOT_TRACKED.
    """
    stand_in = _arrived_page(traffic, sessions)
    look = calls["look"].to_numpy()
    page = np.where(look >= 0, stand_in[look], -1)
    found = pl.DataFrame({"page": page}).join(
        sessions.filter(pl.col("page").is_not_null()).select(
            "page", "visitor", "session_start", pl.col("time_ms").alias("seen_ms")
        ),
        on="page",
        how="left",
        maintain_order="left",
    )
    told = pl.concat([calls, found.drop("page")], how="horizontal")
    known = pl.col("seen_ms") <= pl.col("time_ms")
    lost = pl.col("reason").is_in(OF_VISITS) & ~known.fill_null(False)
    return told.with_columns(
        pl.when(known).then("visitor"),
        pl.when(known).then("session_start"),
        pl.when(lost).then(pl.lit(NOT_TRACKED)).otherwise("reason").alias("reason"),
    ).drop("seen_ms")


def _arrived_page(traffic: Traffic, sessions: pl.DataFrame) -> Ints:
    """For each page the page of its visit that stands for it: itself if it arrived, -1 if none."""
    size = len(traffic.pages)
    arrived = sessions["page"].drop_nulls().to_numpy()
    own = np.full(size, -1)
    own[arrived] = arrived
    latest = np.maximum.accumulate(own)
    later = np.where(own < 0, size, own)
    next_one = np.append(np.minimum.accumulate(later[::-1])[::-1], size)
    firsts = traffic.pages.firsts(len(traffic.visits))
    first, end = firsts[traffic.pages.visit], firsts[traffic.pages.visit + 1]
    stand_in = np.where(latest >= first, latest, next_one[first])
    return np.where(stand_in < end, stand_in, -1)
