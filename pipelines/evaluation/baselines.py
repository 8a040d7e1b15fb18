"""The rules that others use, as functions over displays and calls; and how they compare.

displays: account, tracking_number, visitor_id, session_id, time (us), of people's page views;
shown: the same ordered, with others_time.
calls: account, call_id, tracking_number, start (us). A rule's choice is one row per call that it
attributes: account, call_id, visitor_id, session_id, certainty (greater: rather; its own order).
"""

from collections.abc import Callable
from functools import partial

import polars as pl

from pipelines.evaluation.scoring import CALL, SESSION

Choose = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
SECOND = 1_000_000
NUMBER = ["account", "tracking_number"]
CHOICE = [*CALL, *SESSION, "certainty"]


def order_displays(displays: pl.DataFrame) -> pl.DataFrame:
    """Displays by time, with `others_time`: when another session last displayed the number."""
    shown = displays.select(*NUMBER, *SESSION, "time").sort(*NUMBER, "time", *SESSION)
    changes = pl.any_horizontal(pl.col(*NUMBER, *SESSION) != pl.col(*NUMBER, *SESSION).shift())
    before = pl.when(changes).then(pl.col("time").shift().over(NUMBER))
    marked = shown.with_columns(
        before.alias("others_time"), changes.cum_sum().alias("turn")
    ).with_columns(pl.col("others_time").first().over("turn"))
    return marked.drop("turn").sort("time", maintain_order=True)


def last_display(
    shown: pl.DataFrame, calls: pl.DataFrame, within_minutes: float | None = None
) -> pl.DataFrame:
    """The session that displayed the number last before the call; the latest are surest."""
    return _latest(shown, calls, within_minutes).select(CHOICE)


def exclusive_lease(
    shown: pl.DataFrame, calls: pl.DataFrame, hold_minutes: float = 5
) -> pl.DataFrame:
    """The session that holds the number: it displayed it at most `hold_minutes` before the call,
    and no other did; where several did, none is chosen."""
    by_others = pl.col("others_time")
    since_others = pl.col("start") - by_others
    alone = by_others.is_null() | (since_others > hold_minutes * 60 * SECOND)
    return _latest(shown, calls, hold_minutes).filter(alone).select(CHOICE)


def _latest(shown: pl.DataFrame, calls: pl.DataFrame, within_minutes: float | None) -> pl.DataFrame:
    """The latest display before each call."""
    asked = calls.select(*CALL, "tracking_number", "start").sort("start")
    found = asked.join_asof(
        shown,
        left_on="start",
        right_on="time",
        by=NUMBER,
        strategy="backward",
        tolerance=None if within_minutes is None else round(within_minutes * 60 * SECOND),
        check_sortedness=False,
    )
    certainty = (pl.col("time") - pl.col("start")) / SECOND
    return found.drop_nulls("time").with_columns(certainty.alias("certainty"))


def likeliest(candidates: pl.DataFrame) -> pl.DataFrame:
    """The likeliest candidate, always (candidates: scoring.list_candidates)."""
    return candidates.filter(pl.col("rank") == 0).select(
        *CALL, *SESSION, pl.col("probability").alias("certainty")
    )


RULES: dict[str, Choose] = {
    "last display within 30 minutes": partial(last_display, within_minutes=30),
    "last display within 60 minutes": partial(last_display, within_minutes=60),
    "last display always": last_display,
    "exclusive lease, 5 minutes": exclusive_lease,
}
ALWAYS_LIKELIEST = "always the likeliest"


def choose_all(
    displays: pl.DataFrame, calls: pl.DataFrame, candidates: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """The choices of every rule, by its name."""
    shown = order_displays(displays)
    chosen = {name: rule(shown, calls) for name, rule in RULES.items()}
    return chosen | {ALWAYS_LIKELIEST: likeliest(candidates)}


def model_order(calls: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """attribeam as a choice for every call it has a session for: the session of the row, else the
    likeliest candidate, by probability."""
    attributed = calls.filter(pl.col("status") == "attributed").select(
        *CALL, *SESSION, pl.col("probability").alias("certainty")
    )
    rest = likeliest(candidates).join(attributed, on=CALL, how="anti")
    rest = rest.join(calls.select(CALL), on=CALL, how="semi")
    return pl.concat([attributed, rest])


def count_choice(choice: pl.DataFrame, truth: pl.DataFrame) -> dict[str, int]:
    """attributed and wrong calls of a choice; truth: CALL, SESSION of the calls that count."""
    told = choice.join(truth, on=CALL, suffix="_true")
    right = (pl.col("visitor_id") == pl.col("visitor_id_true")) & (
        pl.col("session_id") == pl.col("session_id_true")
    )
    return {
        "attributed": told.height,
        "wrong": told.height - int(told.select(right.fill_null(False).sum()).item()),
    }


def at_equal_coverage(
    ours: pl.DataFrame, theirs: pl.DataFrame, truth: pl.DataFrame
) -> dict[str, int]:
    """Wrong calls of two choices where both attribute the same number of calls: as many as the
    one that attributes fewer, the other's surest. Result: attributed, ours, theirs."""
    ours, theirs = (
        choice.join(truth.select(CALL), on=CALL, how="semi") for choice in (ours, theirs)
    )
    size = min(ours.height, theirs.height)
    return {
        "attributed": size,
        "ours": count_choice(surest(ours, size), truth)["wrong"],
        "theirs": count_choice(surest(theirs, size), truth)["wrong"],
    }


def surest(choice: pl.DataFrame, size: int) -> pl.DataFrame:
    """So many of the surest of a choice."""
    return choice.sort("certainty", *CALL, descending=[True, False, False]).head(size)
